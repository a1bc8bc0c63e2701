//! How far a trigger is; pause it, let it go on, have it read from elsewhere.

use super::definitions::{manages, seen};
use super::trigger_status::TriggerStatus;
use super::{Caller, Error, Meta, Service, Target, WriteOptions, Written};
use crate::machine::command::TriggerEdit;
use crate::machine::prepare::Intent;
use crate::machine::{Op, State};
use crate::model::{Kind, Name};

impl Service {
    /// Pauses a trigger, lets it go on, or has it read from elsewhere.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `KeyReused`, `Unavailable`.
    pub async fn edit_trigger(
        &self,
        c: &Caller,
        name: &Name,
        edit: TriggerEdit,
        o: WriteOptions,
    ) -> Result<Written<TriggerStatus>, Error> {
        let intend = |state: &State| {
            let permit = c.permit(manages(Kind::Trigger), Target::Cluster)?;
            seen(c, state, Kind::Trigger, name.as_str())?.ok_or_else(|| no_trigger(name))?;
            let op = Op::EditTrigger { name: name.clone(), edit };
            Ok(permit.grants(Intent::Plain(Box::new(op))))
        };
        let told = |state: &State, meta: Meta| {
            let value = TriggerStatus::of(state, name).ok_or_else(|| no_trigger(name))?;
            Ok(Written { value, created: false, changed: true, warnings: Vec::new(), meta })
        };
        if o.dry_run {
            let state = self.consensus().state();
            let judged = self.judge(c, &state, intend(&state)?)?;
            return told(&judged.after, judged.done.meta);
        }
        let done = self.submit(c, o.request, intend).await?;
        told(&self.consensus().state(), done.meta)
    }
}

fn no_trigger(name: &Name) -> Error {
    Error::NotFound { what: "trigger".into(), name: name.to_string() }
}
