//! What a backup leaves undecided, when a cluster begins anew from it.

use crate::machine::command::{Command, Op, Restored, Settled, SigningKey};
use crate::machine::state::{Job, State};
use crate::model::{Actor, Outcome, SkipReason, Timestamp, limits};

use super::timing::Timing;

/// Where a backup comes from, and what became of its cluster.
pub struct Origin {
    /// The cluster.
    pub cluster: String,
    /// Index of the last entry it covers.
    pub index: u64,
    /// The cluster may have fired up to here; none: it did nothing after the backup.
    pub as_of: Option<Timestamp>,
}

/// The command that makes the state of a backup the beginning of a new cluster. Nominal times up
/// to `as_of` are skipped; the later ones are for the misfire policy of their job.
pub fn restored(
    state: &State,
    origin: Origin,
    now: Timestamp,
    signing_key: SigningKey,
    actor: Actor,
) -> Command {
    let Origin { cluster, index, as_of } = origin;
    // A fire may be decided a little ahead of its time.
    let until = as_of.map(|as_of| {
        let until = as_of.max(state.last_at).plus(limits::EARLY_HORIZON);
        Timestamp::from_secs(until.secs() + 1)
    });
    let settled = until.into_iter().flat_map(|until| {
        let jobs = state.jobs.values();
        jobs.filter_map(move |job| settle(job, until)).collect::<Vec<_>>()
    });
    let restored = Restored {
        cluster,
        index,
        as_of: as_of.unwrap_or(state.last_at),
        stopped: as_of.is_none(),
        settled: settled.collect(),
        signing_key,
        format: super::super::state::FORMAT,
    };
    let (actor, op) = (Some(actor), Op::Restored(Box::new(restored)));
    Command { at: now, actor, request: None, op }
}

fn settle(job: &Job, until: Timestamp) -> Option<Settled> {
    let next = job.live.next.filter(|next| next.nominal < until)?;
    // One that no longer compiles has no times any more, neither decided nor to come.
    let timing = Timing::compile(&job.spec, job.created_at).ok()??;
    let reason = Some(SkipReason::Restored);
    let range = timing.range(next.nominal, until, Outcome::Skipped, reason)?;
    let next = timing.next_from(until);
    Some(Settled { no: job.no, version: job.version, range, next })
}
