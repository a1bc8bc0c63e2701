//! Triggers: entries of streams start runs. How far a stream was read stands in the same entry of
//! the log as the runs that it started, so each entry is taken once, whoever reads it.

use serde_json::json;

use crate::machine::command::{TakeEntries, Taken, TriggerEdit};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Duty, Refused};
use crate::model::{DutyKey, DutyKind, EntryId, Kind, Name, Position};

use super::Cx;

impl Cx<'_> {
    /// A trigger is there, or says something else. A new one begins with the oldest entry: none is
    /// passed over that was added while it was being made.
    pub(super) fn trigger_put(&mut self, name: &Name, there: bool) {
        let key = DutyKey::trigger(name.clone());
        if there {
            self.begin_duty(&key, |cx| Duty::new(Position::default(), cx.at));
        } else {
            self.end_duty(&key);
        }
    }

    /// It reads another stream: of that one no entry was taken.
    pub(super) fn trigger_reads_another(&mut self, name: &Name) {
        let key = DutyKey::trigger(name.clone());
        self.edit_duty(&key, |duty| duty.position = Position::default());
    }

    /// Takes entries in their order, up to the first that can't be taken now. Those that were taken
    /// before are passed over.
    pub(super) fn take_entries(&mut self, taken: &TakeEntries) -> Answer {
        let key = DutyKey::trigger(taken.trigger.clone());
        let duty = self.s.duties.all.get(&key).ok_or(Rejection::Fenced)?;
        if duty.holder.is_none() || duty.fence != taken.fence || duty.paused {
            return Err(Rejection::Fenced);
        }
        let (mut at, mut refused) = (EntryId::from(duty.position), duty.refused.clone());
        let begin = at;
        for entry in taken.entries.iter() {
            if entry.id <= at {
                continue;
            }
            match &entry.taken {
                Taken::Run(run) => match self.trigger_by(run, Some(entry.id)) {
                    Ok(_) => {}
                    Err(why) if at == begin => return Err(why),
                    Err(_) => break,
                },
                Taken::Refused(why) => {
                    let told = format!("{key}: entry {}: {why}", entry.id);
                    self.event_because("trigger.refused", None, None, Some(&told));
                    let count = refused.map_or(0, |refused| refused.count) + 1;
                    refused = Some(Refused { count, last: entry.id, why: why.clone() });
                }
            }
            at = entry.id;
        }
        self.move_duty(&key, at.into(), None);
        self.edit_duty(&key, |duty| duty.refused = refused);
        Ok(Reply::Done)
    }

    pub(super) fn edit_trigger(&mut self, name: &Name, edit: TriggerEdit) -> Answer {
        let key = DutyKey::trigger(name.clone());
        let duty = self.s.duties.all.get(&key);
        let duty = duty.ok_or_else(|| Rejection::no_definition(Kind::Trigger, name))?;
        let (was_paused, before) = (duty.paused, EntryId::from(duty.position));
        match edit {
            TriggerEdit::Pause(paused) if paused == was_paused => {}
            TriggerEdit::Pause(paused) => {
                self.edit_duty(&key, |duty| duty.paused = paused);
                let change = json!({ "paused": { "before": was_paused, "after": paused } });
                let action = if paused { "trigger.pause" } else { "trigger.resume" };
                self.audit(action, name.as_str(), change);
            }
            TriggerEdit::Rewind(to) => {
                self.edit_duty(&key, |duty| duty.position = to.into());
                // Whoever reads has other entries in hand, and is not listened to any more.
                self.free_duty(&key);
                let change = json!({ "position": {
                    "before": before.to_string(), "after": to.to_string() } });
                self.audit("trigger.rewind", name.as_str(), change);
            }
        }
        Ok(Reply::Done)
    }

    /// What came after the backup the cluster before has taken, as far as anybody knows: somebody
    /// has to say where it goes on.
    pub(super) fn hold_triggers(&mut self) {
        let triggers = self.s.duties.all.keys().filter(|key| key.kind == DutyKind::Trigger);
        let triggers: Vec<DutyKey> = triggers.cloned().collect();
        for key in triggers {
            self.edit_duty(&key, |duty| duty.paused = true);
        }
    }
}
