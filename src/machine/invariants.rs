//! What holds between any two commands. Tests check it after each step; a node never needs
//! to, since `apply` keeps it.

mod flows;
mod pushes;

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    BackfillId, BackfillOrder, DutyKey, DutyKind, JobNo, Kind, MonitorStatus, Name, NodeId,
    RunStatus, Spec, Trigger, limits,
};

use super::state::{Queue, State, Wait, WatchKey};

/// Every broken invariant, in words; empty: all hold.
pub fn check(s: &State) -> Vec<String> {
    let mut broken = Vec::new();
    jobs(s, &mut broken);
    runs(s, &mut broken);
    indexes(s, &mut broken);
    waits(s, &mut broken);
    tables(s, &mut broken);
    definitions(s, &mut broken);
    duties(s, &mut broken);
    backfills(s, &mut broken);
    alerts(s, &mut broken);
    outbox(s, &mut broken);
    watch(s, &mut broken);
    monitors(s, &mut broken);
    flows::check(s, &mut broken);
    pushes::check(s, &mut broken);
    broken
}

fn jobs(s: &State, broken: &mut Vec<String>) {
    if s.names.len() != s.jobs.len() {
        broken.push(format!("{} names for {} jobs", s.names.len(), s.jobs.len()));
    }
    for (no, job) in &s.jobs {
        if s.names.get(&job.spec.name) != Some(no) {
            broken.push(format!("{} is not found by its name", job.spec.name));
        }
        if job.live.ahead.is_some() && s.ahead(*no).is_none() {
            broken.push(format!("{}: nothing is planned ahead", job.spec.name));
        }
        if let Some(next) = job.live.next {
            if next.nominal <= job.live.decided {
                broken.push(format!("{}: next {} is decided", job.spec.name, next.nominal));
            }
            if !s.due.contains(&(next.due, *no)) {
                broken.push(format!("{}: next is not in the due index", job.spec.name));
            }
            if !job.spec.enabled.0 {
                broken.push(format!("{} is paused and has a next time", job.spec.name));
            }
        }
        let open = s.open_of(*no).count() as u32;
        let behind =
            s.open_of(*no).filter(|r| matches!(r.wait, Some(Wait::Behind { .. }))).count() as u32;
        if (open, behind) != (job.live.open, job.live.behind) {
            broken.push(format!("{}: counts of open runs are off", job.spec.name));
        }
        if let Some(most) = job.spec.max_concurrent()
            && behind > 0
            && s.occupying(*no) < most
        {
            broken.push(format!("{}: a run waits behind none", job.spec.name));
        }
    }
    let next = s.jobs.values().filter(|job| job.live.next.is_some()).count();
    if next != s.due.len() {
        broken.push(format!("{} due entries for {next} jobs", s.due.len()));
    }
}

fn runs(s: &State, broken: &mut Vec<String>) {
    for (id, open) in &s.runs {
        if let Some(ahead) = open.ahead {
            let job = s.jobs.get(&id.job_no());
            let known = job.is_none_or(|job| job.live.ahead == Some(*id));
            let first = open.run.status == RunStatus::Assigned && open.run.attempt == 1;
            let after = open.run.nominal_time.is_some_and(|nominal| ahead.before < nominal);
            if !known || !first || !after {
                broken.push(format!("{id} is planned ahead: {ahead:?}"));
            }
        }
        let status = open.run.status;
        if status.is_terminal() {
            broken.push(format!("{id} is {} and open", status.as_str()));
        }
        if (status == RunStatus::Waiting) != open.wait.is_some() {
            broken.push(format!("{id} is {} with wait {:?}", status.as_str(), open.wait));
        }
        let held = matches!(status, RunStatus::Assigned | RunStatus::Running);
        let flow = s.flows.contains_key(id);
        if flow != (held && open.spec.is_workflow()) || (held && !flow) != open.held().is_some() {
            broken.push(format!("{id} is {} but its attempt says otherwise", status.as_str()));
        }
        let fences: Vec<u64> = open.run.attempts.iter().map(|a| a.fence).collect();
        if !fences.is_sorted_by(|a, b| a < b) {
            broken.push(format!("{id}: fences do not grow: {fences:?}"));
        }
    }
}

fn indexes(s: &State, broken: &mut Vec<String>) {
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let of = |status| s.runs.values().filter(|open| open.run.status == status).count();
    counts.insert("open", (s.open.len(), s.runs.len()));
    let lined: usize = s.queues.values().map(Queue::waiting).sum();
    counts.insert("ready", (s.ready.len() + lined, of(RunStatus::Queued)));
    let held = of(RunStatus::Assigned) + of(RunStatus::Running) - s.flows.len();
    counts.insert("placed", (s.placed.len(), held));
    let busy: u32 = s.nodes.values().map(|node| node.busy).sum();
    counts.insert("busy", (busy as usize, held));
    for (name, (have, want)) in counts {
        if have != want {
            broken.push(format!("index {name} has {have} entries for {want}"));
        }
    }
}

/// Backfills have the runs that name them, within their bounds, each time once.
fn backfills(s: &State, broken: &mut Vec<String>) {
    let (mut of, mut times): (BTreeMap<BackfillId, u32>, BTreeSet<_>) = Default::default();
    let mut by_job: BTreeMap<JobNo, u32> = BTreeMap::new();
    for open in s.runs.values().filter(|open| open.run.trigger == Trigger::Backfill) {
        let run = &open.run;
        let Some(backfill) = run.backfill.and_then(|id| s.backfills.all.get(&id)) else {
            broken.push(format!("{} is of no backfill", run.id));
            continue;
        };
        *of.entry(backfill.id).or_default() += 1;
        *by_job.entry(backfill.no).or_default() += 1;
        let at = run.nominal_time.unwrap_or_default();
        let taken = match backfill.order {
            BackfillOrder::Oldest => backfill.from <= at && at < backfill.cursor,
            BackfillOrder::Newest => backfill.cursor <= at && at < backfill.to,
        };
        if !taken || !times.insert((backfill.no, at)) || backfill.version != run.version {
            broken.push(format!("{} of backfill {} at {at}", run.id, backfill.id));
        }
    }
    for (no, job) in &s.jobs {
        if job.live.backfilling != by_job.get(no).copied().unwrap_or_default() {
            broken.push(format!("{}: its count of backfill runs is off", job.spec.name));
        }
    }
    for (id, backfill) in &s.backfills.all {
        let open = of.get(id).copied().unwrap_or_default();
        let counts = backfill.counts;
        let known = s.backfills.open.contains(&(backfill.no, *id));
        if backfill.open != open
            || counts.made != counts.closed() + u64::from(open)
            || known != backfill.status.is_open()
            || known != backfill.spec.is_some()
            || backfill.cursor < backfill.from
            || backfill.cursor > backfill.to
        {
            broken.push(format!("backfill {id} has {open} open runs and says {backfill:?}"));
        }
    }
}

/// Who does what, and which events are kept.
fn duties(s: &State, broken: &mut Vec<String>) {
    let free = s.duties.all.iter().filter(|(_, duty)| duty.holder.is_none());
    if !s.duties.free.iter().eq(free.map(|(key, _)| key)) {
        broken.push("the index of free duties is off".into());
    }
    let mut fences = BTreeSet::new();
    for (key, duty) in &s.duties.all {
        if let Some((id, boot)) = duty.holder {
            let node = s.nodes.get(&id);
            if node.is_none_or(|node| node.boot != boot || !node.accepting) {
                broken.push(format!("{key} is held by a boot that is not there"));
            }
        }
        let given = duty.fence > 0;
        if duty.fence > s.counters.fence
            || (given && duty.former >= duty.fence)
            || (given && !fences.insert(duty.fence))
        {
            broken.push(format!("{key} has the fence {} after {}", duty.fence, duty.former));
        }
    }
    // Before there were sinks, nothing made a duty of that kind.
    let sinks = s.definitions.of(Kind::Sink).map(|(name, _)| DutyKey::sink(name.clone()));
    let triggers = s.definitions.of(Kind::Trigger).map(|(name, _)| DutyKey::trigger(name.clone()));
    for key in sinks.chain(triggers).filter(|key| !s.duties.all.contains_key(key)) {
        broken.push(format!("nobody can do {key}"));
    }
    if s.duties.all.values().any(|duty| duty.begin.is_some_and(|begin| begin > duty.position)) {
        broken.push("a duty is before the place where it began".into());
    }
    if s.events.first > s.events.last + 1 {
        broken.push(format!("events are kept from {:?} on", s.events));
    }
}

/// Incidents are found by their number and by each of their jobs.
fn alerts(s: &State, broken: &mut Vec<String>) {
    let alerts = &s.alerts;
    let (mut by_id, mut by_job) = (BTreeMap::new(), BTreeSet::new());
    let mut by_part = BTreeSet::new();
    for (key, incident) in &alerts.incidents {
        if incident.id != 0 {
            by_id.insert(incident.id, key.clone());
        }
        by_job.extend(incident.jobs.keys().map(|no| (*no, key.clone())));
        let told = incident.id != 0 && incident.opened_at.is_some();
        by_part.extend(key.part.iter().map(|part| (part.clone(), key.clone())));
        if incident.jobs.is_empty() != key.part.is_some()
            || incident.facts.part != key.part
            || incident.jobs.len() > limits::INCIDENT_JOBS_MAX
            || incident
                .jobs
                .keys()
                .any(|no| !s.jobs.contains_key(no) && !s.monitors.all.contains_key(no))
            || incident.id > alerts.last
            || told != (incident.opened_at.is_some() || incident.id != 0)
        {
            broken.push(format!("the incident {key:?} is {incident:?}"));
        }
    }
    if !alerts.by_id.iter().eq(by_id.iter())
        || !alerts.by_job.iter().eq(by_job.iter())
        || !alerts.by_part.iter().eq(by_part.iter())
    {
        broken.push("incidents are not indexed as they are".into());
    }
    let mut naming = BTreeSet::new();
    for (no, job) in &s.jobs {
        let channels = job.spec.notify.iter().flat_map(|notify| &notify.channels);
        naming.extend(channels.map(|channel| (channel.clone(), *no)));
    }
    if !alerts.naming.iter().eq(naming.iter()) {
        broken.push("the jobs that tell channels are not indexed as they are".into());
    }
    if alerts.incidents.len() > limits::INCIDENTS_MAX {
        broken.push(format!("{} incidents", alerts.incidents.len()));
    }
}

/// Notices wait under their channel and number, for a channel that is there and that somebody sends
/// to.
fn outbox(s: &State, broken: &mut Vec<String>) {
    let mut seqs = BTreeSet::new();
    for ((channel, seq), notice) in &s.outbox.waiting {
        let there = s.duties.all.contains_key(&DutyKey::channel(channel.clone()));
        let new = seqs.insert(*seq) && *seq <= s.outbox.last && !s.outbox.dead.contains(seq);
        if (channel, *seq) != (&notice.channel, notice.seq) || !there || !new {
            broken.push(format!("the notice {seq} for {channel} is {notice:?}"));
        }
    }
    let waiting = s.outbox.waiting.len();
    if waiting > limits::NOTICES_MAX {
        broken.push(format!("{waiting} notices wait"));
    }
    let channels = s.definitions.of(Kind::Channel).map(|(name, _)| name);
    let duties = s.duties.all.keys().filter(|key| key.kind == DutyKind::Channel);
    if !channels.eq(duties.map(|key| &key.name)) {
        broken.push("the duties of channels are not those of the channels".into());
    }
}

/// What is looked at once its time has come.
fn watch(s: &State, broken: &mut Vec<String>) {
    let mut all = BTreeSet::new();
    for (id, open) in &s.runs {
        all.extend(open.watched.late.map(|at| (at, WatchKey::Late(*id))));
        all.extend(open.watched.long.map(|at| (at, WatchKey::Long(*id))));
    }
    for (no, monitor) in &s.monitors.all {
        all.extend(monitor.deadline.map(|at| (at, WatchKey::Monitor(*no))));
    }
    for incident in s.alerts.incidents.values() {
        all.extend(incident.repeat_at.map(|at| (at, WatchKey::Repeat(incident.id))));
    }
    if !s.watch.iter().eq(all.iter()) {
        broken.push(format!("what is watched is {:?}, not {all:?}", s.watch));
    }
}

/// Monitors are found by name and key, as their definitions say, and are looked at by the earliest
/// instant at which each has to have been heard of.
fn monitors(s: &State, broken: &mut Vec<String>) {
    let names = s.definitions.of(Kind::Monitor).map(|(name, _)| name);
    if !names.eq(s.monitors.by_name.keys()) || s.monitors.by_name.len() != s.monitors.all.len() {
        broken.push("monitors are not those that are defined".into());
    }
    let mut keys = BTreeSet::new();
    for (no, monitor) in &s.monitors.all {
        keys.extend(monitor.key.map(|key| (key, *no)));
        let quiet = matches!(monitor.status, MonitorStatus::Down | MonitorStatus::Paused);
        let waits = monitor.expected.is_some() || monitor.begun.is_some();
        if s.monitors.by_name.get(&monitor.name) != Some(no)
            || s.jobs.contains_key(no)
            || monitor.no != *no
            || *no > s.counters.job_no
            || (quiet && (monitor.deadline.is_some() || monitor.expected.is_some()))
            || (!quiet && waits != monitor.deadline.is_some())
        {
            broken.push(format!("the monitor {no} is {monitor:?}"));
        }
    }
    let by_key: BTreeSet<_> = s.monitors.by_key.iter().map(|(key, no)| (*key, *no)).collect();
    if keys != by_key {
        broken.push("monitors are not found by their keys".into());
    }
}

/// What the waits of runs are indexed under.
fn waits(s: &State, broken: &mut Vec<String>) {
    let (mut timers, mut gated) = (BTreeSet::new(), BTreeSet::new());
    for (id, open) in &s.runs {
        match open.wait {
            Some(Wait::Gate { until, .. }) => {
                timers.extend(until.map(|until| (until, *id)));
                gated.extend(open.spec.dependencies.iter().map(|name| (name.clone(), *id)));
            }
            Some(Wait::Retry { until }) => drop(timers.insert((until, *id))),
            Some(Wait::Behind { .. }) | None => {}
        }
    }
    if !s.timers.iter().eq(timers.iter()) {
        broken.push(format!("timers {:?} for {timers:?}", s.timers));
    }
    if !s.gated.iter().eq(gated.iter()) {
        broken.push(format!("gated runs {:?} for {gated:?}", s.gated));
    }
}

/// Definitions stand under their own names, and what is live has what they say.
fn definitions(s: &State, broken: &mut Vec<String>) {
    let windows = s.definitions.count(Kind::Window);
    if s.windows.len() != windows || s.windows.keys().any(|name| s.window(name).is_none()) {
        broken.push(format!("{} windows are live, and {windows} defined", s.windows.len()));
    }
    for (kind, name, defined) in s.definitions.all() {
        if defined.spec.kind() != kind || defined.spec.name() != name || defined.version == 0 {
            broken.push(format!("the {} {name} is another in its table", kind.as_str()));
        }
        let Spec::Queue(spec) = &defined.spec else { continue };
        let live = s.queues.get(name).and_then(|queue| queue.concurrency);
        if live != spec.concurrency {
            broken.push(format!("the queue {name} is bounded by {live:?}, not as defined"));
        }
    }
}

/// Who waits in queues, and the starts that they remember.
fn lines(s: &State, broken: &mut Vec<String>) {
    for (name, queue) in &s.queues {
        let Some(governed) = &queue.governed else { continue };
        broken.extend(governed.line.broken().map(|why| format!("queue {name}: {why}")));
        for id in governed.line.ids() {
            let open = s.runs.get(id);
            let queued = open.filter(|open| open.run.status == RunStatus::Queued);
            if queued.is_none_or(|open| open.spec.queue.as_ref() != Some(name)) {
                broken.push(format!("queue {name}: {id} does not wait there"));
            }
        }
        if governed.starts.len() > governed.rules.remembered() {
            broken.push(format!("queue {name} remembers {} starts", governed.starts.len()));
        }
    }
}

/// Edges of the graph, load of nodes and queues, answered requests, keys.
fn tables(s: &State, broken: &mut Vec<String>) {
    let mut edges = BTreeSet::new();
    for (no, job) in &s.jobs {
        for (field, _, target) in job.spec.references() {
            edges.insert((target.clone(), field == "dependencies", *no));
        }
    }
    if !s.references.iter().eq(edges.iter()) {
        broken.push("the index of references is off".into());
    }
    let mut queues: BTreeMap<&Name, u32> = BTreeMap::new();
    let mut nodes: BTreeMap<NodeId, u32> = BTreeMap::new();
    for open in s.runs.values() {
        let Some((_, boot)) = open.held() else { continue };
        let node = open.run.node.and_then(|id| s.nodes.get(&id));
        if node.is_none_or(|node| node.boot != boot) {
            broken.push(format!("{} is held by a boot that is not there", open.run.id));
        }
        if let Some(queue) = &open.spec.queue {
            *queues.entry(queue).or_default() += 1;
        }
        *nodes.entry(open.run.node.unwrap_or_default()).or_default() += 1;
    }
    let busy = s.queues.iter().filter(|(_, queue)| queue.busy > 0).map(|(n, q)| (n, &q.busy));
    if !busy.eq(queues.iter().map(|(name, busy)| (*name, busy))) {
        broken.push(format!("queues {:?} with {queues:?}", s.queues));
    }
    lines(s, broken);
    for (id, node) in &s.nodes {
        if node.lost && (node.accepting || node.busy > 0) {
            broken.push(format!("node {id} is lost and takes or has attempts"));
        }
        if node.busy != nodes.get(id).copied().unwrap_or_default() {
            broken.push(format!("node {id} is said to be busy with {}", node.busy));
        }
    }
    let graves = &s.graves;
    let ages = graves.by_no.values().map(|grave| (grave.deleted_at, grave.no));
    let names = graves.by_no.values().map(|grave| (grave.name.clone(), grave.no));
    if !graves.by_age.iter().cloned().eq(ages.collect::<BTreeSet<_>>())
        || !graves.by_name.iter().cloned().eq(names.collect::<BTreeSet<_>>())
        || graves.by_no.len() > limits::DELETED_JOBS_MAX
        || graves.by_no.keys().any(|no| s.jobs.contains_key(no) || s.deleted.contains(no))
    {
        broken.push("deleted jobs that are remembered are not indexed as they are".into());
    }
    let remembered = &s.idempotency;
    if remembered.by_key.len() != remembered.by_age.len() {
        broken.push("answered requests by key and by age differ".into());
    }
    for (name, secret) in &s.secrets.items {
        if s.secrets.key(secret.sealed.key).is_none() || secret.name != *name {
            broken.push(format!("the secret {name} is sealed with a key that is not there"));
        }
    }
    let (keys, failures) = (s.access.keys.len(), s.access.failures.len());
    if keys > limits::SIGNING_KEYS_MAX || failures > limits::LOGIN_FAILURES_MAX {
        broken.push(format!("{keys} signing keys, {failures} accounts with failed logins"));
    }
    let older = s.access.keys.split_last().map_or(&[][..], |(_, older)| older);
    // Keys that were replaced before format 3 have no age.
    if older.iter().filter(|key| key.retired_at.is_none()).count() > 1 {
        broken.push("signing keys that do not sign are not retired".into());
    }
}
