//! Pushes: which browsers are told, of what each was told, and what waits.

use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::State;
use crate::model::{Facts, JobNo, Part, PushKey, PushNotice, PushSubscription};

/// What has trouble: a job or a monitor, or a part of the cluster, whose number is 0.
pub type PushSubject = (JobNo, Option<Part>);

/// All of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushes {
    /// What pushes are signed with; none: nobody asked for it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PushKey>,
    /// By id.
    pub subscriptions: OrdMap<Uuid, Arc<PushSubscription>>,
    /// Troubles that subscriptions were told of and that are not over, with the notice of each.
    pub told: OrdMap<(PushSubject, Uuid), u64>,
    /// Notices that wait, by subscription, in the order in which they were decided.
    pub waiting: OrdMap<(Uuid, u64), Arc<PushNotice>>,
    /// Notices ever decided.
    pub last: u64,
}

impl Pushes {
    /// There never was one.
    pub fn is_none(&self) -> bool {
        *self == Pushes::default()
    }

    /// Those that wait for a subscription, in order.
    pub fn of(&self, id: Uuid) -> impl Iterator<Item = &Arc<PushNotice>> {
        let all = self.waiting.range((id, 0)..=(id, u64::MAX));
        all.map(|(_, notice)| notice)
    }

    /// The subscriptions that were told of a trouble that is not over, with their notices.
    pub fn told_of<'a>(&'a self, subject: &'a PushSubject) -> impl Iterator<Item = (Uuid, u64)> {
        let all = self.told.range((subject.clone(), Uuid::nil())..=(subject.clone(), Uuid::max()));
        all.map(|((_, id), seq)| (*id, *seq))
    }
}

impl State {
    /// Whether the user of a subscription is there, and may see what a notice tells of.
    pub fn may_push(&self, to: &PushSubscription, facts: &Facts) -> bool {
        let user = self.access.users.get(&to.user).filter(|user| user.uid == to.user_uid);
        user.is_some_and(|user| {
            let tags = self.tags(facts.job_no);
            facts.part.is_some() || user.scope.covers(facts.job.as_str(), tags)
        })
    }
}
