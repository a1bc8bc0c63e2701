//! Queues as they are written while some member of the cluster does not know kinds yet: by the
//! command of before, without versions.

use crate::machine::Op;
use crate::machine::prepare::{Intent, PutMode};
use crate::machine::reply::Rejection;
use crate::machine::state::{FORMAT_OF_KINDS, State};
use crate::model::fields::Fields;
use crate::model::flow::QueueRules;
use crate::model::kind::queue::QueueSpec;
use crate::model::{Kind, Spec};
use crate::service::Error;

/// How a definition is put in the form of before; none: in the form of today.
pub(super) fn put(
    state: &State,
    spec: &Spec,
    mode: PutMode,
    expected: Option<u64>,
) -> Result<Option<Intent>, Error> {
    let Spec::Queue(queue) = spec else { return Ok(None) };
    if state.format() >= FORMAT_OF_KINDS {
        return Ok(None);
    }
    let there = counts(state, spec);
    let (what, name) = (Kind::Queue.as_str().to_owned(), queue.name.to_string());
    match mode {
        PutMode::Create if there => return Err(Error::Exists { what, name }),
        PutMode::Update if !there => return Err(Error::NotFound { what, name }),
        _ => {}
    }
    unversioned(expected)?;
    if queue.rules() != QueueRules::default() {
        let what = "a rule of a queue beside concurrency".to_owned();
        let (needs, has) = (FORMAT_OF_KINDS, state.format());
        return Err(Rejection::UpgradeNeeded { what, needs, has }.into());
    }
    Ok(Some(set(queue)))
}

/// How a definition is removed in the form of before; none: in the form of today.
pub(super) fn removal(
    state: &State,
    spec: &Spec,
    expected: Option<u64>,
) -> Result<Option<Intent>, Error> {
    let Spec::Queue(queue) = spec else { return Ok(None) };
    if state.format() >= FORMAT_OF_KINDS {
        return Ok(None);
    }
    unversioned(expected)?;
    Ok(Some(set(&QueueSpec { concurrency: None, ..(**queue).clone() })))
}

/// Whether something that has no definition counts as if it had one: it was limited in the form of
/// before.
pub(super) fn counts(state: &State, spec: &Spec) -> bool {
    let Spec::Queue(queue) = spec else { return false };
    let limited = |name: &str| state.queues.get(name).is_some_and(|q| q.concurrency.is_some());
    state.format() < FORMAT_OF_KINDS && limited(queue.name.as_str())
}

/// The definition that an intent puts.
pub(super) fn spec_of(intent: &Intent) -> Option<Spec> {
    match intent {
        Intent::Put { spec, .. } | Intent::PutMonitor { spec, .. } => Some(spec.clone()),
        Intent::Plain(op) => match &**op {
            Op::SetQueue { name, concurrency } => {
                let (name, concurrency) = (name.clone(), *concurrency);
                Some(Spec::Queue(QueueSpec { concurrency, ..QueueSpec::empty(name) }.into()))
            }
            _ => None,
        },
        _ => None,
    }
}

fn set(queue: &QueueSpec) -> Intent {
    let (name, concurrency) = (queue.name.clone(), queue.concurrency);
    Intent::Plain(Box::new(Op::SetQueue { name, concurrency }))
}

/// Nothing has a version yet.
fn unversioned(expected: Option<u64>) -> Result<(), Error> {
    match expected {
        Some(expected) => Err(Rejection::VersionConflict { expected, actual: 0 }.into()),
        None => Ok(()),
    }
}
