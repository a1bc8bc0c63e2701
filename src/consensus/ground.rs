//! What a leader judges on. A leader that was cut off does not know it: what it accepts comes to
//! nothing, but what it refuses by its state may have long been right elsewhere. So every refusal
//! needs a [`Ground`] that stands: a state that a majority has confirmed, before or after.

use super::barrier::resumed;
use super::handle::Handle;
use super::submit::SubmitError;

/// What a request is judged on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// A state that holds all that was acknowledged before the request came.
    Confirmed,
    /// The same, if this node still leads in this term.
    Leads(u64),
}

impl Handle {
    /// The ground for a request that comes now. A leader that has applied what was committed
    /// before goes on without a question; [`Handle::stands`] is asked once it refuses.
    ///
    /// # Errors
    /// Nobody leads, or the leader can't reach a majority.
    pub async fn ground(&self) -> Result<Ground, SubmitError> {
        match self.leads_in() {
            Some(term) => Ok(Ground::Leads(term)),
            None => self.read_barrier().await.map(|_| Ground::Confirmed),
        }
    }

    /// Returns once a majority has confirmed what a request was judged on.
    ///
    /// # Errors
    /// Nobody has, or somebody else may have led meanwhile: it has to be judged again.
    pub async fn stands(&self, ground: Ground) -> Result<(), SubmitError> {
        let Ground::Leads(term) = ground else { return Ok(()) };
        self.read_barrier().await?;
        let now = *self.running.leadership.borrow();
        match now.is_leader && now.term == term {
            true => Ok(()),
            false => Err(SubmitError::NoLeader { leader: now.leader }),
        }
    }

    /// The term in which this node leads, if it has applied all that was committed before, and
    /// an entry of that term among it: nothing committed earlier is missing then.
    fn leads_in(&self) -> Option<u64> {
        let running = &self.running;
        let now = *running.leadership.borrow();
        let last = running.raft.metrics().borrow().last_applied?;
        let committed = running.log.committed().map_or(0, |id| id.index);
        let needed = committed.max(resumed(running.found, now.term));
        let whole = *running.published.applied.borrow() >= needed;
        (now.is_leader && last.leader_id.term == now.term && whole).then_some(now.term)
    }
}
