//! Heartbeats of jobs: a monitor elsewhere is called after each run that succeeded.
//!
//! Owns: what is called, and what its answer means. Does not own: when one is due
//! (`machine::apply::beats`), and who notices that none comes, which is the monitor.

use std::sync::Arc;

use reqwest::{Method, Request, Url};
use tokio::sync::watch;
use tokio::time::timeout;

use super::hold::keep;
use super::outgoing::{Outgoing, UnderWay, serve};
use super::parts::DutyParts;
use crate::executor::job_setting;
use crate::executor::runner::{RunnerEnv, post};
use crate::machine::command::Beaten;
use crate::machine::{Op, State};
use crate::model::limits::{DELIVERY_ANSWER_BYTES_MAX, DELIVERY_TIMEOUT, HEARTBEATS_AT_ONCE};
use crate::model::{Delivery, DutyKind, Fence, JobNo, Span};

/// Runs until `stop` turns true. What is under way is finished first.
pub async fn keep_heartbeats(parts: DutyParts, stop: watch::Receiver<bool>) {
    keep(parts, DutyKind::Heartbeat, stop, |parts, hold| {
        serve(Caller { parts: parts.clone() }, parts, hold, HEARTBEATS_AT_ONCE)
    })
    .await;
}

/// Calls monitors.
struct Caller {
    parts: DutyParts,
}

impl Outgoing for Caller {
    type To = JobNo;
    type Done = Beaten;

    fn begin(
        &mut self,
        state: &State,
        under_way: &mut UnderWay<JobNo, Beaten>,
    ) -> Result<Vec<Beaten>, String> {
        let now = self.parts.clock.now();
        let mut settled = Vec::new();
        let due = state.beats.waiting.iter().take_while(|(at, _)| *at <= now);
        for (_, no) in due {
            let Some(run) = state.beats.all.get(no).and_then(|beat| beat.run) else { continue };
            if !under_way.takes(no) {
                continue;
            }
            let (no, env) = (*no, Arc::clone(&self.parts.env));
            match self.address(state, no) {
                Ok(url) => under_way.start(no, async move {
                    Beaten { no, run, outcome: call(&env, url, now.secs()).await }
                }),
                Err(outcome) => settled.push(Beaten { no, run, outcome }),
            }
        }
        Ok(settled)
    }

    fn record(&self, fence: Fence, beaten: Vec<Beaten>) -> Op {
        for Beaten { no, outcome, .. } in &beaten {
            let (outcome, error) = match outcome {
                Delivery::Sent => ("sent", None),
                Delivery::Retry { error, .. } => ("failed", Some(error)),
                Delivery::Dead { error } => ("refused", Some(error)),
            };
            self.parts.metrics.sends.heartbeat(outcome);
            if let Some(error) = error {
                tracing::warn!(job = no, error, "the heartbeat of a job was not taken");
            }
        }
        Op::Beaten { fence, beaten }
    }
}

impl Caller {
    /// Where the monitor of a job is. What is wrong with that may be mended, by a secret.
    fn address(&self, state: &State, no: JobNo) -> Result<Url, Delivery> {
        let later = |error| Delivery::Retry { error, after: None };
        let job = state.jobs.get(&no).ok_or_else(|| later("the job is gone".into()))?;
        let setting = job.spec.heartbeat_url.as_deref();
        let setting = setting.ok_or_else(|| later("the job has no heartbeat_url".into()))?;
        let url = job_setting(setting, &job.spec, state, self.parts.vault.as_deref());
        let url = url.map_err(later)?;
        let none = || later("heartbeat_url is no address that begins with https://".into());
        let url = Url::parse(url.trim()).map_err(|_| none())?;
        if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(none()) }
    }
}

/// Calls a monitor once. No fault has the address in it: who knows it may call it.
async fn call(env: &RunnerEnv, url: Url, now: i64) -> Delivery {
    let sent = post(env, Request::new(Method::GET, url), DELIVERY_ANSWER_BYTES_MAX, now);
    let answer = match timeout(DELIVERY_TIMEOUT.std(), sent).await {
        Ok(Ok(answer)) => answer,
        Ok(Err((error, true))) => return Delivery::Retry { error, after: None },
        Ok(Err((error, false))) => return Delivery::Dead { error },
        Err(_) => {
            let error = format!("no answer within {DELIVERY_TIMEOUT}");
            return Delivery::Retry { error, after: None };
        }
    };
    if answer.status.is_success() {
        return Delivery::Sent;
    }
    let error = format!("HTTP {}", answer.status);
    if answer.status.is_server_error() || matches!(answer.status.as_u16(), 408 | 425 | 429) {
        let after = answer.retry_after.map(|after| Span::from_millis(after.as_millis() as u64));
        return Delivery::Retry { error, after };
    }
    Delivery::Dead { error }
}
