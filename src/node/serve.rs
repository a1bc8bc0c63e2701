//! A node's life, from its configuration to its end.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::api::{Certificates, ServerOptions};
use crate::clock;
use crate::consensus::{self, Founder, Handle, Reach, Transport};
use crate::metrics::Metrics;
use crate::service::access::{self, Oidc};
use crate::storage::Seat;

use super::blocked;
use super::cluster_key::{self, Keyed};
use super::config::{self, Config};
use super::failure::Failure;
use super::reload::Reload;
use super::running::{Listeners, Node};
use super::{banner, bootstrap, certificates, files, job_space, notify, signals, telemetry};

/// Runs a node until it is asked to stop.
///
/// # Errors
/// See [`Failure`].
pub async fn serve(mut config: Config, reload: Reload) -> Result<(), Failure> {
    job_space::close_new_files();
    // Before anything that may need many.
    let files = files::raise();
    let tls = match &config.tls {
        Some(files) => Some(Certificates::load(files.clone()).await?),
        None => None,
    };
    let oidc = config.oidc.clone().map(|settings| Oidc::new(settings.0));
    let oidc = oidc.transpose().map_err(Failure::Oidc)?;
    // Before anything is opened: an address in use is the commonest fault, and the cheapest.
    let rest = listen(config.listen, "--listen").await?;
    let address = rest.local_addr().unwrap_or(config.listen);
    let metrics = match config.metrics_listen {
        Some(address) => Some(listen(address, "--metrics-listen").await?),
        None => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let server = ServerOptions {
        connections_max: files::connections(files, config.slots),
        tls: tls.clone(),
        proxies: config.proxies.clone(),
        ..ServerOptions::default()
    };
    let listeners = Listeners { rest, address, metrics, server, oidc };
    let metrics = Arc::new(Metrics::new(config.metrics_jobs)?);
    if let Some(tls) = tls {
        tokio::spawn(certificates::keep_fresh(tls, Arc::clone(&metrics)));
    }
    // Held until the end.
    let seat = take_seat(&mut config)?;
    let boot = access::random_id().map_err(|error| Failure::Join(error.to_string()))?;
    let options = consensus::Options {
        move_aside_damaged: config.move_aside_damaged,
        reach: Some(reach(&config)?),
        join: config.join.clone(),
        founder: founder(seat.as_ref()),
        voters: config.voters,
        boot,
        metrics: Some(Arc::clone(&metrics)),
        ..consensus::Options::new(&config.data, clock::now().millis())
    };
    let key_is_new = cluster_key::is_made_now(&config);
    let consensus = consensus::open(options).await?;
    cluster_key::tell_of_others(key_is_new, consensus.members_known());
    // A cluster of one is complete by now; others form while REST is served already. A node that
    // led last takes itself for the leader at once, and may have to wait for a majority all day.
    let (complete, generated) =
        if consensus.leads_alone() { set_up(&consensus, &config).await? } else { (false, None) };
    tokio::spawn(blocked::keep(consensus.clone(), Arc::clone(&metrics)));
    // Whoever sees that the node is ready may stop it at once.
    let stop = signals::Stop::catch();
    let stop = stop.map_err(|source| Failure::System { what: "signals", source })?;
    let node = Node::start(&config, consensus, boot, listeners, metrics).await?;
    let base = format!("{scheme}://{address}");
    banner::show(&banner::text(&base, &config.data, generated.as_deref()));
    look_after_access(node.consensus(), &config, complete);
    tokio::spawn(reload.run());
    tokio::spawn(notify::keep_told(node.consensus().clone(), node.service().clone()));
    let (alive, stopped) = watch::channel(false);
    tokio::spawn(notify::keep_alive(node.consensus().clone(), stopped));
    tokio::spawn(tell_log(node.consensus().clone()));
    tokio::spawn(notify::log_ready(node.consensus().node_id(), node.service().clone(), address));
    let reason = until_stopped(&node, stop).await?;
    tracing::info!(signal = reason, "stopping: running attempts may end first");
    notify::stopping();
    let stopped = node.stop().await;
    // A stop is not cut short: until its end, the watchdog is told that it goes on.
    alive.send_replace(true);
    stopped
}

/// Waits until a stop is asked for, or the node can't go on.
async fn until_stopped(node: &Node, stop: signals::Stop) -> Result<&'static str, Failure> {
    let mut fatal = node.consensus().fatal();
    tokio::select! {
        asked = stop.asked() => Ok(asked),
        dead = fatal.wait_for(Option::is_some) => {
            let why = dead.ok().and_then(|why| why.clone()).unwrap_or_default();
            Err(Failure::Fatal(why))
        }
    }
}

/// A cluster that is not complete yet gets its first admin later; signing keys are kept sealed.
fn look_after_access(consensus: &Handle, config: &Config, complete: bool) {
    if !complete {
        let (password, vault) = (config.admin_password.clone(), config.vault.clone());
        tokio::spawn(bootstrap::when_leading(consensus.clone(), password, vault));
    }
    if let Some(vault) = config.vault.clone() {
        tokio::spawn(bootstrap::keep_sealed(consensus.clone(), vault));
    }
}

/// Sets a cluster of one up: whether that is done, and a password that was made up.
async fn set_up(consensus: &Handle, config: &Config) -> Result<(bool, Option<String>), Failure> {
    let (password, vault) = (config.admin_password.as_ref(), config.vault.as_deref());
    match bootstrap::first_admin(consensus, password, vault).await {
        Ok(made_up) => Ok((true, made_up)),
        // A slow disk is no reason to end.
        Err(bootstrap::Error::Log(why)) => {
            tracing::warn!(%why, "there is no admin to log in with yet");
            Ok((false, None))
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps the log told where this node stands.
async fn tell_log(consensus: Handle) {
    let mut leadership = consensus.leadership();
    loop {
        let term = leadership.borrow_and_update().term;
        telemetry::standing(consensus.node_id(), term);
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

/// A node that was killed as it started a process leaves a copy of itself, which has its sockets
/// until it is that process.
const IN_USE_FOR: Duration = Duration::from_secs(2);

async fn listen(address: SocketAddr, flag: &'static str) -> Result<TcpListener, Failure> {
    let until = Instant::now() + IN_USE_FOR;
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => {
                if !std::mem::replace(&mut told, true) {
                    tracing::info!(%address, "the address is in use: it is tried for a moment");
                }
                sleep(Duration::from_millis(20)).await;
            }
            bound => return bound.map_err(|source| Failure::Listen { flag, address, source }),
        }
    }
}

/// Finds the data directory, when it is one of a pool.
fn take_seat(config: &mut Config) -> Result<Option<Seat>, Failure> {
    let Some(pool) = &config.data_pool else { return Ok(None) };
    let seat = Seat::take(pool, &config::host_name()).map_err(consensus::OpenError::from)?;
    tracing::info!(seat = seat.number, pool = %pool.display(), "this node has a seat in the pool");
    config.data = seat.data.clone();
    Ok(Some(seat))
}

/// Whoever has the first seat of a pool begins its cluster, once.
fn founder(seat: Option<&Seat>) -> Founder {
    match seat {
        None => Founder::FirstOfList,
        Some(seat) if seat.formed => Founder::Other(
            "a node of this pool is of a cluster already and has to come back; nobody".into(),
        ),
        Some(seat) if seat.number == 1 => Founder::This,
        Some(_) => Founder::Other("the node with seat 1 of the pool".into()),
    }
}

/// How other nodes reach this one: proved by the cluster's key.
fn reach(config: &Config) -> Result<Reach, Failure> {
    if let Some(missing) = cluster_key::missing(config) {
        return Err(Failure::Key(missing));
    }
    let transport: Arc<dyn Transport> = Arc::new(Keyed::new(config));
    let listen = config.cluster_listen.to_string();
    Ok(Reach { transport, listen, advertise: config.advertise.clone() })
}
