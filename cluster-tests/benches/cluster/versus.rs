//! Durable job writes and linearizable reads, beside puts and gets of the same size in etcd: the
//! same number of clients and nodes, in turns, each on new processes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;

use crate::bed::{Bed, NODES};
use crate::etcd::{self, Etcd, Kv, STREAMS};
use crate::load::{Client, Measured, drive};
use crate::rest::Line;
use crate::stats::{Spread, ms};
use crate::{Failure, Scale, conditions, disk, jobs};

const CLIENTS: [usize; 3] = [1, 64, 512];
/// Bytes of a value, and of a definition as JSON.
const VALUE_BYTES: usize = 256;
/// Values that are read, by chance.
const KEYS: u64 = 1_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Writes,
    Reads,
}

/// What one system did with so many clients, and the processor time a request took.
struct Row {
    clients: usize,
    measured: Measured,
    load_cpu_us: f64,
    nodes_cpu_us: f64,
}

/// Writes.
pub async fn writes(scale: Scale) -> Result<(), Failure> {
    compare(scale, Kind::Writes).await
}

/// Reads.
pub async fn reads(scale: Scale) -> Result<(), Failure> {
    compare(scale, Kind::Reads).await
}

async fn compare(scale: Scale, kind: Kind) -> Result<(), Failure> {
    let (rounds, length) = (scale.pick(1, 5), Duration::from_secs(scale.pick(3, 6)));
    let etcd_here = etcd::installed();
    if !etcd_here {
        println!("etcd is not installed here: apt-get install etcd-server");
    }
    let (mut theirs, mut ours, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        if etcd_here {
            let etcd = Etcd::start().await?;
            syncs.push(disk::syncs(etcd.sandbox.path(), VALUE_BYTES)?);
            theirs.extend(of_etcd(&etcd, kind, length).await?);
            etcd.stop().await;
        }
        let bed = Bed::start(scale).await?;
        syncs.push(disk::syncs(bed.sandbox.path(), VALUE_BYTES)?);
        ours.extend(of_cronapi(&bed, kind, length).await?);
        bed.end().await;
    }
    let Spread { median, least, most } = Spread::of(syncs);
    println!("appends of {VALUE_BYTES} B with fdatasync: {median:.0}/s ({least:.0} to {most:.0})");
    println!(
        "{:>8} {:>8} {:>9} {:>19} {:>9} {:>9} {:>13} {:>13}",
        "",
        "clients",
        "a second",
        "(least to most)",
        "p50 ms",
        "p99 ms",
        "us of nodes",
        "us of load"
    );
    for clients in CLIENTS {
        let theirs = tell("etcd", clients, &theirs);
        let ours = tell("cronapi", clients, &ours);
        if theirs > 0.0 {
            println!("{:>8} {clients:>8} {:>8.0}%", "of etcd", 100.0 * ours / theirs);
        }
    }
    Ok(())
}

/// Prints a line; gives the median rate.
fn tell(system: &str, clients: usize, rows: &[Row]) -> f64 {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.clients == clients).collect();
    if rows.is_empty() {
        return 0.0;
    }
    let middle = |of: fn(&Row) -> f64| Spread::of(rows.iter().map(|row| of(row))).median;
    let Spread { median, least, most } = Spread::of(rows.iter().map(|row| row.measured.rate));
    println!(
        "{system:>8} {clients:>8} {median:>9.0} {:>19} {:>9.2} {:>9.2} {:>13.0} {:>13.0}",
        format!("{least:.0} to {most:.0}"),
        middle(|row| ms(&row.measured.latency, 0.5)),
        middle(|row| ms(&row.measured.latency, 0.99)),
        middle(|row| row.nodes_cpu_us),
        middle(|row| row.load_cpu_us),
    );
    let failed: u64 = rows.iter().map(|row| row.measured.failed).sum();
    if failed > 0 {
        let reason = rows.iter().find_map(|row| row.measured.reason.as_deref());
        println!("{:>17} {failed} refused or lost, such as {}", "", reason.unwrap_or_default());
    }
    median
}

async fn measure<C: Client>(
    sandbox: &cluster_tests::harness::Sandbox,
    clients: Vec<C>,
    length: Duration,
) -> Result<Row, Failure> {
    let count = clients.len();
    let before = conditions::used(sandbox);
    let measured = drive(clients, length).await?;
    let after = conditions::used(sandbox);
    // Of the warm-up too, which had the same rate or less.
    let answers = measured.rate * (length.as_secs_f64() + 0.7);
    let each = |spent: Duration| spent.as_secs_f64() * 1e6 / answers.max(1.0);
    Ok(Row {
        clients: count,
        measured,
        load_cpu_us: each(after.0.saturating_sub(before.0)),
        nodes_cpu_us: each(after.1.saturating_sub(before.1)),
    })
}

async fn of_etcd(etcd: &Etcd, kind: Kind, length: Duration) -> Result<Vec<Row>, Failure> {
    let value: Arc<[u8]> = vec![b'x'; VALUE_BYTES].into();
    let mut first = etcd.client(0).await?;
    for key in (0..KEYS).filter(|_| kind == Kind::Reads) {
        first.put(key_name(key).as_bytes(), &value).await?;
    }
    let mut rows = Vec::new();
    for count in CLIENTS {
        let mut lines: Vec<Kv> = Vec::new();
        for node in 0..count.div_ceil(STREAMS).max(NODES) {
            lines.push(etcd.client(node).await?);
        }
        let client = |number: usize| EtcdClient {
            lines: match count < NODES {
                true => lines.clone(),
                false => vec![lines[number % lines.len()].clone()],
            },
            value: value.clone(),
            kind,
            turn: Turn::new(count, number),
        };
        rows.push(measure(&etcd.sandbox, (0..count).map(client).collect(), length).await?);
    }
    Ok(rows)
}

async fn of_cronapi(bed: &Bed, kind: Kind, length: Duration) -> Result<Vec<Row>, Failure> {
    let definition = jobs::sized(VALUE_BYTES);
    if kind == Kind::Reads {
        let mut line = bed.line(0).await?;
        for key in 0..KEYS {
            let path = format!("/jobs/{}", key_name(key));
            line.done(Method::PUT, &path, definition.clone()).await?;
        }
    }
    let mut rows = Vec::new();
    for count in CLIENTS {
        let mut clients = Vec::new();
        for number in 0..count {
            // A single client asks them in turn: none is the leader's own.
            let nodes = if count < NODES { (0..NODES).collect() } else { vec![number % NODES] };
            let mut lines = Vec::new();
            for node in nodes {
                lines.push(bed.line(node).await?);
            }
            let (definition, turn) = (definition.clone(), Turn::new(count, number));
            clients.push(CronapiClient { lines, definition, kind, turn });
        }
        rows.push(measure(&bed.sandbox, clients, length).await?);
    }
    Ok(rows)
}

fn key_name(key: u64) -> String {
    format!("key-{key:04}")
}

/// What a client asks for next: a new name, or one of those that are there, by chance.
struct Turn {
    stage: usize,
    client: u64,
    count: u64,
}

impl Turn {
    fn new(stage: usize, client: usize) -> Turn {
        Turn { stage, client: client as u64, count: 0 }
    }

    fn name(&mut self, kind: Kind) -> String {
        self.count += 1;
        if kind == Kind::Writes {
            return format!("job-{}-{}-{}", self.stage, self.client, self.count);
        }
        // Any multiplier that mixes will do.
        let mixed = (self.client << 32 | self.count).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        key_name((mixed >> 32) % KEYS)
    }
}

struct EtcdClient {
    lines: Vec<Kv>,
    value: Arc<[u8]>,
    kind: Kind,
    turn: Turn,
}

impl Client for EtcdClient {
    async fn ask(&mut self) -> Result<(), Failure> {
        let key = self.turn.name(self.kind);
        let at = self.turn.count as usize % self.lines.len();
        let line = &mut self.lines[at];
        match self.kind {
            Kind::Writes => line.put(key.as_bytes(), &self.value).await,
            Kind::Reads => match line.get(key.as_bytes()).await?.len() {
                VALUE_BYTES => Ok(()),
                other => Err(format!("a value of {other} bytes").into()),
            },
        }
    }
}

struct CronapiClient {
    lines: Vec<Line>,
    definition: Bytes,
    kind: Kind,
    turn: Turn,
}

impl Client for CronapiClient {
    async fn ask(&mut self) -> Result<(), Failure> {
        let path = format!("/jobs/{}", self.turn.name(self.kind));
        let at = self.turn.count as usize % self.lines.len();
        let line = &mut self.lines[at];
        match self.kind {
            Kind::Writes => line.done(Method::PUT, &path, self.definition.clone()).await,
            Kind::Reads => line.done(Method::GET, &path, Bytes::new()).await,
        }?;
        Ok(())
    }
}
