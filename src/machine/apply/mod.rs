//! The only writer of [`State`]: deterministic, total, without clock, chance, time zones
//! or I/O.
//!
//! Owns: what each command does, refusals, history rows, events, the audit chain. A file a
//! family of commands; `admit.rs` holds overlap and gates, `ahead.rs` starts that are planned,
//! `close.rs` the end of a run and what follows from it.
//!
//! What a user can cause is answered with a [`Rejection`] that changes nothing: every
//! function checks first and writes after. What only a bug can cause is refused as
//! `Stale` or `Fenced`.
//!
//! To add a command: `docs/checklists/command.md`.

#![deny(clippy::disallowed_types)]

mod access;
mod admit;
mod ahead;
mod alerts;
mod assign;
mod audit;
mod backfills;
mod beats;
mod chains;
mod close;
mod cluster_alerts;
mod definitions;
mod duties;
mod events;
mod filling;
mod fires;
mod flow;
mod flow_begin;
mod flow_values;
mod graph;
mod jobs;
mod late;
mod locks;
mod monitors;
mod nodes;
mod outbox;
mod push;
mod queues;
mod report;
mod restore;
mod secrets;
mod sinks;
mod trigger;
mod triggers;
mod windows;

use std::sync::Arc;

use crate::model::{Event, JobNo, Name, RunId, RunStatus, Timestamp, limits};

use super::command::{Command, Op};
use super::history::{Output, Row};
use super::reply::{Answer, Rejection, Reply};
use super::state::{Digester, FORMAT_OF_PROOFS, Job, Live, OpenRun, Proof, Remembered, State};

pub use self::audit::LOGIN_FAILED;

/// Applies the commands of one log entry, in order. Each is answered on its own.
pub fn apply_entry(
    state: &mut State,
    index: u64,
    commands: &[Command],
    out: &mut Output,
) -> Vec<Answer> {
    let (mut sub, before, told) = (0, out.rows.len(), out.events.len());
    let answers: Vec<Answer> =
        commands.iter().map(|command| apply(state, index, &mut sub, command, out)).collect();
    events::keep(state, index, told, out);
    out.finish();
    if state.format() >= FORMAT_OF_PROOFS {
        state.proof = proven(state, index, commands, &answers, &out.rows[before..]);
    }
    answers
}

/// The digest of an entry, on top of what was proven before: which commands came, what became of
/// each, what was written to the history, and the counters that identities and order come from.
fn proven(
    state: &State,
    index: u64,
    commands: &[Command],
    answers: &[Answer],
    rows: &[Row],
) -> Proof {
    let mut digester = Digester::default();
    digester.bytes(&state.proof.digest);
    digester.number(index);
    for (command, answer) in commands.iter().zip(answers) {
        digester.number(command.at.micros().cast_unsigned() << 1 | u64::from(answer.is_ok()));
    }
    for row in rows {
        digester.bytes(&row.key);
        digester.bytes(row.value.as_deref().unwrap_or_default());
    }
    let counters = &state.counters;
    let grown = [counters.job_no.into(), counters.run, counters.fence, counters.closed];
    for number in grown.into_iter().chain([counters.success, counters.audit]) {
        digester.number(number);
    }
    Proof { index, digest: digester.finish() }
}

fn apply(
    state: &mut State,
    index: u64,
    sub: &mut u32,
    command: &Command,
    out: &mut Output,
) -> Answer {
    let before = state.last_at;
    let at = before.max(command.at);
    state.last_at = at;
    if at.since(before) > limits::EXCUSE_AFTER && !state.monitors.is_empty() {
        let (s, sub, out) = (&mut *state, &mut *sub, &mut *out);
        Cx { s, at, index, sub, out, command }.excuse(before);
    }
    if let Some(request) = command.request
        && let Some(known) = state.idempotency.by_key.get(&request.key)
        && known.at >= at.minus(limits::IDEMPOTENCY_TTL)
    {
        return if known.fingerprint == request.fingerprint {
            Ok(Reply::Replayed(Box::new(known.reply.clone())))
        } else {
            Err(Rejection::KeyReused)
        };
    }
    let mut cx = Cx { s: state, at, index, sub, out, command };
    let answer = cx.dispatch();
    if let (Some(request), Ok(reply)) = (command.request, &answer) {
        remember(cx.s, at, request.key, request.fingerprint, reply.clone());
    }
    answer
}

/// Answered requests that one step forgets, at most.
const FORGOTTEN_MAX: usize = 64;

fn remember(s: &mut State, at: Timestamp, key: uuid::Uuid, fingerprint: uuid::Uuid, reply: Reply) {
    let window = &mut s.idempotency;
    let horizon = at.minus(limits::IDEMPOTENCY_TTL);
    if let Some(known) = window.by_key.remove(&key) {
        window.by_age.remove(&(known.at, key));
    }
    // A few at a time: one comes, so the window shrinks, and no step is long.
    for _ in 0..FORGOTTEN_MAX {
        let Some(oldest) = window.by_age.get_min().copied() else { break };
        if oldest.0 >= horizon && window.by_key.len() < limits::IDEMPOTENCY_KEYS_MAX {
            break;
        }
        window.by_age.remove(&oldest);
        window.by_key.remove(&oldest.1);
    }
    window.by_age.insert((at, key));
    window.by_key.insert(key, Remembered { at, fingerprint, reply });
}

/// An audit note with this action panics, so that tests see what a bug here does to a node. No
/// request makes one, and a release build does not know it.
#[cfg(debug_assertions)]
pub const PANIC_FOR_TESTS: &str = "panic-for-tests";

/// What the handlers of one command share.
struct Cx<'a> {
    s: &'a mut State,
    at: Timestamp,
    index: u64,
    sub: &'a mut u32,
    out: &'a mut Output,
    command: &'a Command,
}

impl Cx<'_> {
    #[allow(clippy::too_many_lines, reason = "an arm a command")]
    fn dispatch(&mut self) -> Answer {
        match &self.command.op {
            Op::Bootstrap { signing_key, admin } => self.bootstrap(signing_key, admin),
            Op::PutJob(put) => self.put_job(put),
            Op::DeleteJob { no, based_on, pinned, settled } => {
                self.delete_job(*no, *based_on, *pinned, *settled)
            }
            Op::Fire { no, version, scheduled_for, next, place, start_at } => {
                self.fire(*no, *version, *scheduled_for, *next, *place, *start_at)
            }
            Op::Skip { no, version, range, next } => self.skip(*no, *version, *range, *next),
            Op::Trigger(trigger) => self.trigger(trigger),
            Op::Assign { run, attempt, place } => self.assign(*run, *attempt, *place),
            Op::Refuse { run, error } => self.refuse(*run, error),
            Op::Due { run } => self.due(*run),
            Op::Started { run, attempt, fence, started_at } => {
                self.started(*run, *attempt, *fence, *started_at)
            }
            Op::Ended { run, attempt, fence, end } => self.ended(*run, *attempt, *fence, end),
            Op::Unbegun { run, attempt, fence } => self.unbegun(*run, *attempt, *fence),
            Op::LockBusy { run, attempt, fence, held, why } => {
                self.lock_busy((*run, *attempt, *fence), *held, why)
            }
            Op::Withdraw { run } => self.withdraw(*run),
            Op::Output { run, attempt, fence, chunks } => {
                self.output(*run, *attempt, *fence, chunks)
            }
            Op::Cancel { run } => self.cancel(*run),
            Op::PauseFlow { run, paused } => self.pause_flow(*run, *paused),
            Op::NodeUp { node, boot, address, api, slots, labels } => {
                self.node_up(*node, *boot, [address, api], *slots, labels)
            }
            Op::PauseSink { name, paused } => self.pause_sink(name, *paused),
            Op::RewindSink { name, to } => self.rewind_sink(name, *to),
            Op::TakeEntries(taken) => self.take_entries(taken),
            Op::EditTrigger { name, edit } => self.edit_trigger(name, *edit),
            Op::NodeOffers { node, boot, offers } => self.node_offers(*node, *boot, *offers),
            Op::NodeDraining { node, boot } => self.node_draining(*node, *boot),
            Op::NodeLost { node, boot } => self.node_lost(*node, *boot),
            Op::NodeRemoved { node } => self.node_removed(*node),
            Op::GiveDuty { key, former, place } => self.give_duty(key, *former, *place),
            Op::DutyMoved { key, fence, position, fault } => {
                self.duty_moved(key, *fence, *position, fault.as_deref())
            }
            Op::Watch { at, key } => self.watch(*at, *key),
            Op::Window { name, version, active, until } => {
                self.window_seen(name, *version, *active, *until)
            }
            Op::Delivered { channel, seqs, fence, outcome } => {
                self.delivered(channel, seqs, *fence, outcome)
            }
            Op::Acknowledge { incident } => self.acknowledge(*incident),
            Op::RetryNotice { seq, dead } => self.retry_notice(*seq, dead.as_deref()),
            Op::CreateUser { user, session } => self.create_user(user, session.as_ref()),
            Op::ExternalLogin { user } => self.external_login(user),
            Op::SetRole { name, role, scope } => self.set_role(name, *role, scope),
            Op::SetPassword { name, password, session } => {
                self.set_password(name, password, session.as_ref())
            }
            Op::RevokeUser { name } => self.revoke_user(name),
            Op::DeleteUser { name } => self.delete_user(name),
            Op::CreateToken { token, session } => self.create_token(token, session.as_ref()),
            Op::DeleteToken { id } => self.delete_token(*id),
            Op::RefreshSession { id, session, generation, until, tabs } => {
                self.refresh_session(*id, session, (*generation, *tabs), *until)
            }
            Op::TokenUsed { id } => self.tokens_used(&[*id]),
            Op::TokensUsed { ids } => self.tokens_used(ids),
            Op::SealKey { id, sealed } => self.seal_key(*id, sealed),
            Op::RotateKey { signing_key, revoke } => self.rotate_key(signing_key, *revoke),
            Op::Note { entries } => self.note(entries),
            Op::SetQueue { name, concurrency } => self.set_queue(name, *concurrency),
            Op::Trim { keys } => self.trim(keys),
            Op::PutSecretKey { key, after } => self.put_secret_key(key, *after),
            Op::DropSecretKey { id } => self.drop_secret_key(*id),
            Op::PutSecret { name, jobs, sealed, expected } => {
                self.put_secret(name, jobs, sealed, *expected)
            }
            Op::ResealSecret { name, version, sealed, replaced } => {
                self.reseal_secret(name, *version, sealed, *replaced)
            }
            Op::DeleteSecret { name, expected } => self.delete_secret(name, *expected),
            Op::Put(put) => self.put_definition(put),
            Op::Remove { kind, name, based_on, pinned } => {
                self.remove_definition(*kind, name, *based_on, *pinned)
            }
            Op::PutMonitor(put) => self.put_monitor(put),
            Op::Ping(sent) => self.ping(sent),
            Op::EditMonitor { no, edit } => self.edit_monitor(*no, *edit),
            Op::StartBackfill(start) => self.start_backfill(start),
            Op::EditBackfill { id, edit } => self.edit_backfill(*id, edit),
            Op::BackfillStep { id, cursor, times, next, passed } => {
                self.backfill_step(*id, *cursor, times, *next, *passed)
            }
            Op::Push(step) => self.push_step(step),
            Op::Beaten { fence, beaten } => self.beaten(*fence, beaten),
            Op::RaiseFormat { to } => self.raise_format(*to),
            Op::Restored(restored) => self.restored(restored),
        }
    }

    fn event(&mut self, kind: &str, job: Option<&Name>, run: Option<(RunId, RunStatus)>) {
        self.event_because(kind, job, run, None);
    }

    fn event_because(
        &mut self,
        kind: &str,
        job: Option<&Name>,
        run: Option<(RunId, RunStatus)>,
        reason: Option<&str>,
    ) {
        self.out.events.push(Event {
            index: self.index,
            sub: *self.sub,
            at: self.at,
            kind: kind.to_string(),
            job: job.cloned(),
            run_id: run.map(|(id, _)| id),
            status: run.map(|(_, status)| status),
            nominal_time: None,
            reason: reason.map(str::to_string),
        });
        *self.sub += 1;
    }

    fn job(&self, no: JobNo) -> Option<Arc<Job>> {
        self.s.jobs.get(&no).cloned()
    }

    fn edit_job(&mut self, no: JobNo, edit: impl FnOnce(&mut Job)) {
        if let Some(job) = self.s.jobs.get_mut(&no) {
            edit(Arc::make_mut(job));
        }
    }

    /// What is live about a job that is there, or was.
    fn edit_live(&mut self, no: JobNo, edit: impl FnOnce(&mut Live)) {
        if let Some(job) = self.s.jobs.get_mut(&no) {
            edit(&mut Arc::make_mut(job).live);
        } else if let Some(grave) = self.s.graves.by_no.get_mut(&no) {
            edit(&mut Arc::make_mut(grave).live);
        }
    }

    fn edit_run(&mut self, id: RunId, edit: impl FnOnce(&mut OpenRun)) {
        if let Some(run) = self.s.runs.get_mut(&id) {
            edit(Arc::make_mut(run));
        }
    }

    /// The name of the caller, for records.
    fn who(&self) -> String {
        self.command.actor.as_ref().map_or("system".into(), |actor| actor.name.clone())
    }
}
