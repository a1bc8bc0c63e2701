//! A set of definitions at once, and the plan of what that would change.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::caller::Granted;
use super::check::{may_put, unresolved_warnings};
use super::definitions::{SentBack, new_key, seen, upsert, warnings};
use super::jobs::unexpected;
use super::monitors::PingKey;
use super::readonly::ReadOnly;
use super::{Action, Caller, Error, PutMode, Service, Target};
use crate::machine::prepare::Intent;
use crate::machine::{Output, Reply, State};
use crate::model::limits::{APPLY_ITEMS_MAX, DEFINITION_BYTES_MAX};
use crate::model::{Invalid, JobSpec, Kind, Spec, Timestamp};

/// What became, or would become, of one definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApplyAction {
    /// It is new.
    Created,
    /// It replaces another.
    Updated,
    /// It is what it was.
    Unchanged,
    /// It is faulty or not allowed: see `errors`. The others are not affected.
    Refused,
}

/// One definition of an `apply`.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct ApplyItem {
    /// Its kind; left out of a job.
    #[serde(skip_serializing_if = "is_job")]
    #[schema(required = false)]
    pub kind: Kind,
    /// As given; empty when there was none.
    pub name: String,
    /// What became of it.
    pub action: ApplyAction,
    /// The version in force after it; none: there is none.
    #[schema(required)]
    pub version: Option<u64>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Invalid>,
    /// What the caller had better know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Of a monitor that is new: where its pings go. The key in it is not told again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ping_path: Option<String>,
    /// The next nominal time before.
    #[schema(required)]
    pub next_before: Option<Timestamp>,
    /// The next nominal time after.
    #[schema(required)]
    pub next_after: Option<Timestamp>,
}

/// A definition of a set, read when its turn comes.
pub trait Definition: Send + 'static {
    /// Its kind as given; empty when there is none, and it is a job.
    fn kind(&self) -> &str;
    /// Its name as given; empty when there is none.
    fn name(&self) -> &str;
    /// Bytes that it takes now; read, it takes many times as much.
    fn bytes(&self) -> usize;
    /// Its fields.
    ///
    /// # Errors
    /// What can't be read.
    fn read(self) -> Result<Map<String, Value>, Vec<Invalid>>;
}

impl Definition for Map<String, Value> {
    fn kind(&self) -> &str {
        self.get("kind").map_or("", |kind| kind.as_str().unwrap_or("?"))
    }

    fn name(&self) -> &str {
        self.get("name").and_then(Value::as_str).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        0
    }

    fn read(self) -> Result<Map<String, Value>, Vec<Invalid>> {
        Ok(self)
    }
}

/// Times a definition is written again that was changed meanwhile.
const TRIES_MAX: usize = 5;
/// Definitions under way at a time: enough to share entries of the log.
const CONCURRENT: usize = 64;
/// Bytes of definitions under way at a time: all usual ones, few that are large.
const BYTES_AT_A_TIME: usize = 4 * DEFINITION_BYTES_MAX;

impl Service {
    /// Creates or replaces many definitions, each on its own: one that is refused does not
    /// keep the others from being written. `dry_run` answers the plan and writes nothing.
    ///
    /// # Errors
    /// `Forbidden` for a role that manages no jobs; `Limit` for more than 10,000 items;
    /// `Unavailable` when the cluster can't take them (some may have been written, and to
    /// apply the same set again does no harm).
    pub async fn apply<D: Definition>(
        &self,
        c: &Caller,
        items: Vec<D>,
        dry_run: bool,
    ) -> Result<Vec<ApplyItem>, Error> {
        c.permit(Action::ManageJobs, Target::Cluster)?;
        if items.len() > APPLY_ITEMS_MAX {
            let what = "definitions of one apply".to_string();
            return Err(Error::Limit { what, most: APPLY_ITEMS_MAX as u64 });
        }
        let start = self.consensus().state();
        let room = Semaphore::new(BYTES_AT_A_TIME);
        let (judged, end) = if dry_run {
            self.judge_all(c, &start, items, &room).await?
        } else {
            let mut written: Vec<(usize, Judged)> = Vec::with_capacity(items.len());
            for part in turns(items) {
                let part = stream::iter(part).map(|(at, twice, item)| {
                    let (start, room) = (&start, &room);
                    async move {
                        let _held = hold(room, item.bytes()).await;
                        let draft = self.draft(c, start, twice, item).await;
                        Ok::<_, Error>((at, self.write_one(c, draft).await?))
                    }
                });
                let part: Vec<_> = part.buffered(CONCURRENT).try_collect().await?;
                written.extend(part);
            }
            (in_order(written), self.consensus().state())
        };
        Ok(judged.into_iter().map(|judged| judged.item(c, &start, &end)).collect())
    }

    /// Reads a definition: the faults that need no log. A name that comes twice is a fault of
    /// the later one.
    async fn draft<D: Definition>(&self, c: &Caller, state: &State, twice: bool, item: D) -> Draft {
        let name = item.name().to_string();
        let (kind, unknown) = match kind_of(item.kind()) {
            Ok(kind) => (kind, None),
            Err(fault) => (Kind::Job, Some(fault)),
        };
        let mut says_enabled = false;
        let mut read = match (item.read(), unknown) {
            (Err(faults), _) => Err(faults),
            (Ok(_), Some(fault)) => Err(vec![fault]),
            (Ok(mut map), None) => {
                map.shift_remove("kind");
                says_enabled = map.get("enabled").is_some_and(|value| !value.is_null());
                match kind {
                    Kind::Job => self.read_job(c, state, &name, map).await,
                    kind => Draft::read(c, state, kind, &name, map),
                }
            }
        };
        if twice {
            let detail = "stands twice in this set; the first one counts";
            let fault = Invalid::new("name", detail);
            read = Err(read.err().into_iter().flatten().chain([fault]).collect());
        }
        let key = match (&read, new_key(kind)) {
            (Ok(_), Ok(key)) => key,
            (Ok(_), Err(fault)) => {
                read = Err(vec![Invalid::new("", fault.to_string())]);
                None
            }
            (Err(_), _) => None,
        };
        Draft { kind, name, says_enabled, key, read }
    }

    async fn read_job(
        &self,
        c: &Caller,
        state: &State,
        name: &str,
        mut map: Map<String, Value>,
    ) -> Result<Read, Vec<Invalid>> {
        let before = state.job(name).map(|job| &*job.spec);
        let given = ReadOnly::take(&mut map);
        match self.read_definition(map, before).await {
            Ok(spec) => Ok(Read::Job(Box::new(spec), given)),
            Err(mut faults) => {
                faults.extend(given.faults(c, state, name, self.now()));
                Err(faults)
            }
        }
    }

    /// What a definition that was read wants of `state`.
    fn granted_of(
        &self,
        c: &Caller,
        state: &State,
        read: &Read,
        says_enabled: bool,
        key: Option<PingKey>,
    ) -> Result<Granted, Error> {
        match read {
            Read::Job(spec, given) => {
                let granted = granted(c, state, spec, says_enabled)?;
                self.judge_read_only(c, state, given, spec)?;
                Ok(granted)
            }
            Read::Other(spec, back) => upsert(c, state, spec, back, key),
        }
    }

    async fn write_one(&self, c: &Caller, draft: Draft) -> Result<Judged, Error> {
        let Draft { kind, name, says_enabled, key, read } = draft;
        let read = match read {
            Ok(read) => read,
            Err(faults) => {
                let outcome = Err(faults);
                return Ok(Judged { kind, name, says_enabled, key: None, outcome });
            }
        };
        let intend = |state: &State| self.granted_of(c, state, &read, says_enabled, key);
        let mut tries = 0;
        loop {
            match self.submit(c, None, intend).await {
                // Changed since it was looked at: perhaps paused.
                Err(Error::Precondition { .. }) if tries < TRIES_MAX => tries += 1,
                done => {
                    let reply = done.map(|done| done.reply);
                    let judged = Judged::of(kind, name, says_enabled, reply)?;
                    return Ok(Judged { key, ..judged });
                }
            }
        }
    }

    /// What the definitions would do, one after the other, on a copy of the state.
    async fn judge_all<D: Definition>(
        &self,
        c: &Caller,
        start: &State,
        items: Vec<D>,
        room: &Semaphore,
    ) -> Result<(Vec<Judged>, Arc<State>), Error> {
        let mut copy = start.clone();
        let mut judged = Vec::with_capacity(items.len());
        let items = turns(items).into_iter().flatten();
        let drafts = stream::iter(items).map(|(at, twice, item)| async move {
            let held = hold(room, item.bytes()).await;
            (at, self.draft(c, start, twice, item).await, held)
        });
        let mut drafts = std::pin::pin!(drafts.buffered(CONCURRENT));
        while let Some((at, draft, _held)) = drafts.next().await {
            let Draft { kind, name, says_enabled, key, read } = draft;
            if judged.len() % CONCURRENT == CONCURRENT - 1 {
                tokio::task::yield_now().await;
            }
            let outcome = match read {
                Err(faults) => Judged { kind, name, says_enabled, key: None, outcome: Err(faults) },
                Ok(read) => {
                    let granted = self.granted_of(c, &copy, &read, says_enabled, key);
                    let output = &mut Output::default();
                    let reply =
                        granted.and_then(|granted| self.judge_on(c, &mut copy, granted, output));
                    Judged::of(kind, name, says_enabled, reply)?
                }
            };
            judged.push((at, outcome));
        }
        Ok((in_order(judged), Arc::new(copy)))
    }
}

/// The definitions in the order in which they are written: what jobs name first, then jobs. Each
/// has its place in the set, and whether one of its name came before.
fn turns<D: Definition>(items: Vec<D>) -> [Vec<(usize, bool, D)>; 2] {
    let mut names = HashSet::new();
    let mut parts = [Vec::new(), Vec::new()];
    for (at, item) in items.into_iter().enumerate() {
        let kind = kind_of(item.kind()).unwrap_or(Kind::Job);
        let twice = !item.name().is_empty() && !names.insert((kind, item.name().to_string()));
        let names_others = matches!(kind, Kind::Job | Kind::Monitor);
        parts[usize::from(names_others)].push((at, twice, item));
    }
    parts
}

/// What became of the definitions, in the order of the set.
fn in_order(mut judged: Vec<(usize, Judged)>) -> Vec<Judged> {
    judged.sort_by_key(|(at, _)| *at);
    judged.into_iter().map(|(_, judged)| judged).collect()
}

/// The kind that a definition says it is of.
fn kind_of(given: &str) -> Result<Kind, Invalid> {
    if given.is_empty() {
        return Ok(Kind::Job);
    }
    let known = Kind::ALL.iter().copied().find(|kind| kind.as_str() == given);
    known.ok_or_else(|| {
        let all: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
        Invalid::new("kind", format!("is not known; the kinds are {}", all.join(", ")))
    })
}

fn is_job(kind: &Kind) -> bool {
    *kind == Kind::Job
}

/// Waits until there is room for a definition of so many bytes.
async fn hold(room: &Semaphore, bytes: usize) -> Option<SemaphorePermit<'_>> {
    let bytes = u32::try_from(bytes.min(BYTES_AT_A_TIME)).unwrap_or(u32::MAX);
    room.acquire_many(bytes).await.ok()
}

/// A pause is a person's act: a definition that does not name `enabled` leaves it as it is.
fn granted(
    c: &Caller,
    state: &State,
    spec: &JobSpec,
    says_enabled: bool,
) -> Result<Granted, Error> {
    let present = state.job(spec.name.as_str());
    let (mut spec, mut expected) = (spec.clone(), None);
    if let Some(job) = present.filter(|_| !says_enabled) {
        spec.enabled = job.spec.enabled;
        // It may be paused, or resumed, before this is written.
        expected = Some(job.version);
    }
    let permit = may_put(c, state, present.map(|job| &*job.spec), &spec)?;
    let mode = PutMode::Upsert;
    Ok(permit.grants(Intent::PutJob { spec: Arc::new(spec), mode, expected }))
}

/// A definition as read.
struct Draft {
    kind: Kind,
    name: String,
    /// It names `enabled`.
    says_enabled: bool,
    /// The key that it gets if it is a monitor, and new.
    key: Option<PingKey>,
    read: Result<Read, Vec<Invalid>>,
}

/// A definition without faults, and what came with it that only the cluster sets.
enum Read {
    Job(Box<JobSpec>, ReadOnly),
    Other(Spec, SentBack),
}

impl Draft {
    fn read(
        c: &Caller,
        state: &State,
        kind: Kind,
        name: &str,
        mut map: Map<String, Value>,
    ) -> Result<Read, Vec<Invalid>> {
        let back = SentBack::take(kind, &mut map);
        match kind.read(map) {
            Ok(spec) => Ok(Read::Other(spec, back)),
            Err(mut faults) => {
                faults.extend(back.faults(c, state, name));
                Err(faults)
            }
        }
    }
}

/// What became of a definition: version, created, changed; or its faults.
struct Judged {
    kind: Kind,
    name: String,
    says_enabled: bool,
    key: Option<PingKey>,
    outcome: Result<(Option<u64>, bool, bool), Vec<Invalid>>,
}

impl Judged {
    /// A refusal is the outcome of this definition; a failure of the cluster is one of all.
    fn of(
        kind: Kind,
        name: String,
        says_enabled: bool,
        reply: Result<Reply, Error>,
    ) -> Result<Judged, Error> {
        let outcome = match reply {
            Ok(
                Reply::Job { version, created, changed, .. }
                | Reply::Definition { version, created, changed },
            ) => Ok((Some(version), created, changed)),
            // In the form of before there were versions.
            Ok(Reply::Done) if kind != Kind::Job => Ok((None, false, true)),
            Ok(other) => return Err(unexpected(&other)),
            Err(Error::Invalid(faults)) => Err(faults),
            Err(Error::Unavailable { detail, retry_after, .. }) => {
                return Err(Error::Unavailable { detail, retry_after, maybe_applied: true });
            }
            Err(error @ Error::Internal(_)) => return Err(error),
            Err(refused) => Err(vec![Invalid::new("", refused.to_string())]),
        };
        Ok(Judged { kind, name, says_enabled, key: None, outcome })
    }

    fn item(self, c: &Caller, start: &State, end: &State) -> ApplyItem {
        if self.kind != Kind::Job {
            return self.item_of_kind(c, start, end);
        }
        let Judged { kind, name, says_enabled, key: _, outcome } = self;
        // A refused definition may be that of a job that the caller may not see.
        let seen = |state: &State| {
            let job = state.job(&name).cloned();
            job.filter(|job| c.sees(job.spec.name.as_str(), &job.spec.tags))
        };
        let next = |state: &State| seen(state)?.live.next.map(|next| next.nominal);
        let (next_before, next_after) = (next(start), next(end));
        let (action, version, errors) = became(outcome, seen(start).map(|job| job.version));
        let written = end.job(&name).filter(|_| action != ApplyAction::Refused);
        let mut warnings =
            written.map(|job| unresolved_warnings(end, &job.spec)).unwrap_or_default();
        if written.is_some_and(|job| !job.spec.enabled.0) && !says_enabled {
            warnings.push("stays paused: the definition does not say `enabled`".to_owned());
        }
        let ping_path = None;
        ApplyItem {
            kind,
            name,
            action,
            version,
            errors,
            warnings,
            ping_path,
            next_before,
            next_after,
        }
    }

    fn item_of_kind(self, c: &Caller, start: &State, end: &State) -> ApplyItem {
        let Judged { kind, name, key, outcome, .. } = self;
        let seen = |state: &State| seen(c, state, kind, &name).ok().flatten().cloned();
        let before = seen(start).map(|defined| defined.version);
        let (action, version, errors) = became(outcome, before);
        let written = seen(end).filter(|_| action != ApplyAction::Refused);
        let warnings = written.map(|defined| warnings(end, &defined.spec)).unwrap_or_default();
        let key = key.filter(|_| action == ApplyAction::Created);
        let ping_path = key.map(PingKey::path);
        let (next_before, next_after) = (None, None);
        ApplyItem {
            kind,
            name,
            action,
            version,
            errors,
            warnings,
            ping_path,
            next_before,
            next_after,
        }
    }
}

/// What became of a definition, the version in force after it, and why it was refused. `before` is
/// the version in force before it.
fn became(
    outcome: Result<(Option<u64>, bool, bool), Vec<Invalid>>,
    before: Option<u64>,
) -> (ApplyAction, Option<u64>, Vec<Invalid>) {
    match outcome {
        Ok((version, true, _)) => (ApplyAction::Created, version, Vec::new()),
        Ok((version, _, true)) => (ApplyAction::Updated, version, Vec::new()),
        Ok((version, _, _)) => (ApplyAction::Unchanged, version, Vec::new()),
        Err(errors) => (ApplyAction::Refused, before, errors),
    }
}
