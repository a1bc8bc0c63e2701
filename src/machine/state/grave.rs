//! Deleted jobs whose history is still there: what their past is found and judged by.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use serde::{Deserialize, Serialize};

use super::{Job, Live};
use crate::model::{JobNo, JobUid, Name, Retention, Timestamp, limits};

/// A job that was deleted. Its definition is the newest of its versions, in the history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grave {
    /// Its number; the short form of `uid`.
    pub no: JobNo,
    /// Its identity.
    pub uid: JobUid,
    /// The name it had; another job may have it by now.
    pub name: Name,
    /// The tags it had: whoever could see the job may see its past.
    pub tags: Vec<String>,
    /// The last version.
    pub version: u64,
    /// Creation.
    pub created_at: Timestamp,
    /// Its end.
    pub deleted_at: Timestamp,
    /// Who deleted it.
    pub by: String,
    /// How much of its past is kept.
    pub retention: Retention,
    /// What runs and fires had made of it, and what its last runs still do.
    pub live: Live,
}

/// All of them, `limits::DELETED_JOBS_MAX` at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Graves {
    /// By number.
    pub by_no: OrdMap<JobNo, Arc<Grave>>,
    /// In the order in which they were deleted.
    pub by_age: OrdSet<(Timestamp, JobNo)>,
    /// By the name they had.
    pub by_name: OrdSet<(Name, JobNo)>,
}

impl Graves {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_no.is_empty()
    }

    /// The jobs that had this name, the one that was deleted last first.
    pub fn named(&self, name: &Name) -> impl Iterator<Item = &Arc<Grave>> {
        let range = (name.clone(), 0)..=(name.clone(), JobNo::MAX);
        self.by_name.range(range).rev().filter_map(|(_, no)| self.by_no.get(no))
    }

    /// Remembers `job`; gives those that have to go for it.
    pub(in crate::machine) fn bury(&mut self, job: &Job, at: Timestamp, by: String) -> Vec<JobNo> {
        let (no, name) = (job.no, job.spec.name.clone());
        let live = Live { next: None, paused_from: None, ..job.live.clone() };
        let grave = Grave {
            no,
            uid: job.uid,
            name: name.clone(),
            tags: job.spec.tags.clone(),
            version: job.version,
            created_at: job.created_at,
            deleted_at: at,
            by,
            retention: job.spec.retention(),
            live,
        };
        self.by_no.insert(no, Arc::new(grave));
        self.by_age.insert((at, no));
        self.by_name.insert((name, no));
        let over = self.by_no.len().saturating_sub(limits::DELETED_JOBS_MAX);
        let oldest: Vec<JobNo> = self.by_age.iter().take(over).map(|(_, no)| *no).collect();
        oldest.into_iter().filter(|no| self.forget(*no)).collect()
    }

    /// Forgets a job; whether it was remembered.
    pub(in crate::machine) fn forget(&mut self, no: JobNo) -> bool {
        let Some(grave) = self.by_no.remove(&no) else { return false };
        self.by_age.remove(&(grave.deleted_at, no));
        self.by_name.remove(&(grave.name.clone(), no));
        true
    }
}
