//! What a job wants when things do not go plainly: overlap, misfires, retries, retention,
//! daylight saving. Contract sections 2, 3 and 5.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::invalid::Invalid;
use super::limits;
use super::span::Span;

/// What a fire does while an earlier run of the job is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Start beside it, up to `max_concurrent` when that is given.
    Allow,
    /// Record the fire as skipped.
    #[default]
    Skip,
    /// Wait behind it; one waits at most, a further fire is skipped.
    QueueOne,
    /// Wait behind it, in order.
    QueueAll,
    /// Cancel it, and start when it has ended.
    CancelRunning,
}

/// Which of the times missed without a leader are caught up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MisfirePolicy {
    /// One run, for the newest of them.
    #[default]
    Latest,
    /// All, oldest first, up to `max`.
    All,
    /// None.
    Skip,
}

/// Catch-up after a time without a leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Misfire {
    /// Which missed times run.
    pub policy: MisfirePolicy,
    /// Older missed times are recorded as skipped.
    pub window: Span,
    /// Runs of one catch-up under `all`.
    #[schema(minimum = 1, maximum = 10_000)]
    pub max: u32,
}

impl Default for Misfire {
    fn default() -> Self {
        Misfire {
            policy: MisfirePolicy::Latest,
            window: limits::MISFIRE_WINDOW_DEFAULT,
            max: limits::MISFIRE_MAX_DEFAULT,
        }
    }
}

/// How an attempt must have ended to be retried.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RetryOn {
    /// The runner reported a failure.
    Failed,
    /// The attempt outlived `timeout`.
    TimedOut,
    /// The node that ran it died or was cut off: it may or may not have done its work.
    Lost,
}

/// A factor in thousandths, so that nodes agree on it to the bit; a number in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor(pub u32);

impl Serialize for Factor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() {
            s.serialize_f64(f64::from(self.0) / 1_000.0)
        } else {
            s.serialize_u32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if !d.is_human_readable() {
            return u32::deserialize(d).map(Factor);
        }
        let number = f64::deserialize(d)?;
        if !(1.0..=100.0).contains(&number) {
            return Err(serde::de::Error::custom("must be a number from 1 to 100"));
        }
        Ok(Factor((number * 1_000.0).round() as u32))
    }
}

/// When and how often a run is attempted again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts in all, the first included.
    #[schema(minimum = 1, maximum = 100)]
    pub max_attempts: u32,
    /// From the end of an attempt to the next.
    pub delay: Span,
    /// Each further delay is this many times the one before.
    #[schema(value_type = f64, minimum = 1, maximum = 100)]
    pub multiplier: Factor,
    /// No delay is longer.
    pub max_delay: Span,
    /// Up to this much is added to a delay, fixed by the run and the attempt.
    pub jitter: Span,
    /// The ends that are retried.
    #[schema(max_items = 3)]
    pub on: Vec<RetryOn>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            max_attempts: 1,
            delay: Span::from_secs(1),
            multiplier: Factor(2_000),
            max_delay: Span::from_secs(3_600),
            jitter: Span::ZERO,
            on: vec![RetryOn::Failed, RetryOn::TimedOut],
        }
    }
}

impl Retry {
    /// Time from the end of attempt `attempt` (1 is the first) to the next; `salt` spreads
    /// the jitter.
    pub fn delay_after(&self, attempt: u32, salt: u64) -> Span {
        let mut millis = self.delay.millis();
        for _ in 1..attempt.min(limits::ATTEMPTS_MAX) {
            millis = millis.saturating_mul(u64::from(self.multiplier.0)) / 1_000;
            if millis >= self.max_delay.millis() {
                break;
            }
        }
        let jitter = match self.jitter.millis() {
            0 => 0,
            bound => salt % (bound + 1),
        };
        Span::from_millis(millis.min(self.max_delay.millis()).saturating_add(jitter))
    }
}

/// How much history of a job is kept; whichever bound is reached first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Closed runs.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub count: u32,
    /// Age of a closed run or ledger row.
    pub age: Span,
    /// Captured output of all closed runs together, in bytes; none: no bound of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub bytes: Option<u64>,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            count: limits::RETENTION_COUNT_DEFAULT,
            age: limits::RETENTION_AGE_DEFAULT,
            bytes: None,
        }
    }
}

/// A wall-clock time that does not exist on the day the clocks go forward.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DstGap {
    /// Run at the first instant after the gap.
    #[default]
    RunAfter,
    /// Do not run that day.
    Skip,
}

/// A wall-clock time that comes twice on the day the clocks go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DstFold {
    /// Run in the first pass only.
    First,
    /// Run in both.
    Both,
}

/// What becomes of an attempt when its node loses its lease: when it could not reach the
/// leader for so long that it has to expect to be given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnLeaseLost {
    /// It goes on; its end counts if the run is not closed by then.
    #[default]
    Continue,
    /// It is stopped, as by a cancel, and is `lost`.
    Kill,
}

pub(in crate::model) fn check_retry(retry: &Retry, faults: &mut Vec<Invalid>) {
    if retry.max_attempts == 0 || retry.max_attempts > limits::ATTEMPTS_MAX {
        let most = limits::ATTEMPTS_MAX;
        faults.push(Invalid::new("retry/max_attempts", format!("must be from 1 to {most}")));
    }
    for (field, span) in
        [("delay", retry.delay), ("max_delay", retry.max_delay), ("jitter", retry.jitter)]
    {
        if span > limits::SPAN_MAX {
            faults.push(Invalid::new(format!("retry/{field}"), "is over ten years"));
        }
    }
}

pub(super) fn check_misfire(misfire: &Misfire, faults: &mut Vec<Invalid>) {
    if misfire.max == 0 || misfire.max > limits::MISFIRE_MAX {
        let most = limits::MISFIRE_MAX;
        faults.push(Invalid::new("misfire/max", format!("must be from 1 to {most}")));
    }
    if misfire.window > limits::SPAN_MAX {
        faults.push(Invalid::new("misfire/window", "is over ten years"));
    }
}

pub(super) fn check_retention(retention: &Retention, faults: &mut Vec<Invalid>) {
    if retention.count == 0 || retention.count > 1_000_000 {
        faults.push(Invalid::new("retention/count", "must be from 1 to 1000000"));
    }
    if retention.age > limits::SPAN_MAX || retention.age < Span::from_secs(60) {
        faults.push(Invalid::new("retention/age", "must be from 1m to ten years"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_by_the_multiplier_up_to_the_bound() {
        let retry = Retry { max_delay: Span::from_secs(5), ..Retry::default() };
        let delays: Vec<u64> = (1..=5).map(|n| retry.delay_after(n, 0).millis()).collect();
        assert_eq!(delays, [1_000, 2_000, 4_000, 5_000, 5_000]);
        let jittered = Retry { jitter: Span::from_millis(9), ..Retry::default() };
        assert_eq!(jittered.delay_after(1, 19).millis(), 1_009);
    }
}
