//! Definitions of every kind but jobs: what a write is meant for, and on which version.

use crate::machine::command::{Op, PutDefinition};
use crate::machine::reply::Rejection;
use crate::machine::state::State;
use crate::model::{Kind, Name, Spec};

use super::PutMode;

pub(super) fn put(
    state: &State,
    spec: Spec,
    mode: PutMode,
    expected: Option<u64>,
) -> Result<PutDefinition, Rejection> {
    let (kind, name) = (spec.kind(), spec.name());
    let present = state.definitions.get(kind, name.as_str());
    match (present, mode) {
        (Some(_), PutMode::Create) => {
            return Err(Rejection::Exists { what: kind.as_str().into(), name: name.to_string() });
        }
        (None, PutMode::Update) => return Err(Rejection::no_definition(kind, name)),
        _ => {}
    }
    let based_on = present.map(|present| present.version);
    expect(expected, based_on)?;
    Ok(PutDefinition { spec, based_on, pinned: expected.is_some() })
}

pub(super) fn remove(
    state: &State,
    kind: Kind,
    name: Name,
    expected: Option<u64>,
) -> Result<Op, Rejection> {
    let present = state.definitions.get(kind, name.as_str());
    let based_on = present.ok_or_else(|| Rejection::no_definition(kind, &name))?.version;
    expect(expected, Some(based_on))?;
    Ok(Op::Remove { kind, name, based_on, pinned: expected.is_some() })
}

fn expect(expected: Option<u64>, present: Option<u64>) -> Result<(), Rejection> {
    let actual = present.unwrap_or(0);
    match expected {
        Some(expected) if expected != actual => {
            Err(Rejection::VersionConflict { expected, actual })
        }
        _ => Ok(()),
    }
}
