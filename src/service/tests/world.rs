//! A node in memory, its clock in the test's hand.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::{Clock, Manual};
use crate::consensus::{self, Options};
use crate::executor::runner::RunnerEnv;
use crate::machine::command::{End, Next, Op, OutputChunk, Place, Range, SigningKey};
use crate::machine::plan::{Around, plan};
use crate::machine::prepare::timing::Compiled;
use crate::machine::{Answer, Command, Reply};
use crate::metrics::Metrics;
use crate::model::{
    Actor, LogStream, Name, Outcome, Role, Run, RunId, RunStatus, Scope, SkipReason, Span,
    Timestamp, User,
};
use crate::service::{
    Caller, Deps, Error, JobView, NodeLocal, PutMode, RequestKey, Service, WriteOptions, Written,
};
use crate::storage::{Identity, MemoryDisk};

pub const NODE: u64 = 7;
pub const BOOT: Uuid = Uuid::from_u128(7);

pub struct World {
    pub service: Service,
    pub clock: Arc<Manual>,
}

pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Fields of a definition, or parameters.
pub fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A caller of that role, for all jobs.
pub fn caller(role: Role) -> Caller {
    scoped(role, Scope::default())
}

pub fn scoped(role: Role, scope: Scope) -> Caller {
    let user = Name::parse(role.as_str()).unwrap();
    let actor = Actor { name: user.to_string(), from: None, request_id: None, trace: None };
    Caller::new(actor, user, role, scope, None, None)
}

/// A scope of one name pattern.
pub fn only(pattern: &str) -> Scope {
    Scope { jobs: vec![pattern.into()], tags: Vec::new() }
}

pub fn admin() -> Caller {
    caller(Role::Admin)
}

pub fn keyed(key: u128, content: u128) -> WriteOptions {
    let (key, fingerprint) = (Uuid::from_u128(key), Uuid::from_u128(content));
    WriteOptions { request: Some(RequestKey { key, fingerprint }), ..WriteOptions::default() }
}

pub fn dry() -> WriteOptions {
    WriteOptions { dry_run: true, ..WriteOptions::default() }
}

pub fn expecting(version: u64) -> WriteOptions {
    WriteOptions { expected: Some(version), ..WriteOptions::default() }
}

/// The pointers of the faults in an error.
pub fn pointers<T: std::fmt::Debug>(result: Result<T, Error>) -> Vec<String> {
    match result {
        Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
        other => panic!("{other:?}"),
    }
}

impl World {
    /// Noon of a Monday.
    pub async fn new() -> World {
        let noon = at("2027-03-01T12:00:00Z");
        let world = World::bare(Duration::from_secs(10)).await;
        let admin = User {
            uid: Uuid::from_u128(1),
            name: Name::parse("admin").unwrap(),
            role: Role::Admin,
            scope: Scope::default(),
            password: "hash".into(),
            external: None,
            epoch: 0,
            created_at: noon,
            updated_at: noon,
        };
        let signing_key = SigningKey::new(Uuid::from_u128(2), [0; 32]);
        world.does(Op::Bootstrap { signing_key, admin: Box::new(admin) }).await.unwrap();
        let address = "127.0.0.1:8001".to_string();
        let (api, labels) = (String::new(), Default::default());
        let up = Op::NodeUp { node: NODE, boot: BOOT, address, api, slots: 4, labels };
        world.does(up).await.unwrap();
        world
    }

    /// A node with nothing in it, that waits so long for the answer to a write.
    pub async fn bare(submit_timeout: Duration) -> World {
        static RUNNERS: OnceLock<Arc<RunnerEnv>> = OnceLock::new();
        let runners = Arc::clone(RUNNERS.get_or_init(|| Arc::new(RunnerEnv::detect())));
        let noon = at("2027-03-01T12:00:00Z");
        let clock = Arc::new(Manual::at(noon));
        let disk = MemoryDisk::new(Identity::generate(noon.millis()).unwrap());
        let options = Options::new("unused", noon.millis());
        let in_time: Arc<dyn Clock> = clock.clone();
        let options = Options { in_memory: Some(disk), submit_timeout, clock: in_time, ..options };
        let consensus = consensus::open(options).await.unwrap();
        let local = NodeLocal {
            version: "1.2.3".into(),
            started_at: noon,
            labels: Default::default(),
            slots: 4,
            push_places: Default::default(),
        };
        let metrics = Arc::new(Metrics::new(0).unwrap());
        let service = Service::new(Deps {
            consensus,
            clock: clock.clone(),
            runners,
            vault: None,
            local,
            metrics,
        });
        World { service, clock }
    }

    /// What the cluster itself decides.
    pub async fn does(&self, op: Op) -> Answer {
        let command = Command { at: self.clock.now(), actor: None, request: None, op };
        self.service.consensus().submit(command).await.unwrap().answer
    }

    pub async fn put(&self, definition: Value) -> Written<JobView> {
        self.try_put(definition, WriteOptions::default()).await.unwrap()
    }

    pub async fn try_put(
        &self,
        definition: Value,
        o: WriteOptions,
    ) -> Result<Written<JobView>, Error> {
        self.service.put_job(&admin(), map(definition), PutMode::Upsert, o).await
    }

    pub async fn trigger(&self, name: &str) -> Run {
        let o = WriteOptions::default();
        self.service.trigger(&admin(), name, Map::new(), false, o).await.unwrap().value
    }

    /// Moves the clock and does what a leader would, until nothing is due.
    pub async fn run_until(&self, text: &str) {
        let end = at(text);
        loop {
            let state = self.service.consensus().state();
            let due = state.due.get_min().map(|(due, _)| *due).filter(|due| *due <= end);
            self.clock.set(due.unwrap_or(end).max(self.clock.now()));
            if !self.lead().await && due.is_none() {
                return;
            }
        }
    }

    /// Moves the clock with nobody to decide anything.
    pub fn sleep_until(&self, text: &str) {
        self.clock.set(at(text));
    }

    /// One step of a leader; whether there was anything to do.
    pub async fn lead(&self) -> bool {
        let state = self.service.consensus().state();
        let ops = plan(&state, self.clock.now(), &Compiled::default(), &Around::default()).ops;
        let any = !ops.is_empty();
        for op in ops {
            // A placement that is none any more is refused, and nothing to this world.
            let _ = self.does(op).await;
        }
        any
    }

    /// The open run of a job.
    pub fn open(&self, name: &str) -> Run {
        let state = self.service.consensus().state();
        let job = state.job(name).unwrap().clone();
        state.open_of(job.no).next().unwrap().run.clone()
    }

    /// A node starts the run and prints each of `lines`.
    pub async fn start(&self, id: RunId, lines: &[&str]) {
        let state = self.service.consensus().state();
        let run = &state.runs.get(&id).unwrap().run;
        if run.status == RunStatus::Queued {
            let place = Place { node: NODE, boot: BOOT };
            self.does(Op::Assign { run: id, attempt: run.attempt + 1, place }).await.unwrap();
        }
        let (attempt, fence, now) = self.held(id);
        self.does(Op::Started { run: id, attempt, fence, started_at: now }).await.unwrap();
        for (seq, line) in (0..).zip(lines) {
            let bytes = line.as_bytes().to_vec();
            let chunks = vec![OutputChunk { seq, stream: LogStream::Stdout, at: now, bytes }];
            self.does(Op::Output { run: id, attempt, fence, chunks }).await.unwrap();
        }
    }

    pub async fn end(&self, id: RunId, status: RunStatus) {
        let (attempt, fence, now) = self.held(id);
        let end = End {
            status,
            started_at: Some(now),
            finished_at: now,
            exit_code: Some(i32::from(status != RunStatus::Succeeded)),
            signal: None,
            http_status: None,
            error: (status == RunStatus::Failed).then(|| "it broke".to_string()),
            result: Some(json!({"n": 1})),
            usage: None,
            retry_after: None,
            output: Vec::new(),
        };
        self.does(Op::Ended { run: id, attempt, fence, end: Box::new(end) }).await.unwrap();
    }

    pub fn held(&self, id: RunId) -> (u32, u64, Timestamp) {
        let state = self.service.consensus().state();
        let open = state.runs.get(&id).unwrap();
        (open.run.attempt, open.held().unwrap().0, self.clock.now())
    }

    /// A run by hand that a node carries out at once.
    pub async fn carried_out(&self, name: &str, status: RunStatus) -> RunId {
        let id = self.trigger(name).await.id;
        self.start(id, &[]).await;
        self.end(id, status).await;
        id
    }

    /// Advances the clock by a second.
    pub fn tick(&self) {
        self.clock.advance(Span::from_secs(1));
    }

    /// Records a skipped range, as a leader does after a time without one.
    pub async fn skip(&self, name: &str, until: &str, reason: SkipReason, next: Option<Next>) {
        let state = self.service.consensus().state();
        let job = state.job(name).unwrap();
        let from = job.live.next.unwrap().nominal;
        let (outcome, reason) = (Outcome::Skipped, Some(reason));
        let range = Range { from, until: at(until), count: None, outcome, reason };
        let answer = self.does(Op::Skip { no: job.no, version: job.version, range, next }).await;
        assert!(matches!(answer, Ok(Reply::Skipped(_) | Reply::Done)), "{answer:?}");
    }
}

/// A placement that no node fits: runs stay queued until a test assigns them.
pub fn elsewhere() -> Value {
    json!({"require": {"zone": "elsewhere"}})
}
