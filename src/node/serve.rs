//! A node's life, from its configuration to its end.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::api;
use crate::clock::{self, Clock, System};
use crate::consensus::{self, Handle, Reach, Tcp, Tls, Transport};
use crate::executor::runner::{RunnerEnv, reap_leftovers};
use crate::executor::{Executor, Parts};
use crate::model::BootId;
use crate::scheduler;
use crate::service::{Deps, NodeLocal, Service, access};

use super::config::Config;
use super::presence::Presence;
use super::{banner, bootstrap, signals};

/// Why a node could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}; is another process there? see --listen")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The data directory or the log can't be opened.
    #[error(transparent)]
    Open(#[from] consensus::OpenError),
    /// The cluster's key can't be used.
    #[error("CRONAPI_CLUSTER_KEY: {0}")]
    Key(String),
    /// The cluster could not be set up.
    #[error(transparent)]
    Bootstrap(#[from] bootstrap::Error),
    /// This boot could not be announced.
    #[error("this node could not join: {0}")]
    Join(String),
    /// Something of the operating system.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The storage failed: nothing is acknowledged any more.
    #[error("stopped, because {0}")]
    Fatal(String),
    /// The stop was not orderly; what was acknowledged is durable all the same.
    #[error(transparent)]
    Shutdown(#[from] consensus::ShutdownError),
}

/// Runs a node until it is asked to stop.
///
/// # Errors
/// See [`Failure`].
pub async fn serve(config: Config) -> Result<(), Failure> {
    // Before anything is opened: an address in use is the commonest fault, and the cheapest.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| Failure::Listen { address: config.listen, source })?;
    let address = listener.local_addr().unwrap_or(config.listen);
    let boot = access::random_id().map_err(|error| Failure::Join(error.to_string()))?;
    let options = consensus::Options {
        move_aside_damaged: config.move_aside_damaged,
        reach: Some(reach(&config)?),
        join: config.join.clone(),
        voters: config.voters,
        boot,
        ..consensus::Options::new(&config.data, clock::now().millis())
    };
    let consensus = consensus::open(options).await?;
    // A cluster of one is complete by now; others form while REST is served already.
    let complete = consensus.leadership().borrow().is_leader;
    let mut generated = None;
    if complete {
        generated = bootstrap::first_admin(&consensus, config.admin_password.as_ref()).await?;
    }
    let node = Node::start(&config, consensus, boot, address, listener).await?;
    banner::show(&banner::text(address, &config.data, generated.as_deref()));
    if !complete {
        let password = config.admin_password.clone();
        tokio::spawn(bootstrap::when_leading(node.consensus.clone(), password));
    }
    tracing::info!(%address, node = node.consensus.node_id(), "ready");
    let mut fatal = node.consensus.fatal();
    let reason = tokio::select! {
        asked = signals::stop_asked() => {
            asked.map_err(|source| Failure::System { what: "signals", source })?
        }
        dead = fatal.wait_for(Option::is_some) => {
            let why = dead.ok().and_then(|why| why.clone()).unwrap_or_default();
            return Err(Failure::Fatal(why));
        }
    };
    tracing::info!(signal = reason, "stopping: running attempts may end first");
    node.stop().await
}

/// How other nodes reach this one: proved by the cluster's key, when there is one.
fn reach(config: &Config) -> Result<Reach, Failure> {
    let transport: Arc<dyn Transport> = match &config.cluster_key {
        Some(key) => {
            Arc::new(Tls::new(Arc::new(Tcp), &key.0).map_err(|e| Failure::Key(e.to_string()))?)
        }
        None => Arc::new(Tcp),
    };
    let listen = config.cluster_listen.to_string();
    Ok(Reach { transport, listen, advertise: config.advertise.clone() })
}

/// The running parts.
struct Node {
    consensus: Handle,
    presence: Presence,
    stop_presence: watch::Sender<bool>,
    stop_scheduler: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    stop_api: watch::Sender<bool>,
    scheduler: JoinHandle<()>,
    executor: JoinHandle<()>,
    api: JoinHandle<()>,
}

impl Node {
    async fn start(
        config: &Config,
        consensus: Handle,
        boot: BootId,
        address: SocketAddr,
        listener: TcpListener,
    ) -> Result<Node, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(System);
        let node = consensus.node_id();
        let tag = format!("node-{node}");
        let boot_tag = format!("{tag}/{boot}");
        let reaped = reap_leftovers(&tag, &boot_tag);
        if reaped > 0 {
            tracing::warn!(processes = reaped, "ended what an earlier boot left running");
        }
        let results = config.data.join("results");
        let mut runners = RunnerEnv::detect()
            .with_results_dir(&results)
            .map_err(|source| Failure::System { what: "the folder of results", source })?;
        // Who may ask for another account is decided by the service.
        runners.allow_user = true;
        let runners = Arc::new(runners);
        if runners.python.is_none() {
            tracing::warn!("no python3 on PATH: python jobs fail, their syntax is unchecked");
        }
        let presence = Presence {
            consensus: consensus.clone(),
            clock: clock.clone(),
            boot,
            api: address.to_string(),
            slots: config.slots,
            labels: config.labels.clone(),
        };
        if consensus.leadership().borrow().is_leader {
            presence.announce().await.map_err(|error| Failure::Join(error.to_string()))?;
        }
        let (stop_presence, stopped) = watch::channel(false);
        tokio::spawn(presence.clone().keep(stopped));
        let local = NodeLocal {
            version: env!("CARGO_PKG_VERSION").to_string(),
            started_at: clock.now(),
            labels: config.labels.clone(),
            slots: config.slots,
        };
        let service = Service::new(Deps {
            consensus: consensus.clone(),
            clock: clock.clone(),
            runners: runners.clone(),
            local,
        });
        let (stop_scheduler, stopped) = watch::channel(false);
        let scheduler = tokio::spawn(scheduler::run(consensus.clone(), clock.clone(), stopped));
        let parts = Parts {
            consensus: consensus.clone(),
            clock,
            runners,
            node,
            boot,
            node_name: node.to_string(),
            boot_tag,
        };
        let (drain, drained) = watch::channel(false);
        let executor = tokio::spawn(Executor::new(parts).run(drained, config.drain.std()));
        let (stop_api, stopped) = watch::channel(false);
        let router = api::router(service, api::Options::new(stopped.clone()));
        let api = tokio::spawn(api::serve(listener, router, stopped));
        Ok(Node {
            consensus,
            presence,
            stop_presence,
            stop_scheduler,
            drain,
            stop_api,
            scheduler,
            executor,
            api,
        })
    }

    /// Stops the parts in an order in which each still finds what it needs.
    async fn stop(self) -> Result<(), Failure> {
        self.stop_presence.send_replace(true);
        // Without it nothing is lost: assignments to this boot become lost at the next.
        if let Err(error) = self.presence.leave().await {
            tracing::warn!(%error, "the stop could not be announced");
        }
        // First of all: while attempts end here, another node decides fires.
        self.consensus.step_back().await;
        self.stop_scheduler.send_replace(true);
        self.drain.send_replace(true);
        for (part, task) in [("scheduler", self.scheduler), ("executor", self.executor)] {
            if let Err(error) = task.await {
                tracing::error!(part, %error, "did not end as it should");
            }
        }
        self.stop_api.send_replace(true);
        if let Err(error) = self.api.await {
            tracing::error!(part = "api", %error, "did not end as it should");
        }
        self.consensus.shutdown().await?;
        tracing::info!("stopped");
        Ok(())
    }
}
