//! What attempts do in a simulation: take some virtual time, succeed or fail, and tell the
//! witness, all of it by the seed.

use std::time::Duration;

use cronapi::consensus::Handle;
use cronapi::executor::runner::{CancelToken, Chunk, Ended, Outcome, Spec, Start};
use cronapi::executor::{LastCheck, Script};
use cronapi::model::{BootId, LogStream, RunId, Timestamp};
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::Sender;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::clock;
use crate::record::{Record, Witnessed};

/// From being asked to stop to having stopped.
const STOPS_WITHIN: Duration = Duration::from_millis(30);

/// The script of one boot of a node.
pub struct Scripted {
    /// What the attempts follow from.
    pub seed: u64,
    /// Where they are witnessed.
    pub record: Record,
    /// The node and its boot.
    pub consensus: Handle,
    /// See `consensus`.
    pub boot: BootId,
    /// The node's name in the trace.
    pub name: String,
}

/// How an attempt goes when nobody stops it.
struct Plan {
    takes: Duration,
    ended: Ended,
    talks: bool,
}

fn plan(seed: u64, spec: &Spec) -> Plan {
    let mut chance = Chance::of(seed, &format!("{}/{}", spec.context.run_id, spec.context.attempt));
    let takes = match chance.below(10) {
        0..4 => chance.millis(1, 60),
        4..7 => chance.millis(60, 900),
        7..9 => chance.millis(900, 3_500),
        _ => chance.millis(3_500, 9_000),
    };
    let ended = if chance.once_in(4) { Ended::Failed } else { Ended::Succeeded };
    match spec.timeout {
        Some(most) if most < takes => Plan { takes: most, ended: Ended::TimedOut, talks: false },
        _ => Plan { takes, ended, talks: chance.once_in(4) },
    }
}

impl Script for Scripted {
    fn carry_out<'a>(
        &'a self,
        spec: Spec,
        mut cancel: CancelToken,
        output: Sender<Vec<Chunk>>,
        last_check: LastCheck<'a>,
    ) -> BoxFuture<'a, Outcome> {
        let Plan { takes, ended, talks } = plan(self.seed, &spec);
        let witness = self.witness(&spec);
        Box::pin(async move {
            if *cancel.borrow() || !last_check.may() {
                return outcome(Ended::Cancelled);
            }
            let begun = witness.begin();
            last_check.begun(None);
            if talks {
                // A full queue means that nobody listens.
                let _ = output.try_send(vec![said(&spec)]);
            }
            drop(output);
            let stopped = async {
                if cancel.wait_for(|cancel| *cancel).await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let ended = tokio::select! {
                () = sleep(takes) => ended,
                () = stopped => {
                    sleep(STOPS_WITHIN).await;
                    Ended::Cancelled
                }
            };
            begun.end(how(ended));
            outcome(ended)
        })
    }
}

fn said(spec: &Spec) -> Chunk {
    let bytes = format!("attempt {} of {}\n", spec.context.attempt, spec.context.job).into();
    Chunk { seq: 0, stream: LogStream::Stdout, at_micros: clock::EPOCH.micros(), bytes }
}

fn how(ended: Ended) -> &'static str {
    match ended {
        Ended::Succeeded => "succeeded",
        Ended::Failed => "failed",
        Ended::TimedOut => "timed_out",
        Ended::Cancelled => "cancelled",
    }
}

fn outcome(ended: Ended) -> Outcome {
    let well = ended == Ended::Succeeded;
    Outcome {
        ended,
        exit_code: Some(i32::from(!well)),
        signal: None,
        http_status: None,
        error: (!well).then(|| how(ended).to_owned()),
        result: None,
        cpu_ms: None,
        peak_rss_bytes: None,
        retry_after: None,
        output_bytes: 0,
        output_cut: false,
    }
}

/// Tells the record what an attempt does.
struct Witness {
    record: Record,
    consensus: Handle,
    boot: BootId,
    name: String,
    spec: Spec,
}

impl Scripted {
    fn witness(&self, spec: &Spec) -> Witness {
        Witness {
            record: self.record.clone(),
            consensus: self.consensus.clone(),
            boot: self.boot,
            name: self.name.clone(),
            spec: spec.clone(),
        }
    }
}

impl Witness {
    fn begin(self) -> Begun {
        let context = &self.spec.context;
        let run = RunId(context.run_id.parse().unwrap_or_default());
        let node = self.consensus.node_id();
        let state = self.consensus.state();
        let held = state.runs.get(&run).and_then(|open| open.held());
        let seen = Witnessed {
            run,
            attempt: context.attempt,
            fence: context.fence,
            job: context.job.clone(),
            trigger: context.trigger.clone(),
            nominal: context.nominal_time.as_deref().and_then(|at| Timestamp::parse(at).ok()),
            node,
            boot: self.boot,
            began: clock::elapsed(),
            assigned: held == Some((context.fence, self.boot)),
            applied: *self.consensus.applied().borrow(),
            ahead_micros: self.record.locked().ahead_micros,
            ended: None,
        };
        let told = format!(
            "begins {} {run} attempt {} fence {} nominal {:?} state {held:?}",
            seen.job, seen.attempt, seen.fence, context.nominal_time,
        );
        self.record.trace(&self.name, &told);
        let place = {
            let mut inner = self.record.locked();
            inner.witnessed.push(seen);
            inner.witnessed.len() - 1
        };
        Begun { record: self.record, name: self.name, place, open: true }
    }
}

/// An attempt under way. One that is dropped died with its node.
struct Begun {
    record: Record,
    name: String,
    place: usize,
    open: bool,
}

impl Begun {
    fn end(mut self, how: &'static str) {
        self.note(how);
    }

    fn note(&mut self, how: &'static str) {
        self.open = false;
        let ended = clock::elapsed();
        let told = {
            let mut inner = self.record.locked();
            let seen = &mut inner.witnessed[self.place];
            seen.ended = Some((ended, how));
            format!("ends {} {} attempt {}: {how}", seen.job, seen.run, seen.attempt)
        };
        self.record.trace(&self.name, &told);
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if self.open {
            self.note("killed");
        }
    }
}
