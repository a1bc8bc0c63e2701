//! A whole node: consensus, scheduler, executor and presence as in the daemon, with a virtual
//! network, a disk in memory, a clock of its own and attempts by script.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use cronapi::clock::Clock;
use cronapi::consensus::{self, Handle, Options, Reach};
use cronapi::executor::{Executor, Parts, Work};
use cronapi::machine::state::Offers;
use cronapi::model::BootId;
use cronapi::node::Presence;
use cronapi::scheduler;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::clock::EPOCH;
use crate::observer;
use crate::operators;
use crate::reading;
use crate::script::Scripted;
use crate::seat::{Phase, Seat, name};
use crate::transport::Virtual;

/// The port that nodes listen on.
const PORT: u16 = 8001;
/// How long attempts may go on when their node is stopped.
const DRAIN: Duration = Duration::from_secs(2);

/// How long it then waits for someone to tell their ends to.
const LEADERLESS: Duration = Duration::from_secs(5);

/// One boot of a node, until it is stopped or has to stop. A crash drops it.
pub async fn live(seat: Arc<Seat>) -> turmoil::Result {
    let (number, boot) = seat.next_boot();
    if number == 1 && seat.place >= seat.plan.founders {
        tokio::time::sleep(seat.plan.late).await;
    }
    seat.trace(&format!("boot {number}"));
    let consensus = match consensus::open(options(&seat, boot)).await {
        Ok(consensus) => consensus,
        Err(error) => {
            seat.record.found(&seat.name, &format!("a node can't be opened: {error}"));
            return Ok(());
        }
    };
    seat.trace(&format!("opened as node {}", consensus.node_id()));
    let node = Node::start(&seat, consensus, boot, number);
    let mut orders = seat.orders.subscribe();
    let mut fatal = node.consensus.fatal();
    tokio::select! {
        dead = fatal.wait_for(Option::is_some) => {
            let why = dead.ok().and_then(|why| why.clone()).unwrap_or_default();
            seat.trace(&format!("has to stop: {why}"));
            if !why.contains("removed from the cluster") {
                seat.record.found(&seat.name, &format!("a node has to stop: {why}"));
            }
        }
        () = async { drop(orders.wait_for(|orders| orders.stop == number).await) } => {
            seat.trace("is stopped");
            node.stop(&seat).await;
        }
    }
    seat.trace("is down");
    Ok(())
}

fn options(seat: &Seat, boot: BootId) -> Options {
    let join = (0..seat.plan.founders).map(|place| format!("{}:{PORT}", name(place)));
    Options {
        reach: Some(Reach {
            transport: Arc::new(Virtual),
            listen: format!("0.0.0.0:{PORT}"),
            advertise: Some(format!("{}:{PORT}", seat.name)),
        }),
        join: join.collect(),
        voters: seat.plan.voters,
        boot,
        clock: Arc::clone(&seat.clock) as Arc<dyn Clock>,
        in_memory: Some(seat.disk()),
        checkpoint_entries: seat.plan.checkpoint_entries,
        submit_timeout: seat.plan.patience,
        ..Options::new("unused", EPOCH.millis())
    }
}

/// The parts of a boot.
struct Node {
    consensus: Handle,
    presence: Presence,
    kept: JoinHandle<()>,
    stop_presence: watch::Sender<bool>,
    stop_scheduler: watch::Sender<bool>,
    drain: watch::Sender<bool>,
    scheduler: JoinHandle<()>,
    executor: JoinHandle<()>,
}

impl Node {
    fn start(seat: &Arc<Seat>, consensus: Handle, boot: BootId, number: u32) -> Node {
        let clock: Arc<dyn Clock> = Arc::clone(&seat.clock) as Arc<dyn Clock>;
        let presence = Presence {
            consensus: consensus.clone(),
            clock: Arc::clone(&clock),
            boot,
            api: String::new(),
            slots: seat.plan.slots,
            labels: Default::default(),
            offers: Offers { keep_events: seat.plan.keep_events, ..Offers::default() },
        };
        let (stop_presence, stopped) = watch::channel(false);
        let kept = tokio::spawn(presence.clone().keep(stopped));
        let (stop_scheduler, stopped) = watch::channel(false);
        let leading = scheduler::Options { plan_ahead: seat.plan.plan_ahead };
        let scheduler = scheduler::run(consensus.clone(), Arc::clone(&clock), leading, stopped);
        let script = Scripted {
            seed: seat.plan.seed,
            record: seat.record.clone(),
            consensus: consensus.clone(),
            boot,
            name: seat.name.clone(),
        };
        let parts = Parts {
            vault: None,
            locks: None,
            redis_url: None,
            consensus: consensus.clone(),
            clock,
            work: Work::Script(Arc::new(script)),
            node: consensus.node_id(),
            boot,
            node_name: seat.name.clone(),
            boot_tag: format!("{}/{boot}", seat.name),
            lease: consensus.lease(),
        };
        let (drain, drained) = watch::channel(false);
        let scheduler = tokio::spawn(scheduler);
        let executor = tokio::spawn(Executor::new(parts).run(drained, DRAIN));
        tokio::spawn(observer::run(Arc::clone(seat), consensus.clone()));
        tokio::spawn(reading::run(Arc::clone(seat), consensus.clone()));
        operators::begin(seat, &consensus, number);
        Node {
            consensus,
            presence,
            kept,
            stop_presence,
            stop_scheduler,
            drain,
            scheduler,
            executor,
        }
    }

    /// The order of a daemon's stop.
    async fn stop(self, seat: &Seat) {
        self.stop_presence.send_replace(true);
        // A task that panicked ends the world by itself, here and below.
        let _ = self.kept.await;
        if let Err(error) = self.presence.leave().await {
            seat.trace(&format!("can't say that it leaves: {error}"));
        }
        self.consensus.step_back().await;
        self.stop_scheduler.send_replace(true);
        self.drain.send_replace(true);
        let mut executor = self.executor;
        if timeout(DRAIN + LEADERLESS, &mut executor).await.is_err() {
            seat.trace("its attempts' ends stay unrecorded");
            executor.abort();
        }
        let _ = self.scheduler.await;
        if let Err(error) = self.consensus.shutdown().await {
            seat.trace(&format!("did not stop as it should: {error}"));
        }
    }
}

/// Waits until the world has come to `phase`.
pub async fn reached(seat: &Seat, phase: Phase) {
    let mut orders = seat.orders.subscribe();
    // The sender lives as long as the seat.
    let _ = orders.wait_for(|orders| orders.phase >= phase).await;
}

/// Notes how far a node has come.
pub fn note_applied(seat: &Seat, index: u64) {
    seat.applied.fetch_max(index, Ordering::Relaxed);
}
