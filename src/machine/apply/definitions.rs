//! Definitions of every kind but jobs: put and remove, and what follows for what is live.

use crate::machine::command::PutDefinition;
use crate::machine::history::{DefinitionRow, definition_key};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Defined, FORMAT_OF_KINDS};
use crate::model::fields::Fields;
use crate::model::kind::queue::QueueSpec;
use crate::model::limits::DEFINITION_VERSIONS_MAX;
use crate::model::{Kind, Name, Spec};

use super::Cx;
use super::audit::difference_of;

impl Cx<'_> {
    pub(super) fn put_definition(&mut self, put: &PutDefinition) -> Answer {
        let (kind, name) = (put.spec.kind(), put.spec.name());
        if kind == Kind::Job {
            // Jobs have a command of their own; nobody prepares this one for them.
            return Err(Rejection::Stale);
        }
        let before = self.s.definitions.get(kind, name.as_str()).cloned();
        let version = before.as_ref().map(|before| before.version);
        self.based_on(version, put.based_on, put.pinned)?;
        match before {
            Some(before) if before.spec == put.spec => {
                let version = before.version;
                Ok(Reply::Definition { version, created: false, changed: false })
            }
            None if self.s.definitions.count(kind) >= kind.most() => {
                Err(Rejection::Limit { what: kind.plural().into(), most: kind.most() as u64 })
            }
            before => {
                let created = before.is_none();
                let version = self.define(before.as_deref(), &put.spec);
                Ok(Reply::Definition { version, created, changed: true })
            }
        }
    }

    pub(super) fn remove_definition(
        &mut self,
        kind: Kind,
        name: &Name,
        based_on: u64,
        pinned: bool,
    ) -> Answer {
        let before = self.s.definitions.get(kind, name.as_str()).cloned();
        let before = before.ok_or_else(|| Rejection::no_definition(kind, name))?;
        self.based_on(Some(before.version), Some(based_on), pinned)?;
        self.unused(kind, name)?;
        self.s.definitions.remove(kind, name);
        let first = (before.version + 1).saturating_sub(DEFINITION_VERSIONS_MAX).max(1);
        for version in first..=before.version {
            self.out.remove(definition_key(before.no, version));
        }
        self.take_effect(kind, name, None);
        let change = difference_of(kind.masked(), Some(&before.spec.to_map()), None);
        self.audit(&format!("{}.delete", kind.as_str()), name.as_str(), change);
        Ok(Reply::Done)
    }

    /// Whether nothing counts on it.
    fn unused(&self, kind: Kind, name: &Name) -> Result<(), Rejection> {
        let by = if kind == Kind::Channel { self.s.told_by(name) } else { Vec::new() };
        if by.is_empty() {
            return Ok(());
        }
        Err(Rejection::InUse { what: kind.as_str().into(), name: name.to_string(), by })
    }

    /// Whether what a command was prepared on still holds.
    fn based_on(
        &self,
        present: Option<u64>,
        based_on: Option<u64>,
        pinned: bool,
    ) -> Result<(), Rejection> {
        match (present, based_on) {
            (present, based_on) if present == based_on => Ok(()),
            (Some(actual), Some(expected)) if pinned => {
                Err(Rejection::VersionConflict { expected, actual })
            }
            // Made, changed or gone meanwhile: whether that matters `prepare` knows.
            _ => Err(Rejection::Stale),
        }
    }

    /// Puts a definition in force; gives its version.
    pub(super) fn define(&mut self, before: Option<&Defined>, spec: &Spec) -> u64 {
        let (kind, name) = (spec.kind(), spec.name().clone());
        let version = before.map_or(0, |before| before.version) + 1;
        let no = before.map_or_else(|| self.next_definition(), |before| before.no);
        let defined = Defined {
            spec: spec.clone(),
            version,
            created_at: before.map_or(self.at, |before| before.created_at),
            updated_at: self.at,
            updated_by: self.who(),
            no,
        };
        let verb = if before.is_some() { "update" } else { "create" };
        let row = DefinitionRow {
            version,
            at: self.at,
            by: defined.updated_by.clone(),
            verb: verb.into(),
            spec: spec.clone(),
        };
        self.s.definitions.put(defined);
        self.out.put(definition_key(no, version), &row);
        if version > DEFINITION_VERSIONS_MAX {
            self.out.remove(definition_key(no, version - DEFINITION_VERSIONS_MAX));
        }
        let was_spec = before.map(|before| before.spec.clone());
        self.take_effect(kind, &name, Some(spec));
        if let (Some(Spec::Trigger(was)), Spec::Trigger(now)) = (&was_spec, spec)
            && was.config.stream != now.config.stream
        {
            self.trigger_reads_another(&name);
        }
        let was = before.map(|before| before.spec.to_map());
        let change = difference_of(kind.masked(), was.as_ref(), Some(&spec.to_map()));
        self.audit(&format!("{}.{verb}", kind.as_str()), name.as_str(), change);
        version
    }

    fn next_definition(&mut self) -> u64 {
        self.s.counters.definition += 1;
        self.s.counters.definition
    }

    /// What is live follows its definition: the hook of each kind at put and at removal. A kind
    /// that nothing live hangs on has none.
    fn take_effect(&mut self, kind: Kind, name: &Name, spec: Option<&Spec>) {
        match (kind, spec) {
            (Kind::Queue, Some(Spec::Queue(queue))) => {
                self.govern(name, queue.concurrency, Some(&queue.rules()));
            }
            (Kind::Queue, _) => self.govern(name, None, None),
            (Kind::Channel, spec) => self.channel_put(name, spec.is_some()),
            (Kind::Rule, None) => self.rule_removed(name),
            (Kind::Window, spec) => self.window_put(name, spec.is_some()),
            (Kind::Sink, spec) => self.sink_put(name, spec.is_some()),
            (Kind::Trigger, spec) => self.trigger_put(name, spec.is_some()),
            (Kind::Monitor, Some(Spec::Monitor(spec))) => self.monitor_put(name, Some(spec)),
            (Kind::Monitor, _) => self.monitor_put(name, None),
            _ => {}
        }
    }

    /// The command that set a queue's limit before there were kinds. From their format on it does
    /// what theirs does.
    pub(super) fn set_queue(&mut self, name: &Name, concurrency: Option<u32>) -> Answer {
        if self.s.format() >= FORMAT_OF_KINDS {
            let based_on = self.s.definitions.get(Kind::Queue, name.as_str());
            let based_on = based_on.map(|present| present.version);
            let set = match (concurrency, based_on) {
                (None, None) => Ok(Reply::Done),
                (None, Some(version)) => self.remove_definition(Kind::Queue, name, version, false),
                (Some(_), based_on) => {
                    let present = self.s.definitions.get(Kind::Queue, name.as_str());
                    let spec = match present.map(|present| &present.spec) {
                        // Its other rules stay as they are.
                        Some(Spec::Queue(queue)) => {
                            Spec::Queue(QueueSpec { concurrency, ..(**queue).clone() }.into())
                        }
                        _ => queue_of(name, concurrency),
                    };
                    self.put_definition(&PutDefinition { spec, based_on, pinned: false })
                }
            };
            return set.map(|_| Reply::Done);
        }
        let before = self.s.queues.get(name).and_then(|queue| queue.concurrency);
        self.govern(name, concurrency, None);
        let change = serde_json::json!({"concurrency": {"before": before, "after": concurrency}});
        self.audit("queue.update", name.as_str(), change);
        Ok(Reply::Done)
    }

    /// Queues that were limited before there were kinds become definitions, each of its first
    /// version.
    pub(super) fn adopt_queues(&mut self) {
        let limited = self.s.queues.iter().filter(|(name, queue)| {
            queue.concurrency.is_some()
                && self.s.definitions.get(Kind::Queue, name.as_str()).is_none()
        });
        let limited: Vec<_> =
            limited.map(|(name, queue)| queue_of(name, queue.concurrency)).collect();
        for spec in limited {
            self.define(None, &spec);
        }
    }
}

fn queue_of(name: &Name, concurrency: Option<u32>) -> Spec {
    Spec::Queue(QueueSpec { concurrency, ..QueueSpec::empty(name.clone()) }.into())
}
