//! Whether this node can serve, check by check.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Action, Caller, Error, Service, Target};
use crate::storage::Pressure;

/// The name of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// Nothing made the node give up.
    Running,
    /// A leader is known, a majority was heard of, and the cluster has its first admin.
    Leader,
    /// What is known to be committed is applied.
    Applied,
    /// What was written is where it can be made durable.
    Storage,
    /// A file could be written lately.
    Disk,
}

impl CheckName {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckName::Running => "running",
            CheckName::Leader => "leader",
            CheckName::Applied => "applied",
            CheckName::Storage => "storage",
            CheckName::Disk => "disk",
        }
    }
}

/// One thing that a node needs to serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Check {
    /// Which.
    pub name: CheckName,
    /// Whether it is there.
    pub ok: bool,
    /// More about it, for callers with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
}

impl Service {
    /// What this node needs to serve, and whether it is there.
    pub fn checks(&self) -> Vec<Check> {
        [
            (CheckName::Running, self.running()),
            (CheckName::Leader, self.led()),
            (CheckName::Applied, self.caught_up()),
            (CheckName::Storage, self.sound()),
            (CheckName::Disk, self.writable()),
        ]
        .into_iter()
        .map(|(name, found)| {
            let ok = found.is_ok();
            let (Ok(detail) | Err(detail)) = found;
            Check { name, ok, detail: Some(detail) }
        })
        .collect()
    }

    /// Whether this node can serve.
    ///
    /// # Errors
    /// Every reason why it can't.
    pub fn ready(&self) -> Result<(), Vec<String>> {
        let checks = self.checks().into_iter();
        let reasons: Vec<_> = checks.filter(|check| !check.ok).filter_map(|c| c.detail).collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// Whether the caller may see what is behind the checks.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn may_see_checks(&self, c: &Caller) -> Result<(), Error> {
        c.permit(Action::ReadCluster, Target::Cluster).map(drop)
    }

    fn running(&self) -> Result<String, String> {
        match &*self.consensus().fatal().borrow() {
            Some(reason) => Err(format!("this node must stop: {reason}")),
            None => Ok("it runs".to_string()),
        }
    }

    fn led(&self) -> Result<String, String> {
        let now = *self.consensus().leadership().borrow();
        let Some(leader) = now.leader else {
            let why = "no leader is known: this node waits for a majority of the voters";
            return Err(why.to_string());
        };
        // A leader that is cut off takes itself for one until it hears of another.
        if *self.consensus().lease().borrow() <= Instant::now() {
            return Err(format!(
                "node {leader} leads as far as this one knows, but no majority was heard of \
                 lately: this node waits for it"
            ));
        }
        if self.consensus().state().access.users.is_empty() {
            return Err("nobody can log in yet: the first admin is being made".to_string());
        }
        Ok(format!("node {leader} leads in term {}", now.term))
    }

    fn caught_up(&self) -> Result<String, String> {
        let status = self.consensus().status();
        match status.committed.checked_sub(status.applied) {
            None | Some(0) => Ok(format!("entry {} is applied", status.applied)),
            Some(behind) => Err(format!("{behind} committed entries are not applied yet")),
        }
    }

    fn sound(&self) -> Result<String, String> {
        match self.consensus().health() {
            Ok(()) => Ok("what was written is where it can be made durable".to_string()),
            Err(error) => Err(format!("the storage is not sound: {error}")),
        }
    }

    fn writable(&self) -> Result<String, String> {
        self.consensus().writable()?;
        let (room, pressure) = self.consensus().room();
        let free = room.free / 1024 / 1024;
        Ok(match pressure {
            Pressure::None => format!("{free} MiB are free"),
            Pressure::Output => format!("{free} MiB are free: no output is kept"),
            Pressure::Writes => {
                format!("{free} MiB are free: jobs and triggers are refused, no output is kept")
            }
        })
    }
}
