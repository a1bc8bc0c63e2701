//! Queues and their limits.

use serde::Serialize;

use crate::machine::Op;
use crate::model::limits::CONCURRENT_MAX;
use crate::model::{Invalid, Name};
use crate::service::caller::{Action, Target};
use crate::service::{Caller, Error, Service};

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct QueueView {
    /// Its name, as jobs give it.
    pub name: Name,
    /// Attempts at a time; null: no bound.
    #[schema(required)]
    pub concurrency: Option<u32>,
    /// Attempts under way.
    pub busy: u32,
}

impl Service {
    /// The queues that have a limit or runs in them, by name.
    ///
    /// # Errors
    /// `Forbidden`.
    pub async fn queues(&self, c: &Caller) -> Result<Vec<QueueView>, Error> {
        c.permit(Action::ReadCluster, Target::Cluster)?;
        let state = self.consensus().state();
        let view = |(name, queue): (&Name, &crate::machine::state::Queue)| QueueView {
            name: name.clone(),
            concurrency: queue.concurrency,
            busy: queue.busy,
        };
        Ok(state.queues.iter().map(view).collect())
    }

    /// A queue; one that has neither a limit nor runs in it is not known.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`.
    pub async fn queue(&self, c: &Caller, name: &Name) -> Result<QueueView, Error> {
        let mut all = self.queues(c).await?.into_iter();
        let found = all.find(|queue| queue.name == *name);
        found.ok_or_else(|| Error::NotFound { what: "queue".into(), name: name.to_string() })
    }

    /// Sets the limit of a queue, or removes it.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, or as any write.
    pub async fn set_queue(
        &self,
        c: &Caller,
        name: Name,
        concurrency: Option<u32>,
    ) -> Result<QueueView, Error> {
        c.permit(Action::ManageCluster, Target::Cluster)?;
        if concurrency.is_some_and(|most| most == 0 || most > CONCURRENT_MAX) {
            let detail = format!("must be from 1 to {CONCURRENT_MAX}; null removes the limit");
            return Err(Error::Invalid(vec![Invalid::new("concurrency", detail)]));
        }
        self.plain(&c.actor, Op::SetQueue { name: name.clone(), concurrency }).await?;
        let state = self.consensus().state();
        let busy = state.queues.get(&name).map_or(0, |queue| queue.busy);
        Ok(QueueView { name, concurrency, busy })
    }
}
