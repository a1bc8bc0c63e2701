//! Monitors: pings come in, and what came can be looked at. Definitions are of the kit.

use std::collections::BTreeMap;

use serde::Serialize;
use uuid::Uuid;

use super::access::Origin;
use super::definitions::{manages, no_such, seen, target};
use super::paging::Question;
use super::{
    Caller, DefinitionView, Error, Meta, Page, Paging, Service, Target, WriteOptions, Written,
};
use crate::machine::command::{MonitorEdit, Ping};
use crate::machine::history::{PingBody, PingRow, ping_body_key, ping_key, pings_prefix, unpack};
use crate::machine::prepare::Intent;
use crate::machine::state::Monitor;
use crate::machine::{Op, State};
use crate::model::monitor::{KeyHash, PingKind, hash_of};
use crate::model::{JobNo, Kind, Name, Spec, Timestamp, limits};
use crate::storage::{Direction, Scan};

/// The key of a monitor, as it is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingKey(Uuid);

impl PingKey {
    /// A new one: a UUID, as other services of the field have them.
    pub(super) fn draw() -> Result<Self, Error> {
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).map_err(|e| Error::Internal(format!("keys: {e}")))?;
        Ok(PingKey(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }

    /// What is kept of it.
    pub(super) fn hash(self) -> KeyHash {
        hash_of(self.0)
    }

    /// Where pings with it go.
    pub fn path(self) -> String {
        format!("/ping/{}", self.0)
    }
}

/// Where the pings of a monitor go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct NewPingPath {
    /// With the key, which is not told again.
    pub ping_path: String,
}

/// A ping that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct PingView {
    /// Its number among those of the monitor, from 1.
    pub seq: u64,
    /// When it came.
    pub at: Timestamp,
    /// What it said.
    pub kind: PingKind,
    /// The exit status that it gave.
    #[schema(required)]
    pub exit_code: Option<u8>,
    /// Which run of the work it was of, as that says.
    #[schema(required)]
    pub rid: Option<Uuid>,
    /// The method of HTTP.
    pub method: String,
    /// Where it came from.
    #[schema(required)]
    pub from: Option<String>,
    /// What sent it, as that says.
    #[schema(required)]
    pub agent: Option<String>,
    /// Bytes that came along, 10,000 at most.
    pub body_bytes: u64,
    /// What they say, of the ten newest pings; null: nothing came, or it is not kept any more.
    #[schema(required)]
    pub body: Option<String>,
}

impl PingView {
    fn of(row: PingRow, body: Option<Vec<u8>>) -> Self {
        let Ping { kind, exit_code, rid, method, from, agent, .. } = row.ping;
        PingView {
            seq: row.seq,
            at: row.at,
            kind,
            exit_code,
            rid,
            method,
            from,
            agent,
            body_bytes: row.body_bytes,
            body: body.map(|body| String::from_utf8_lossy(&body).into_owned()),
        }
    }
}

fn unknown() -> Error {
    Error::NotFound { what: "monitor".into(), name: "with that key".into() }
}

impl Service {
    /// Takes a ping: it is in the log when this comes back.
    ///
    /// # Errors
    /// `NotFound`: no monitor has that key; `Throttled`, `Unavailable`.
    pub async fn ping(&self, key: Uuid, mut ping: Ping, origin: &Origin) -> Result<(), Error> {
        let (key, now) = (hash_of(key), self.now());
        let throttled = |retry_after| Error::Throttled { retry_after };
        let known = |state: &State| state.monitors.keyed(&key).map(|monitor| monitor.no);
        let mut no = known(&self.consensus().state());
        if no.is_none() {
            // It may be of a monitor that this node has not heard of yet.
            let from = origin.from.as_deref().unwrap_or_default();
            self.0.pings_unknown.take(from, now).map_err(throttled)?;
            self.catch_up().await?;
            no = known(&self.consensus().state());
        }
        let no = no.ok_or_else(unknown)?;
        self.0.pings.take(&no.to_string(), now).map_err(throttled)?;
        ping.from.clone_from(&origin.from);
        ping.body.truncate(limits::PING_BODY_BYTES_MAX);
        let intent = Intent::Ping { key, ping: Box::new(ping) };
        match self.submit_unowned(intent).await {
            Err(Error::NotFound { .. }) => Err(unknown()),
            done => done,
        }
    }

    /// The pings of a monitor, newest first: the last hundred.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Malformed`.
    pub async fn monitor_pings(
        &self,
        c: &Caller,
        name: &Name,
        p: Paging,
    ) -> Result<Page<PingView>, Error> {
        let state = self.consensus().state();
        let no = monitor_seen(c, &state, name)?.no;
        let (limit, question) = (p.limit()?, Question::new(&("pings", no)));
        let mut scan = Scan::prefix(&pings_prefix(no), Direction::Backward, limit + 1);
        if let Some(last) = question.after::<u64>(&p)? {
            scan = scan.after(&ping_key(no, last));
        }
        let rows = self.consensus().history().scan(scan).await?;
        let mut bodies = self.bodies_of(no).await?;
        let mut items = Vec::new();
        for (_, value) in rows {
            let row: PingRow = unpack(&value)?;
            let body = bodies.remove(&row.seq);
            items.push(PingView::of(row, body));
        }
        Ok(question.page(items, limit, |ping| ping.seq))
    }

    async fn bodies_of(&self, no: JobNo) -> Result<BTreeMap<u64, Vec<u8>>, Error> {
        let (from, to) = (ping_body_key(no, 0), ping_body_key(no, u64::MAX));
        let limit = limits::PING_BODIES_KEPT as usize;
        let scan = Scan { from, to, direction: Direction::Backward, limit };
        let mut bodies = BTreeMap::new();
        for (_, value) in self.consensus().history().scan(scan).await? {
            let row: PingBody = unpack(&value)?;
            bodies.insert(row.seq, row.body);
        }
        Ok(bodies)
    }

    /// Pauses a monitor, or has it wait for its first ping again.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `KeyReused`, `Unavailable`.
    pub async fn pause_monitor(
        &self,
        c: &Caller,
        name: &Name,
        paused: bool,
        o: WriteOptions,
    ) -> Result<Written<DefinitionView>, Error> {
        let edit = if paused { MonitorEdit::Pause } else { MonitorEdit::Resume };
        let meta = self.edit_monitor(c, name, edit, o).await?;
        let value = self.definition(c, Kind::Monitor, name).await?;
        Ok(Written { value, created: false, changed: true, warnings: Vec::new(), meta })
    }

    /// Gives a monitor another key. Pings with the one before are refused from here on.
    ///
    /// # Errors
    /// `Forbidden`, `NotFound`, `Unavailable`.
    pub async fn rotate_monitor_key(&self, c: &Caller, name: &Name) -> Result<NewPingPath, Error> {
        let key = PingKey::draw()?;
        self.edit_monitor(c, name, MonitorEdit::Key(key.hash()), WriteOptions::default()).await?;
        Ok(NewPingPath { ping_path: key.path() })
    }

    async fn edit_monitor(
        &self,
        c: &Caller,
        name: &Name,
        edit: MonitorEdit,
        o: WriteOptions,
    ) -> Result<Meta, Error> {
        c.permit(manages(Kind::Monitor), Target::Cluster)?;
        let intend = |state: &State| {
            let live = state.monitors.named(name).ok_or_else(|| no_such(Kind::Monitor, name))?;
            let target = target(Kind::Monitor, name.as_str(), &live.tags);
            let permit = c.permit(manages(Kind::Monitor), target)?;
            Ok(permit.grants(Intent::Plain(Box::new(Op::EditMonitor { no: live.no, edit }))))
        };
        self.write(c, o, intend).await
    }
}

fn monitor_seen<'a>(c: &Caller, state: &'a State, name: &Name) -> Result<&'a Monitor, Error> {
    c.permit(super::Action::ReadAlerts, Target::Cluster)?;
    let defined = seen(c, state, Kind::Monitor, name.as_str())?;
    let live = defined.and_then(|_| state.monitors.named(name));
    live.map(|live| &**live).ok_or_else(|| no_such(Kind::Monitor, name))
}

/// Where a monitor is, and what comes next, in a sentence or two.
pub(super) fn explained(state: &State, monitor: &Monitor, now: Timestamp) -> String {
    use crate::model::MonitorStatus::{Down, Late, New, Paused, Started, Up};
    let defined = state.definitions.get(Kind::Monitor, monitor.name.as_str());
    let Some(Spec::Monitor(spec)) = defined.map(|defined| &defined.spec) else {
        return String::new();
    };
    let by = |at: Option<Timestamp>| match at {
        Some(at) => format!("it is down at {at} unless a ping comes"),
        None => "nothing is awaited".to_owned(),
    };
    let mut told = match monitor.status_at(now) {
        New => "No ping came yet; it is watched from the first one on.".to_owned(),
        Paused => "Paused: nobody is told of silence. The next ping resumes it.".to_owned(),
        Down => {
            let why = monitor.why.as_deref().unwrap_or("no ping came");
            format!("Down since {}: {why}.", monitor.since)
        }
        Started => {
            let begun = monitor.begun.map(|begun| begun.at).unwrap_or_default();
            format!(
                "Under way since {begun}, for {} at most; {}.",
                spec.max_duration(),
                by(monitor.deadline)
            )
        }
        Late => {
            let due = monitor.expected.map(|expected| expected.at).unwrap_or_default();
            format!("Late: a ping was due at {due}; {}.", by(monitor.deadline))
        }
        Up => match monitor.expected {
            Some(expected) => {
                format!("Up. The next ping is due at {}; {}.", expected.at, by(monitor.deadline))
            }
            None => "Up. Its schedule names no time any more.".to_owned(),
        },
    };
    if let Some((from, until)) = monitor.excused {
        told.push_str(&format!(
            " Its deadline was moved: the cluster had no leader from {from} to {until}."
        ));
    }
    if monitor.key.is_none() {
        told.push_str(" It has no key: POST /monitors/{name}/key makes one.");
    }
    told
}
