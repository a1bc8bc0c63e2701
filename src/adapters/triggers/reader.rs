//! Who reads a trigger: a task for each duty that this node holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

#[cfg(feature = "redis")]
use super::stream::{Read, Stream};
use crate::adapters::hold::{Hold, RETRY, SLEEP_MAX, keep};
use crate::adapters::parts::DutyParts;
#[cfg(feature = "redis")]
use crate::consensus::{Intended, SubmitError};
use crate::machine::State;
#[cfg(feature = "redis")]
use crate::machine::prepare::Intent;
#[cfg(feature = "redis")]
use crate::machine::reply::Rejection;
use crate::machine::state::Duty;
use crate::model::DutyKind;
#[cfg(feature = "redis")]
use crate::model::{Actor, EntryId};

/// A stream in which there is nothing is looked at again after so long.
const POLL: Duration = Duration::from_millis(50);

/// Runs until `stop` turns true. What is under way is finished first.
pub async fn keep_triggers(parts: DutyParts, stop: watch::Receiver<bool>) {
    keep(parts, DutyKind::Trigger, stop, |parts, hold| {
        let reader = Reader {
            parts,
            hold,
            #[cfg(feature = "redis")]
            open: None,
        };
        reader.run()
    })
    .await;
}

/// One trigger, while this node has its duty under one fence.
struct Reader {
    parts: DutyParts,
    hold: Hold,
    #[cfg(feature = "redis")]
    open: Option<Stream>,
}

/// What a look at the stream came to.
enum Step {
    /// Something was taken, and there may be more.
    More,
    /// There is no more for now.
    Done,
}

impl Reader {
    async fn run(mut self) {
        let mut retry = RETRY[0];
        while let Some((state, duty)) = self.hold.mine() {
            if !self.hold.may_act(&duty) {
                drop(state);
                self.close();
                self.hold.rest(SLEEP_MAX).await;
                continue;
            }
            match self.step(state, &duty).await {
                Ok(step) => {
                    retry = RETRY[0];
                    if matches!(step, Step::Done) {
                        self.tell(None).await;
                        self.hold.rest(POLL).await;
                    }
                }
                Err(fault) => {
                    self.close();
                    tracing::warn!(trigger = %self.hold.name(), fault, "entries wait");
                    self.tell(Some(&fault)).await;
                    self.hold.wait(&mut retry).await;
                }
            }
        }
    }

    /// Tells what is in the way, if that is new. The position stands in the state by itself.
    async fn tell(&mut self, fault: Option<&str>) {
        let Some((state, duty)) = self.hold.mine() else { return };
        drop(state);
        if duty.fault.as_deref() != fault {
            self.hold.record_now(duty.position, fault).await;
        }
    }

    #[cfg(not(feature = "redis"))]
    fn close(&mut self) {}

    #[cfg(not(feature = "redis"))]
    #[allow(clippy::unused_async, reason = "with the feature it waits")]
    async fn step(&mut self, _: Arc<State>, _: &Duty) -> Result<Step, String> {
        let _ = &self.parts;
        Err("this program was built without triggers of the type redis_stream".into())
    }
}

#[cfg(feature = "redis")]
impl Reader {
    fn close(&mut self) {
        self.open = None;
    }

    /// Takes the next entries.
    async fn step(&mut self, state: Arc<State>, duty: &Duty) -> Result<Step, String> {
        let name = self.hold.name().clone();
        let spec = state.trigger(name.as_str()).cloned().ok_or("the trigger is gone")?;
        let at = EntryId::from(duty.position);
        // No state is kept while Redis is waited for.
        let named = if self.open.is_none() {
            Some(self.parts.url(&state, spec.config.url.as_ref())?)
        } else {
            None
        };
        drop(state);
        if let Some(named) = named {
            let guard = named.is_some().then_some(&*self.parts.env);
            let url = named.or_else(|| self.parts.redis_url.clone());
            let url = url.ok_or("this node was started without REDIS_URL")?;
            self.open = Some(Stream::open(&url, &spec.config.stream, guard).await?);
        }
        let Some(stream) = &mut self.open else { return Ok(Step::Done) };
        let Read { last, entries } = stream.read(at).await?;
        if let Some(last) = last.filter(|last| *last < at) {
            return Err(format!(
                "the stream {} is at {last}, before {at}, the last entry that was taken: it was \
                 made anew, or lost entries; have the trigger begin elsewhere (rewind)",
                spec.config.stream
            ));
        }
        // Between the look and the proposal the duty may have gone elsewhere.
        let mine = self.hold.mine().is_some_and(|(_, duty)| self.hold.may_act(&duty));
        if entries.is_empty() || !mine {
            return Ok(Step::Done);
        }
        let ids: Vec<EntryId> = entries.iter().map(|(id, _)| *id).collect();
        let by =
            Actor { name: format!("trigger:{name}"), from: None, request_id: None, trace: None };
        let intent = Intent::TakeEntries { trigger: name, fence: self.hold.fence, entries };
        let done = self.parts.consensus.submit(Intended::new(intent, Some(by), None)).await;
        match done {
            Ok(done) => match done.answer {
                Ok(_) => self.count(duty, &ids),
                // Another one has it, or what it was prepared on has moved: it is looked at anew.
                Err(Rejection::Stale | Rejection::Fenced | Rejection::Ahead { .. }) => {
                    self.hold.rest(POLL).await;
                }
                Err(why) => return Err(format!("entry {}: {why}", ids[0])),
            },
            Err(SubmitError::Stopping) => return Ok(Step::Done),
            Err(error) => return Err(error.to_string()),
        }
        Ok(Step::More)
    }

    /// Counts what was taken, as the state has it.
    fn count(&self, before: &Duty, ids: &[EntryId]) {
        let state = self.parts.consensus.state();
        let Some(now) = state.duties.all.get(&self.hold.key) else { return };
        let count = |duty: &Duty| duty.refused.as_ref().map_or(0, |refused| refused.count);
        let refused = count(now).saturating_sub(count(before));
        let (from, to) = (EntryId::from(before.position), EntryId::from(now.position));
        let taken = ids.iter().filter(|id| **id > from && **id <= to).count() as u64;
        let name = self.hold.name().as_str();
        self.parts.metrics.sends.taken(name, taken.saturating_sub(refused), refused);
    }
}
