//! What a queue asks of the runs that wait in it: how many may start in a time, who has which
//! share, and what waiting is worth.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use super::invalid::Invalid;
use super::limits::{
    QUEUE_RATE_LIMIT_MAX, QUEUE_RATES_MAX, QUEUE_WAITING_MAX, QUEUE_WEIGHT_MAX, QUEUE_WEIGHTS_MAX,
    SPAN_MAX,
};
use super::name::Name;
use super::parameters::Parameters;
use super::span::Span;

/// Characters of a share's name; a longer one is told by its hash.
const SHARE_LEN_MAX: usize = 128;

/// Attempts that may start in any window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartRate {
    /// Attempts.
    #[schema(minimum = 1, maximum = 10000)]
    pub limit: u32,
    /// The length of the window.
    pub per: Span,
}

/// Which share of each node's slots, in percent and rounded up, attempts of a lane may take
/// together with those of the lanes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneShares {
    /// All attempts. Default: 100.
    #[serde(default = "live_share")]
    #[schema(minimum = 1, maximum = 100)]
    pub live: u32,
    /// Retries, what is caught up, and backfills. Default: 75.
    #[serde(default = "retry_share")]
    #[schema(minimum = 1, maximum = 100)]
    pub retry: u32,
    /// Backfills and what they lead to. Default: 50.
    #[serde(default = "backfill_share")]
    #[schema(minimum = 1, maximum = 100)]
    pub backfill: u32,
}

/// Those that hold until somebody sets others.
pub const LANE_SHARES: LaneShares = LaneShares { live: 100, retry: 75, backfill: 50 };

impl LaneShares {
    /// How many of so many slots the attempts of each lane may have, with those of the lanes behind
    /// it: one at least.
    pub fn of(self, slots: u32) -> [u32; 3] {
        let share = |percent: u32| {
            let share = (u64::from(slots) * u64::from(percent)).div_ceil(100);
            u32::try_from(share).unwrap_or(u32::MAX)
        };
        [share(self.live), share(self.retry), share(self.backfill)]
    }
}

fn live_share() -> u32 {
    LANE_SHARES.live
}

fn retry_share() -> u32 {
    LANE_SHARES.retry
}

fn backfill_share() -> u32 {
    LANE_SHARES.backfill
}

/// Whose runs share a queue evenly: those of each job, of each value that a tag `name:value` has,
/// or of each value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FairBy {
    /// Each job.
    Job,
    /// Each tag that begins so, followed by a colon.
    Tag(Arc<str>),
    /// Each value of that parameter.
    Parameter(Arc<str>),
}

impl FairBy {
    fn parse(text: &str) -> Option<FairBy> {
        let named =
            |name: &str| (!name.is_empty() && name.len() <= SHARE_LEN_MAX).then(|| Arc::from(name));
        match text.split_once(':') {
            None if text == "job" => Some(FairBy::Job),
            Some(("tag", name)) => named(name).map(FairBy::Tag),
            Some(("parameter", name)) => named(name).map(FairBy::Parameter),
            _ => None,
        }
    }

    /// The share that a run belongs to. What has no such tag or parameter is one share together.
    pub fn share(&self, job: &Name, tags: &[String], parameters: &Parameters) -> String {
        let whole = match self {
            FairBy::Job => job.to_string(),
            FairBy::Tag(name) => {
                let of = |tag: &String| {
                    let rest = tag.strip_prefix(&**name)?;
                    // A name has no colon: in tags a dot, a dash or an underline stands for it.
                    rest.strip_prefix(['.', '-', '_']).map(str::to_owned)
                };
                tags.iter().find_map(of).unwrap_or_default()
            }
            FairBy::Parameter(path) => {
                let whole = parameters.map();
                let mut keys = path.split('.');
                let first = keys.next().and_then(|key| whole.get(key));
                let found = keys.try_fold(first, |value, key| value.map(|it| it.get(key)));
                match found.flatten() {
                    Some(serde_json::Value::String(text)) => text.clone(),
                    Some(serde_json::Value::Null) | None => String::new(),
                    Some(other) => other.to_string(),
                }
            }
        };
        if whole.len() <= SHARE_LEN_MAX {
            return whole;
        }
        let digest: [u8; 32] = Sha256::digest(whole.as_bytes()).into();
        let hash: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("sha256:{hash}")
    }
}

impl std::fmt::Display for FairBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FairBy::Job => f.write_str("job"),
            FairBy::Tag(name) => write!(f, "tag:{name}"),
            FairBy::Parameter(name) => write!(f, "parameter:{name}"),
        }
    }
}

impl Serialize for FairBy {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FairBy {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let wanted = "must be \"job\", \"tag:<name>\" or \"parameter:<name>\"";
        FairBy::parse(&text).ok_or_else(|| de::Error::custom(wanted))
    }
}

/// The rules of a queue, beside its bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct QueueRules {
    /// Nothing of it starts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// All hold at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rates: Vec<StartRate>,
    /// Starts stand as far apart as the rates have them on average.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub spread: bool,
    /// Whose runs share it evenly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fair_by: Option<FairBy>,
    /// Shares that weigh more than 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// Waiting so long is worth a point of priority; none: priority goes first for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ageing: Option<Span>,
    /// Runs that may wait; none: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_waiting: Option<u32>,
}

impl QueueRules {
    /// The starts that have to be remembered.
    pub fn remembered(&self) -> usize {
        let most = self.rates.iter().map(|rate| rate.limit).max().unwrap_or(0);
        most as usize
    }

    /// What a share weighs.
    pub fn weight(&self, share: &str) -> u32 {
        self.weights.get(share).copied().unwrap_or(1)
    }

    /// What is wrong with them.
    pub fn check(&self, faults: &mut Vec<Invalid>) {
        if self.rates.len() > QUEUE_RATES_MAX {
            faults.push(Invalid::new("rates", format!("has over {QUEUE_RATES_MAX} windows")));
        }
        for (at, rate) in self.rates.iter().enumerate() {
            if rate.limit == 0 || rate.limit > QUEUE_RATE_LIMIT_MAX {
                let detail = format!("must be from 1 to {QUEUE_RATE_LIMIT_MAX}");
                faults.push(Invalid::new(format!("rates/{at}/limit"), detail));
            }
            if rate.per == Span::ZERO || rate.per > SPAN_MAX {
                let detail = "must be over 0, and ten years at most";
                faults.push(Invalid::new(format!("rates/{at}/per"), detail));
            }
        }
        if self.spread && self.rates.is_empty() {
            faults.push(Invalid::new("spread", "has no meaning without rates"));
        }
        if !self.weights.is_empty() && self.fair_by.is_none() {
            faults.push(Invalid::new("weights", "have no meaning without fair_by"));
        }
        if self.weights.len() > QUEUE_WEIGHTS_MAX {
            faults.push(Invalid::new("weights", format!("has over {QUEUE_WEIGHTS_MAX} shares")));
        }
        for (share, weight) in &self.weights {
            if *weight == 0 || *weight > QUEUE_WEIGHT_MAX {
                let at = share.replace('~', "~0").replace('/', "~1");
                let detail = format!("must be from 1 to {QUEUE_WEIGHT_MAX}");
                faults.push(Invalid::new(format!("weights/{at}"), detail));
            }
        }
        if self.ageing.is_some_and(|ageing| ageing == Span::ZERO || ageing > SPAN_MAX) {
            let detail = "must be over 0; leave it out for strict priority";
            faults.push(Invalid::new("ageing", detail));
        }
        if self.max_waiting.is_some_and(|most| most == 0 || most > QUEUE_WAITING_MAX) {
            let detail = format!("must be from 1 to {QUEUE_WAITING_MAX}");
            faults.push(Invalid::new("max_waiting", detail));
        }
    }
}
