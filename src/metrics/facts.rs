//! What the log did, counted while it is applied: up to some ten thousand facts a second.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts};
use prometheus::{Registry, core::Collector};

use super::Error;
use crate::model::{Fact, NoticeEnd, PingKind, RunStatus, SkipReason, Trigger};

/// From 5 ms to an hour: a fire is late by milliseconds, or by an outage.
const LATENESS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0];
/// From 10 ms to a day.
const DURATION: &[f64] =
    &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];

const RESULTS: [RunStatus; 6] = [
    RunStatus::Succeeded,
    RunStatus::Failed,
    RunStatus::TimedOut,
    RunStatus::Cancelled,
    RunStatus::Lost,
    RunStatus::Skipped,
];
const TRIGGERS: [Trigger; 8] = [
    Trigger::Schedule,
    Trigger::Manual,
    Trigger::Dependency,
    Trigger::OnSuccess,
    Trigger::OnFailure,
    Trigger::OnFinish,
    Trigger::Workflow,
    Trigger::Backfill,
];
const MISSED: [SkipReason; 3] = [SkipReason::WindowPassed, SkipReason::Misfire, SkipReason::Limit];
const SKIPPED: [SkipReason; 6] = [
    SkipReason::Overlap,
    SkipReason::Paused,
    SkipReason::Calendar,
    SkipReason::DependenciesUnmet,
    SkipReason::QueueFull,
    SkipReason::ParametersRefused,
];

/// Series by the value of their label, all there from the start: a rate needs the zero before.
struct By<K, V>(Vec<(K, V)>);

impl<K: PartialEq + Copy, V> By<K, V> {
    fn new(keys: &[K], make: impl Fn(K) -> V) -> Self {
        By(keys.iter().map(|key| (*key, make(*key))).collect())
    }

    fn of(&self, key: K) -> Option<&V> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}

/// Counters and histograms of what the log did.
pub struct Facts {
    fires: IntCounter,
    lateness: Histogram,
    missed: By<SkipReason, IntCounter>,
    skipped: By<SkipReason, IntCounter>,
    start_lateness: Histogram,
    queue_wait: Histogram,
    runs: By<RunStatus, By<Trigger, IntCounter>>,
    duration: By<RunStatus, Histogram>,
    backfilled: By<RunStatus, IntCounter>,
    notices: IntCounterVec,
    notice_delay: Histogram,
    workflows: By<RunStatus, IntCounter>,
    step: Histogram,
    pings: By<PingKind, IntCounter>,
    detection: Histogram,
}

impl Facts {
    #[allow(clippy::too_many_lines, reason = "one metric after the other")]
    pub(super) fn new(registry: &Registry) -> Result<Self, Error> {
        let reasons = |name: &str, help: &str, reasons: &[SkipReason]| {
            let vec = IntCounterVec::new(Opts::new(name, help), &["reason"])?;
            kept(registry, &vec)?;
            Ok::<_, Error>(By::new(reasons, |reason| vec.with_label_values(&[reason.as_str()])))
        };
        let runs = IntCounterVec::new(
            Opts::new("cronapi_runs_total", "Runs that were closed."),
            &["result", "trigger"],
        )?;
        kept(registry, &runs)?;
        let backfilled = IntCounterVec::new(
            Opts::new("cronapi_backfill_runs_total", "Runs of backfills that were closed."),
            &["result"],
        )?;
        kept(registry, &backfilled)?;
        let duration = HistogramVec::new(
            options(
                "cronapi_run_duration_seconds",
                "Time from the first start of a run to its end.",
                DURATION,
            ),
            &["result"],
        )?;
        kept(registry, &duration)?;
        let fires = IntCounter::new("cronapi_fires_total", "Nominal times that got a run.")?;
        kept(registry, &fires)?;
        let notices = IntCounterVec::new(
            Opts::new(
                "cronapi_notices_total",
                "Notices that were sent, given up, or left out since too many waited.",
            ),
            &["channel", "outcome"],
        )?;
        kept(registry, &notices)?;
        let workflows = IntCounterVec::new(
            Opts::new("cronapi_workflow_runs_total", "Runs of workflows that were closed."),
            &["result"],
        )?;
        kept(registry, &workflows)?;
        let pings = IntCounterVec::new(
            Opts::new("cronapi_pings_total", "Pings of monitors that were taken."),
            &["kind"],
        )?;
        kept(registry, &pings)?;
        Ok(Self {
            pings: By::new(PingKind::ALL, |kind| pings.with_label_values(&[kind.as_str()])),
            detection: histogram(
                registry,
                "cronapi_monitor_detection_seconds",
                "Time from the deadline of a monitor to the decision that it is down.",
            )?,
            notices,
            notice_delay: histogram(
                registry,
                "cronapi_notice_delay_seconds",
                "Time from the decision of a notice to its record as sent.",
            )?,
            workflows: By::new(&RESULTS[..5], |result| {
                workflows.with_label_values(&[result.as_str()])
            }),
            step: histogram(
                registry,
                "cronapi_workflow_step_seconds",
                "Time from when the turn of a task came to its start.",
            )?,
            fires,
            lateness: histogram(
                registry,
                "cronapi_fire_lateness_seconds",
                "Time from when a fire was due to its decision.",
            )?,
            missed: reasons(
                "cronapi_missed_fires_total",
                "Nominal times that passed undecided and were not made up for.",
                &MISSED,
            )?,
            skipped: reasons(
                "cronapi_skipped_fires_total",
                "Nominal times that a policy decided against.",
                &SKIPPED,
            )?,
            start_lateness: histogram(
                registry,
                "cronapi_start_lateness_seconds",
                "Time from the nominal time of a scheduled run to its first start.",
            )?,
            queue_wait: histogram(
                registry,
                "cronapi_queue_wait_seconds",
                "Time that a run which could start waited for a slot and its queue.",
            )?,
            runs: By::new(&RESULTS, |result| {
                By::new(&TRIGGERS, |trigger| {
                    runs.with_label_values(&[result.as_str(), trigger.as_str()])
                })
            }),
            backfilled: By::new(&RESULTS, |result| {
                backfilled.with_label_values(&[result.as_str()])
            }),
            // What was skipped never started.
            duration: By::new(&RESULTS[..5], |result| {
                duration.with_label_values(&[result.as_str()])
            }),
        })
    }

    /// Counts what an entry did.
    pub fn count(&self, facts: &[Fact]) {
        for fact in facts {
            self.one(fact);
        }
    }

    fn one(&self, fact: &Fact) {
        match *fact {
            Fact::Fired { late } => {
                self.fires.inc();
                self.lateness.observe(seconds(late));
            }
            Fact::Missed { reason, times } => add(self.missed.of(reason), times),
            Fact::Skipped { reason, times } => add(self.skipped.of(reason), times),
            Fact::Started { waited, late } => {
                waited.into_iter().for_each(|waited| self.queue_wait.observe(seconds(waited)));
                late.into_iter().for_each(|late| self.start_lateness.observe(seconds(late)));
            }
            Fact::Step { took } => self.step.observe(seconds(took)),
            Fact::Workflow { status } => add(self.workflows.of(status), 1),
            Fact::Closed { status, trigger, took } => {
                add(self.runs.of(status).and_then(|by| by.of(trigger)), 1);
                if trigger == Trigger::Backfill {
                    add(self.backfilled.of(status), 1);
                }
                if let (Some(took), Some(duration)) = (took, self.duration.of(status)) {
                    duration.observe(seconds(took));
                }
            }
            Fact::Notice { ref channel, end, waited } => {
                self.notices.with_label_values(&[channel.as_str(), end.as_str()]).inc();
                if end == NoticeEnd::Sent {
                    self.notice_delay.observe(seconds(waited));
                }
            }
            Fact::Ping { kind } => add(self.pings.of(kind), 1),
            Fact::Overdue { late } => self.detection.observe(seconds(late)),
            Fact::NoticeLeftOut { ref channel } => {
                self.notices.with_label_values(&[channel.as_str(), "left_out"]).inc();
            }
        }
    }
}

fn add(counter: Option<&IntCounter>, times: u32) {
    if let Some(counter) = counter {
        counter.inc_by(times.into());
    }
}

fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

pub(super) fn options(name: &str, help: &str, buckets: &[f64]) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(buckets.to_vec())
}

fn histogram(registry: &Registry, name: &str, help: &str) -> Result<Histogram, Error> {
    let histogram = Histogram::with_opts(options(name, help, LATENESS))?;
    kept(registry, &histogram)?;
    Ok(histogram)
}

/// Puts a metric on the page.
pub(super) fn kept<C: Collector + Clone + 'static>(
    registry: &Registry,
    metric: &C,
) -> Result<(), Error> {
    Ok(registry.register(Box::new(metric.clone()))?)
}
