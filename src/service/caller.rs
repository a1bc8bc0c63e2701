//! Who asks, and what they may do.
//!
//! A use case gets a [`Permit`] from [`Caller::permit`] before it reads or changes
//! anything. Roles are a ladder; a scope narrows a role to some jobs.

use uuid::Uuid;

use super::error::Error;
use crate::machine::prepare::Intent;
use crate::model::{Actor, JobSpec, Kind, Name, Role, Scope, Session, Timestamp};

/// An authenticated caller. Only `service::access` makes one.
#[allow(clippy::manual_non_exhaustive, reason = "not even this crate may write one down")]
#[derive(Clone, Debug)]
pub struct Caller {
    /// As the audit names it.
    pub actor: Actor,
    /// The account.
    pub user: Name,
    /// What it may do; of a token at most what its owner may.
    pub role: Role,
    /// The jobs that counts for.
    pub scope: Scope,
    /// When it has to authenticate again; none: not by itself.
    pub expires_at: Option<Timestamp>,
    /// The API token it came with.
    pub via_token: Option<Uuid>,
    /// Where it is logged in; none: it came with an API token.
    pub(super) session: Option<Session>,
    _made: Made,
}

/// Outside of `service` nobody can write a caller down.
#[derive(Clone, Debug)]
struct Made;

/// What a caller wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// See definitions, runs, output, the ledger, events.
    ReadJobs,
    /// Start a run.
    TriggerJobs,
    /// Write definitions; cancel and repeat runs; force a run.
    ManageJobs,
    /// Let a job run as another account of the system.
    RunAsUser,
    /// Create, change and remove users.
    ManageUsers,
    /// See users and all tokens.
    ReadUsers,
    /// See the audit.
    ReadAudit,
    /// See nodes, queues, the leader.
    ReadCluster,
    /// See what tells people of jobs.
    ReadAlerts,
    /// Change what tells people of jobs.
    ManageAlerts,
    /// Change what reaches out of the cluster.
    ManageOutside,
    /// Change queues and membership.
    ManageCluster,
    /// Take everything there is, hashes and keys too.
    BackUp,
    /// See which secrets there are.
    ReadSecrets,
    /// Give secrets values, and take them away.
    ManageSecrets,
}

impl Action {
    /// The least role that may.
    pub fn role(self) -> Role {
        match self {
            Action::ReadJobs | Action::ReadCluster | Action::ReadAlerts => Role::Viewer,
            Action::TriggerJobs => Role::Runner,
            Action::ManageJobs | Action::ManageAlerts | Action::ReadSecrets => Role::Operator,
            Action::RunAsUser
            | Action::ManageUsers
            | Action::ReadUsers
            | Action::ReadAudit
            | Action::ManageCluster
            | Action::ManageOutside
            | Action::BackUp
            | Action::ManageSecrets => Role::Admin,
        }
    }

    fn reads_jobs(self) -> bool {
        self == Action::ReadJobs
    }

    fn does(self) -> &'static str {
        match self {
            Action::ReadJobs => "read jobs",
            Action::TriggerJobs => "trigger jobs",
            Action::ManageJobs => "manage jobs",
            Action::RunAsUser => "let a job run as another user",
            Action::ManageUsers => "manage users",
            Action::ReadUsers => "see users",
            Action::ReadAudit => "read the audit",
            Action::ReadCluster => "see the cluster",
            Action::ManageCluster => "manage the cluster",
            Action::ReadAlerts => "see what alerts",
            Action::ManageAlerts => "manage what alerts",
            Action::ManageOutside => "manage what reaches out of the cluster",
            Action::BackUp => "take a backup",
            Action::ReadSecrets => "see secrets",
            Action::ManageSecrets => "manage secrets",
        }
    }
}

/// What an action is done to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// The cluster, or no job in particular.
    Cluster,
    /// A job.
    Job {
        /// Its name.
        name: &'a str,
        /// Its tags.
        tags: &'a [String],
    },
    /// A definition of another kind that counts for some jobs only.
    Definition {
        /// Its kind.
        kind: Kind,
        /// Its name.
        name: &'a str,
        /// Its tags.
        tags: &'a [String],
    },
}

impl<'a> From<&'a JobSpec> for Target<'a> {
    fn from(spec: &'a JobSpec) -> Self {
        Target::Job { name: spec.name.as_str(), tags: &spec.tags }
    }
}

/// Proof that a caller may do something. It is made by [`Caller::permit`] alone, and a write takes
/// one: none is reached without its check.
#[derive(Debug)]
pub struct Permit {
    action: Action,
}

impl Permit {
    /// What it is for.
    pub fn action(&self) -> Action {
        self.action
    }

    /// What is carried out by it.
    pub(super) fn grants(self, intent: Intent) -> Granted {
        Granted { intent }
    }

    /// For steps that need no preparation, of which one thing may take several.
    pub(super) fn right<'a>(&self, c: &'a Caller) -> Right<'a> {
        Right { actor: &c.actor }
    }
}

/// On whose word a step of users, tokens, keys and secrets is carried out. It is made of a permit,
/// of the caller's own account, or of a proof that has just been given; no step goes without one.
#[derive(Clone, Copy)]
pub(super) struct Right<'a> {
    actor: &'a Actor,
}

impl<'a> Right<'a> {
    /// Of somebody who has just proved who they are: by a login provider, by a refresh token.
    pub(super) fn proved(actor: &'a Actor) -> Self {
        Right { actor }
    }

    /// As the audit names them.
    pub(super) fn actor(&self) -> &'a Actor {
        self.actor
    }
}

/// What a caller wants, and may have carried out.
pub(super) struct Granted {
    intent: Intent,
}

impl Granted {
    /// What it is.
    pub(super) fn intent(&self) -> &Intent {
        &self.intent
    }

    pub(super) fn into_intent(self) -> Intent {
        self.intent
    }
}

impl Caller {
    pub(super) fn new(
        actor: Actor,
        user: Name,
        role: Role,
        scope: Scope,
        expires_at: Option<Timestamp>,
        via_token: Option<Uuid>,
    ) -> Self {
        Caller { actor, user, role, scope, expires_at, via_token, session: None, _made: Made }
    }

    /// The same, in that session.
    pub(super) fn in_session(self, session: Session) -> Self {
        Caller { session: Some(session), ..self }
    }

    /// Whether the caller may do `action` to `target`.
    ///
    /// # Errors
    /// `Forbidden` when the role is too low or a write is out of scope; `NotFound` when a
    /// job is out of scope that was to be read, as if it did not exist. A role that counts
    /// for some jobs only is never enough for what concerns the whole cluster.
    pub fn permit(&self, action: Action, target: Target<'_>) -> Result<Permit, Error> {
        if self.role < action.role() {
            let (does, needed, has) = (action.does(), action.role(), self.role.as_str());
            return Err(Error::Forbidden(format!(
                "to {does} takes the role {}; {} has {has}",
                needed.as_str(),
                self.user
            )));
        }
        match target {
            Target::Job { name, tags } if !self.scope.covers(name, tags) => {
                if action.reads_jobs() {
                    return Err(Error::no_job(name));
                }
                Err(Error::Forbidden(format!(
                    "the role {} of {} does not count for the job {name}; an admin can widen it",
                    self.role.as_str(),
                    self.user
                )))
            }
            Target::Definition { kind, name, tags } if !self.scope.covers(name, tags) => {
                let what = kind.as_str();
                if action == Action::ReadAlerts {
                    return Err(Error::NotFound { what: what.into(), name: name.into() });
                }
                Err(Error::Forbidden(format!(
                    "the role {} of {} does not count for the {what} {name}; an admin can widen it",
                    self.role.as_str(),
                    self.user
                )))
            }
            // Another account of the system is outside of every scope.
            Target::Job { name, .. } if action == Action::RunAsUser && !self.scope.is_all() => {
                Err(Error::Forbidden(format!(
                    "to let {name} run as another user takes a role that counts for all jobs"
                )))
            }
            Target::Cluster if action.role() == Role::Admin && !self.scope.is_all() => {
                Err(Error::Forbidden(format!(
                    "to {} takes a role that counts for all jobs",
                    action.does()
                )))
            }
            _ => Ok(Permit { action }),
        }
    }

    /// What everybody may do with the account that is their own: end its sessions, change its
    /// password, make and remove its tokens. What else that takes is checked where it is done.
    pub(super) fn own(&self) -> Right<'_> {
        Right { actor: &self.actor }
    }

    /// Whether the caller sees a job of this name with these tags.
    pub(super) fn sees(&self, name: &str, tags: &[String]) -> bool {
        self.scope.covers(name, tags)
    }
}
