//! The parts of a running node: how they begin, and in which order they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::adapters::{
    Courier, DutyParts, OutwardParts, PostParts, PushPlaces, keep_heartbeats, keep_pushes,
    keep_sinks, keep_triggers, post, tell_outside,
};
use crate::api::{self, ServerOptions};
use crate::clock::{Clock, System};
use crate::consensus::Handle;
use crate::executor::runner::{RunnerEnv, reap_leftovers};
use crate::executor::{Busy, Executor, Locks, Parts, Work};
use crate::machine::state::Offers;
use crate::metrics::Metrics;
use crate::model::BootId;
use crate::scheduler;
use crate::service::access::Oidc;
use crate::service::{Deps, NodeLocal, Service};

use super::config::Config;
use super::failure::Failure;
use super::job_space;
use super::presence::Presence;

/// Connections for metrics and health alone.
const METRICS_CONNECTIONS_MAX: usize = 64;
/// A stop waits this long for a majority, so that ends can be recorded.
const NO_MAJORITY_MAX: Duration = Duration::from_secs(5);

/// A stop waits this long for a notice, or a batch of events, that is under way.
const POST_MAX: Duration = Duration::from_secs(3);

/// Where a node is asked.
pub(super) struct Listeners {
    /// REST.
    pub rest: TcpListener,
    /// Its address.
    pub address: SocketAddr,
    /// Metrics, without a token.
    pub metrics: Option<TcpListener>,
    /// How REST is served.
    pub server: ServerOptions,
    /// Login by a provider.
    pub oidc: Option<Oidc>,
}

impl Listeners {
    /// Answers at each until `stopped` turns true. Gives REST.
    fn answer(self, service: &Service, stopped: watch::Receiver<bool>) -> JoinHandle<()> {
        let mut options = api::Options::new(stopped.clone());
        options.proxies = self.server.proxies.clone();
        if let Some(listener) = self.metrics {
            let router = api::metrics_router(service.clone(), options.clone());
            let few = ServerOptions {
                connections_max: METRICS_CONNECTIONS_MAX.min(self.server.connections_max),
                ..ServerOptions::default()
            };
            tokio::spawn(api::serve_with(listener, router, stopped.clone(), few));
        }
        let https = self.server.tls.is_some();
        let options = api::Options { oidc: self.oidc, https, ..options };
        let router = api::router(service.clone(), options);
        tokio::spawn(api::serve_with(self.rest, router, stopped, self.server))
    }
}

/// The running parts.
pub(super) struct Node {
    consensus: Handle,
    service: Service,
    presence: Presence,
    presence_kept: JoinHandle<()>,
    stop_presence: watch::Sender<bool>,
    stop_post: watch::Sender<bool>,
    stop_scheduler: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    stop_api: watch::Sender<bool>,
    post: JoinHandle<()>,
    sinks: JoinHandle<()>,
    triggers: JoinHandle<()>,
    pushes: JoinHandle<()>,
    beats: JoinHandle<()>,
    scheduler: JoinHandle<()>,
    executor: JoinHandle<()>,
    busy: Busy,
    /// How long running attempts are waited for.
    patience: Duration,
    api: JoinHandle<()>,
}

impl Node {
    #[allow(clippy::too_many_lines, reason = "one part of a node after the other")]
    pub async fn start(
        config: &Config,
        consensus: Handle,
        boot: BootId,
        listeners: Listeners,
        metrics: Arc<Metrics>,
    ) -> Result<Node, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(System);
        let node = consensus.node_id();
        let tag = format!("node-{node}");
        let boot_tag = format!("{tag}/{boot}");
        reap(&tag, &boot_tag);
        let runners = runners(config, &tag)?;
        let presence = Presence {
            consensus: consensus.clone(),
            clock: clock.clone(),
            boot,
            api: listeners.address.to_string(),
            slots: config.slots,
            labels: config.labels.clone(),
            offers: Offers {
                keep_events: config.events_keep,
                sink_files: config.sink_dir.is_some(),
                redis: config.redis_url.is_some(),
            },
        };
        // With other voters it may take until they are there, and is tried until then.
        if consensus.leads_alone()
            && let Err(error) = presence.announce().await
        {
            tracing::warn!(%error, "this node is not announced yet");
        }
        let (stop_presence, stopped) = watch::channel(false);
        let presence_kept = tokio::spawn(presence.clone().keep(stopped));
        let (local, counted) = (local(config, &clock), metrics.clone());
        let courier = Courier::new(runners.clone(), clock.clone(), metrics.clone());
        let service = Service::new(Deps {
            consensus: consensus.clone(),
            clock: clock.clone(),
            runners: runners.clone(),
            vault: config.vault.clone(),
            local,
            metrics,
        });
        let (stop_scheduler, stopped) = watch::channel(false);
        let leading = scheduler::Options { plan_ahead: config.plan_ahead };
        let scheduler = scheduler::run(consensus.clone(), clock.clone(), leading, stopped);
        let scheduler = tokio::spawn(scheduler);
        let (stop_post, stopped) = watch::channel(false);
        let sending = PostParts {
            consensus: consensus.clone(),
            clock: clock.clone(),
            courier,
            vault: config.vault.clone(),
            boot,
            public_url: config.public_url.clone(),
        };
        let post = tokio::spawn(post(sending, stopped.clone()));
        if let Some(heartbeat) = config.heartbeat.clone() {
            let outward = OutwardParts {
                consensus: consensus.clone(),
                clock: clock.clone(),
                env: runners.clone(),
                metrics: counted.clone(),
                url: heartbeat.url,
                every: heartbeat.every,
            };
            // It ends by itself, and leaves nothing undone.
            tokio::spawn(tell_outside(outward, stopped.clone()));
        }
        let duties = DutyParts {
            consensus: consensus.clone(),
            clock: clock.clone(),
            env: runners.clone(),
            metrics: counted,
            vault: config.vault.clone(),
            boot,
            directory: config.sink_dir.clone(),
            redis_url: config.redis_url.as_ref().map(|url| url.0.clone()),
            public_url: config.public_url.clone(),
            same_pages: config.public_url_given.then(|| config.public_url.clone()),
        };
        let sinks = tokio::spawn(keep_sinks(duties.clone(), stopped.clone()));
        let pushes = keep_pushes(duties.clone(), push_places(config), stopped.clone());
        let pushes = tokio::spawn(pushes);
        let beats = tokio::spawn(keep_heartbeats(duties.clone(), stopped.clone()));
        let triggers = tokio::spawn(keep_triggers(duties, stopped));
        let lease = consensus.lease();
        let parts = Parts {
            consensus: consensus.clone(),
            clock,
            locks: locks(&runners),
            work: Work::Runners(runners),
            vault: config.vault.clone(),
            redis_url: config.redis_url.as_ref().map(|url| url.0.clone()),
            node,
            boot,
            node_name: node.to_string(),
            boot_tag,
            lease,
        };
        let (drain, drained) = watch::channel(false);
        let executor = Executor::new(parts);
        let busy = executor.busy();
        let executor = tokio::spawn(executor.run(drained, config.drain.std()));
        let (stop_api, stopped) = watch::channel(false);
        let api = listeners.answer(&service, stopped);
        Ok(Node {
            consensus,
            service,
            presence,
            presence_kept,
            stop_presence,
            stop_post,
            stop_scheduler,
            drain,
            stop_api,
            post,
            sinks,
            triggers,
            pushes,
            beats,
            scheduler,
            executor,
            busy,
            patience: config.drain.std(),
            api,
        })
    }

    /// Its consensus.
    pub fn consensus(&self) -> &Handle {
        &self.consensus
    }

    /// Its use cases.
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Stops the parts in an order in which each still finds what it needs.
    pub async fn stop(self) -> Result<(), Failure> {
        // While its word still counts: a message under way is sent and recorded.
        self.stop_post.send_replace(true);
        let (mut post, mut sinks, mut triggers) = (self.post, self.sinks, self.triggers);
        let (mut pushes, mut beats) = (self.pushes, self.beats);
        let all =
            async { tokio::join!(&mut post, &mut sinks, &mut triggers, &mut pushes, &mut beats) };
        if tokio::time::timeout(POST_MAX, all).await.is_err() {
            tracing::warn!(
                "a notice or a batch of events was under way: another node sends it, perhaps again"
            );
            post.abort();
            sinks.abort();
            triggers.abort();
            pushes.abort();
            beats.abort();
        }
        self.stop_presence.send_replace(true);
        // An announcement under way would take the leave back. It is bounded by itself.
        let _ = self.presence_kept.await;
        // Without it nothing is lost: assignments to this boot become lost at the next.
        if let Err(error) = self.presence.leave().await {
            tracing::warn!(%error, "the stop could not be announced");
        }
        // First of all: while attempts end here, another node decides fires.
        self.consensus.step_back().await;
        self.stop_scheduler.send_replace(true);
        self.drain.send_replace(true);
        let mut executor = self.executor;
        let hopeless = async {
            // An attempt may do its work even so.
            let _ = tokio::time::timeout(self.patience, self.busy.over()).await;
            self.consensus.majority_gone(NO_MAJORITY_MAX).await;
        };
        let ended = tokio::select! {
            ended = &mut executor => ended,
            () = hopeless => {
                tracing::warn!("no majority is left: ends of attempts become lost");
                executor.abort();
                Ok(())
            }
        };
        for (part, ended) in [("scheduler", self.scheduler.await), ("executor", ended)] {
            if let Err(error) = ended {
                tracing::error!(part, %error, "did not end as it should");
            }
        }
        self.stop_api.send_replace(true);
        if let Err(error) = self.api.await {
            tracing::error!(part = "api", %error, "did not end as it should");
        }
        // Nodes that stop together must not take the majority with them.
        self.consensus.give_vote_up().await;
        self.consensus.shutdown().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Ends what an earlier boot of this node left running.
fn reap(tag: &str, boot_tag: &str) {
    let reaped = reap_leftovers(tag, boot_tag);
    if reaped > 0 {
        tracing::warn!(processes = reaped, "ended what an earlier boot left running");
    }
}

/// What this process says of itself.
fn local(config: &Config, clock: &Arc<dyn Clock>) -> NodeLocal {
    NodeLocal {
        version: env!("CARGO_PKG_VERSION").to_string(),
        started_at: clock.now(),
        labels: config.labels.clone(),
        slots: config.slots,
        push_places: push_places(config),
    }
}

/// Which push services are asked, and whom these may turn to.
fn push_places(config: &Config) -> PushPlaces {
    let contact = Some(&config.public_url).filter(|url| url.starts_with("https://")).cloned();
    PushPlaces { allow: config.calls.push.clone(), contact }
}

/// Who is asked for the locks of jobs.
fn locks(env: &Arc<RunnerEnv>) -> Option<Arc<dyn Locks>> {
    #[cfg(feature = "redis")]
    return Some(Arc::new(crate::adapters::RedisLocks::new(Arc::clone(env))));
    #[cfg(not(feature = "redis"))]
    return None;
}

/// What runners find on this machine.
fn runners(config: &Config, tag: &str) -> Result<Arc<RunnerEnv>, Failure> {
    let results = job_space::results(config, tag);
    let mut runners = RunnerEnv::detect()
        .with_results_dir(&results)
        .map_err(|source| Failure::System { what: "the folder of results", source })?;
    runners = runners.isolated(&job_space::isolation(config)).map_err(Failure::Isolation)?;
    runners.limits = config.jobs.limits;
    runners.umask = job_space::umask();
    job_space::tell(runners.isolation());
    runners = runners.bounded(tag);
    job_space::tell_bounds(runners.cgroups());
    // Who may ask for another account is decided by the service.
    runners.allow_user = true;
    runners.http_deny.extend(&config.calls.deny);
    runners.http_allow.clone_from(&config.calls.allow);
    if runners.python.is_none() {
        let account = &runners.isolation().in_force().account;
        tracing::warn!(
            account,
            "no python3 on PATH that this account may run: python jobs fail, their syntax is \
             unchecked"
        );
    }
    Ok(Arc::new(runners))
}
