//! Monitors: what pings do to them, and what follows when none comes. Troubles go the way of those
//! of jobs (`alerts.rs`).
//!
//! Nobody can be blamed for silence while nobody could be heard. Where there are monitors the
//! leader writes to the log all the time (`plan`), so a gap in log time is one in which no ping
//! could be taken. The first command after it moves what came due in it, before anything is judged.

use std::sync::Arc;

use serde_json::json;

use crate::machine::command::{MonitorEdit, PutMonitor, SendPing};
use crate::machine::history::{PingBody, PingRow, ping_body_key, ping_key};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{Begun, Monitor, WatchKey};
use crate::model::kind::monitor::MonitorSpec;
use crate::model::monitor::{MonitorStatus, PingKind};
use crate::model::{Fact, JobNo, Kind, Name, Span, Spec, Timestamp, Trouble, limits};

use super::Cx;
use super::alerts::{Came, Subject};

impl Cx<'_> {
    pub(super) fn put_monitor(&mut self, put: &PutMonitor) -> Answer {
        let name = put.put.spec.name().clone();
        let before = self.s.monitors.named(&name).cloned();
        // Pinged meanwhile: its next time is another.
        if before.is_some_and(|before| before.last_at != put.last) {
            return Err(Rejection::Stale);
        }
        let reply = self.put_definition(&put.put)?;
        let Some(no) = self.s.monitors.by_name.get(&name).copied() else { return Ok(reply) };
        if let Reply::Definition { created: true, .. } = reply
            && let Some(key) = put.key
        {
            self.s.monitors.by_key.insert(key, no);
            self.edit_monitor_of(no, |live| live.key = Some(key));
        }
        if matches!(reply, Reply::Definition { changed: true, .. }) {
            let expected = put.expected;
            self.edit_monitor_of(no, |live| {
                if live.status == MonitorStatus::Up {
                    live.expected = expected;
                }
            });
            self.watch_monitor(no);
        }
        Ok(reply)
    }

    /// A definition is there, or is gone.
    pub(super) fn monitor_put(&mut self, name: &Name, spec: Option<&MonitorSpec>) {
        let known = self.s.monitors.by_name.get(name).copied();
        let Some(spec) = spec else {
            known.into_iter().for_each(|no| self.monitor_gone(no));
            return;
        };
        let Some(no) = known else { return self.monitor_made(spec) };
        let tags = spec.tags.clone();
        self.edit_monitor_of(no, |live| live.tags = tags);
        if spec.notify.is_none() {
            self.own_rule_gone(no, "its monitor does not tell of itself any more");
        }
    }

    fn monitor_made(&mut self, spec: &MonitorSpec) {
        self.s.counters.job_no += 1;
        let no = self.s.counters.job_no;
        let live = Monitor {
            no,
            name: spec.name.clone(),
            tags: spec.tags.clone(),
            key: None,
            status: MonitorStatus::New,
            since: self.at,
            last_at: None,
            took: None,
            begun: None,
            expected: None,
            deadline: None,
            pings: 0,
            excused: None,
            why: None,
        };
        self.s.monitors.by_name.insert(spec.name.clone(), no);
        self.s.monitors.all.insert(no, Arc::new(live));
    }

    fn monitor_gone(&mut self, no: JobNo) {
        let Some(live) = self.s.monitors.all.remove(&no) else { return };
        self.s.monitors.by_name.remove(&live.name);
        if let Some(key) = live.key {
            self.s.monitors.by_key.remove(&key);
        }
        if let Some(at) = live.deadline {
            self.s.watch.remove(&(at, WatchKey::Monitor(no)));
        }
        self.leaves_incidents(no, "its monitor was deleted");
        let from = |kept: u64| (live.pings + 1).saturating_sub(kept).max(1);
        for seq in from(limits::PINGS_KEPT)..=live.pings {
            self.out.remove(ping_key(no, seq));
        }
        for seq in from(limits::PING_BODIES_KEPT)..=live.pings {
            self.out.remove(ping_body_key(no, seq));
        }
    }

    fn edit_monitor_of(&mut self, no: JobNo, edit: impl FnOnce(&mut Monitor)) {
        if let Some(live) = self.s.monitors.all.get_mut(&no) {
            edit(Arc::make_mut(live));
        }
    }

    fn monitor_spec(&self, name: &Name) -> Option<(u64, Arc<MonitorSpec>)> {
        let defined = self.s.definitions.get(Kind::Monitor, name.as_str())?;
        match &defined.spec {
            Spec::Monitor(spec) => Some((defined.version, Arc::clone(spec))),
            _ => None,
        }
    }

    /// Looks at it when it has to have been heard of: not later, and not before.
    fn watch_monitor(&mut self, no: JobNo) {
        let Some(live) = self.s.monitors.all.get(&no) else { return };
        let looked_at = !matches!(live.status, MonitorStatus::Down | MonitorStatus::Paused);
        let ends = live.begun.map(|begun| begun.deadline);
        let due = live.expected.map(|expected| expected.deadline);
        self.set_deadline(no, ends.into_iter().chain(due).min().filter(|_| looked_at));
    }

    fn set_deadline(&mut self, no: JobNo, at: Option<Timestamp>) {
        let Some(live) = self.s.monitors.all.get(&no) else { return };
        if let Some(before) = live.deadline {
            self.s.watch.remove(&(before, WatchKey::Monitor(no)));
        }
        self.s.watch.extend(at.map(|at| (at, WatchKey::Monitor(no))));
        self.edit_monitor_of(no, |live| live.deadline = at);
    }

    pub(super) fn ping(&mut self, sent: &SendPing) -> Answer {
        let live = self.s.monitors.all.get(&sent.no).cloned().ok_or(Rejection::Stale)?;
        let (version, spec) = self.monitor_spec(&live.name).ok_or(Rejection::Stale)?;
        if version != sent.version {
            return Err(Rejection::Stale);
        }
        let (ping, was, at) = (&sent.ping, live.status, self.at);
        let mut live = Arc::unwrap_or_clone(live);
        live.pings += 1;
        match ping.kind {
            PingKind::Log => {}
            PingKind::Start => {
                let deadline = at.plus(spec.max_duration());
                live.begun = Some(Begun { at, rid: ping.rid, deadline });
            }
            PingKind::Success => {
                live.ended(at, sent, MonitorStatus::Up);
                live.expected = sent.expected;
            }
            PingKind::Fail => {
                live.ended(at, sent, MonitorStatus::Down);
                let why = match ping.exit_code {
                    Some(code) => format!("it failed with exit status {code}"),
                    None => "it failed".to_owned(),
                };
                live.why = Some(why);
            }
        }
        let (no, seq, now, why) = (live.no, live.pings, live.status, live.why.clone());
        self.s.monitors.all.insert(no, Arc::new(live));
        self.watch_monitor(no);
        self.keep_ping(no, seq, sent);
        self.out.facts.push(Fact::Ping { kind: ping.kind });
        match (was, now) {
            (MonitorStatus::Down, MonitorStatus::Up) => self.monitor_up(no, &spec),
            (MonitorStatus::Down, _) => {}
            (_, MonitorStatus::Down) => self.monitor_down(no, &spec, why.as_deref()),
            _ => {}
        }
        Ok(Reply::Done)
    }

    fn keep_ping(&mut self, no: JobNo, seq: u64, sent: &SendPing) {
        let mut ping = sent.ping.clone();
        let body = std::mem::take(&mut ping.body);
        let row = PingRow { seq, at: self.at, ping, body_bytes: body.len() as u64 };
        self.out.put(ping_key(no, seq), &row);
        if !body.is_empty() {
            self.out.put(ping_body_key(no, seq), &PingBody { seq, body });
        }
        if seq > limits::PINGS_KEPT {
            self.out.remove(ping_key(no, seq - limits::PINGS_KEPT));
        }
        if seq > limits::PING_BODIES_KEPT {
            self.out.remove(ping_body_key(no, seq - limits::PING_BODIES_KEPT));
        }
    }

    /// Its deadline has come.
    pub(super) fn look_at_monitor(&mut self, no: JobNo) {
        let Some(live) = self.s.monitors.all.get(&no).cloned() else { return };
        let Some((_, spec)) = self.monitor_spec(&live.name) else { return };
        let deadline = live.deadline.unwrap_or(self.at);
        let overran = live.begun.filter(|begun| begun.deadline <= self.at);
        let why = match (overran, live.last_at) {
            (Some(begun), _) => {
                format!("it began at {} and did not end within {}", begun.at, spec.max_duration())
            }
            (None, Some(last)) => format!("no ping since {last}"),
            (None, None) => "no ping".to_owned(),
        };
        self.set_deadline(no, None);
        let (at, told) = (self.at, why.clone());
        self.edit_monitor_of(no, |live| {
            (live.status, live.since, live.expected) = (MonitorStatus::Down, at, None);
            live.why = Some(told);
        });
        self.out.facts.push(Fact::Overdue { late: at.micros_since(deadline) });
        self.monitor_down(no, &spec, Some(&why));
    }

    fn monitor_down(&mut self, no: JobNo, spec: &MonitorSpec, why: Option<&str>) {
        self.event_because("monitor.down", Some(&spec.name), None, why);
        let own = spec.tells(Trouble::MonitorDown);
        let (part, name, tags) = (None, &spec.name, &spec.tags[..]);
        let subject = Subject { no, part, name, tags, own };
        let came = Came { what: Trouble::MonitorDown, run: None, detail: why, times: 1 };
        self.tell(&subject, &came);
    }

    fn monitor_up(&mut self, no: JobNo, spec: &MonitorSpec) {
        self.event("monitor.up", Some(&spec.name), None);
        self.monitor_well(no, &spec.name);
    }

    pub(super) fn edit_monitor(&mut self, no: JobNo, edit: MonitorEdit) -> Answer {
        let missing = || Rejection::NotFound { what: "monitor".into(), name: no.to_string() };
        let live = self.s.monitors.all.get(&no).cloned().ok_or_else(missing)?;
        let (at, paused) = (self.at, live.status == MonitorStatus::Paused);
        let verb = match edit {
            MonitorEdit::Pause if paused => return Ok(Reply::Done),
            MonitorEdit::Resume if !paused => return Ok(Reply::Done),
            MonitorEdit::Pause | MonitorEdit::Resume => {
                let pauses = edit == MonitorEdit::Pause;
                let status = if pauses { MonitorStatus::Paused } else { MonitorStatus::New };
                self.edit_monitor_of(no, |live| {
                    (live.status, live.since, live.expected) = (status, at, None);
                    (live.begun, live.why) = (None, None);
                });
                self.watch_monitor(no);
                self.leaves_incidents(no, "its monitor was paused");
                if pauses { "monitor.pause" } else { "monitor.resume" }
            }
            MonitorEdit::Key(key) => {
                if let Some(old) = live.key {
                    self.s.monitors.by_key.remove(&old);
                }
                self.s.monitors.by_key.insert(key, no);
                self.edit_monitor_of(no, |live| live.key = Some(key));
                "monitor.rotate-key"
            }
        };
        self.audit(verb, live.name.as_str(), json!({}));
        Ok(Reply::Done)
    }

    /// From `from` until now nobody could be heard. What came due meanwhile, or whose time of grace
    /// was cut, has it once more.
    pub(super) fn excuse(&mut self, from: Timestamp) {
        let (until, mut excused) = (self.at, 0_u32);
        let watched: Vec<JobNo> = self.s.monitors.all.keys().copied().collect();
        for no in watched {
            let Some(live) = self.s.monitors.all.get(&no).cloned() else { continue };
            let Some(deadline) = live.deadline else { continue };
            let Some((_, spec)) = self.monitor_spec(&live.name) else { continue };
            let grace = spec.grace();
            let moved = until.plus(grace);
            if deadline.minus(grace) >= until || deadline >= moved {
                continue;
            }
            self.edit_monitor_of(no, |live| {
                live.excused = Some((from, until));
                if let Some(expected) = &mut live.expected {
                    expected.deadline = expected.deadline.max(moved);
                }
                if let Some(begun) = &mut live.begun {
                    begun.deadline = begun.deadline.max(moved);
                }
            });
            self.watch_monitor(no);
            excused += 1;
        }
        if excused > 0 {
            let away = Span::from_secs(until.since(from).secs());
            let told = format!("{excused} monitors: nobody led for {away}, until {until}");
            self.event_because("monitor.excused", None, None, Some(&told));
        }
    }
}

impl Monitor {
    /// The work has ended.
    fn ended(&mut self, at: Timestamp, sent: &SendPing, status: MonitorStatus) {
        let ping = &sent.ping;
        self.took = None;
        if let Some(begun) = self.begun {
            // Of several at a time each end belongs to its own beginning.
            if begun.rid == ping.rid {
                self.took = Some(at.since(begun.at));
                self.begun = None;
            } else if ping.kind == PingKind::Fail || ping.rid.is_none() {
                self.begun = None;
            }
        }
        if self.status != status {
            self.since = at;
        }
        (self.status, self.last_at, self.expected) = (status, Some(at), None);
        (self.excused, self.why) = (None, None);
    }
}
