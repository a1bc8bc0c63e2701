//! A whole run: start, workload and faults, quiet, observation, judgement.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::checker::{self, Violation};
use crate::figures::Figures;
use crate::harness::client::Error;
use crate::harness::cluster::{Join, Shape};
use crate::harness::{Client, Cluster, Place, Receiver, Sandbox};
use crate::history::{History, Queue, Register};
use crate::moment::Moment;
use crate::nemesis::{self, Kind};
use crate::observe::{self, Members};
use crate::random::Random;
use crate::witness;
use crate::workload::operations::operate;
use crate::workload::{
    Record, Sites, examples::examples, flows, mixed::QUEUE, mixed::RATES, mixed::mixed,
};
use crate::{register, replicas};

/// What to do.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// All choices follow from it.
    pub seed: u64,
    /// Nodes.
    pub nodes: usize,
    /// How long jobs fire before all are paused.
    pub length: Duration,
    /// Jobs, besides the examples.
    pub jobs: usize,
    /// Kinds of faults; none: none.
    pub nemesis: Vec<Kind>,
    /// How many faults.
    pub faults: usize,
    /// Between two operations of an operator; none: jobs are left alone.
    pub pace: Option<Duration>,
    /// Clients of the register.
    pub clients: usize,
    /// Whether progress is printed.
    pub talk: bool,
}

/// What came of it.
pub struct Verdict {
    /// What must not be.
    pub violations: Vec<Violation>,
    /// Numbers.
    pub figures: Figures,
    /// Everything.
    pub history: History,
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// This machine can't do what the scenario needs.
    #[error("can't be run here: {0}")]
    NotHere(String),
    /// An acknowledgement that was due did not come.
    #[error(transparent)]
    Silent(#[from] Error),
}

/// Operators that work at the same time, each on jobs of its own.
const OPERATORS: usize = 3;
/// Attempts at a time on the node: enough that jobs wait for their own policies only.
const SLOTS: u32 = 256;

/// Defines the queue of the workload, as soon as the new cluster has come to its format.
async fn make_queue(client: &Client) -> Result<Queue, Error> {
    let rate = |(limit, ms): &(usize, i64)| json!({"limit": limit, "per": format!("{ms}ms")});
    let rates: Vec<Value> = RATES.iter().map(rate).collect();
    let body = json!({"rates": rates, "fair_by": "job", "ageing": "1s"});
    let path = format!("/queues/{QUEUE}");
    loop {
        let answer = client.send(Method::PUT, &path, Some(&body), None).await?;
        if matches!(answer.status, 200 | 201) {
            return Ok(Queue { since: Moment::now(), rates: RATES.to_vec() });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

impl Scenario {
    /// What its faults need.
    fn shape(&self) -> Shape {
        let any = |needs: fn(&Kind) -> bool| self.nemesis.iter().any(needs);
        let lab = self.nodes > 1 && any(|kind| kind.needs_lab());
        Shape {
            nodes: self.nodes,
            spares: usize::from(any(|kind| *kind == Kind::Churn)),
            join: Join::List,
            place: if lab { Place::Lab } else { Place::Loopback },
            slots: SLOTS,
            shim: any(|kind| kind.needs_shim()),
            disks: any(|kind| *kind == Kind::DiskFull),
            key: true,
            sinks: false,
            // Some worlds with, some without.
            plan_ahead: !self.seed.is_multiple_of(4),
        }
    }

    /// Plays it in a sandbox.
    ///
    /// # Errors
    /// It can't be played here, or an acknowledgement that was due did not come.
    ///
    /// # Panics
    /// A node does not start, or the sandbox can't be read.
    pub async fn play(&self, sandbox: &Sandbox) -> Result<Verdict, Failed> {
        let cluster = Cluster::make(sandbox, self.shape()).map_err(Failed::NotHere)?;
        let receiver = Receiver::start(cluster.own_address(), sandbox.witness()).await;
        let sites = Sites { folder: sandbox.witness(), receiver: receiver.url() };
        let plan = nemesis::draw(self.seed, &self.nemesis, self.faults, self.nodes, self.length);
        let told: Vec<String> = plan.iter().map(ToString::to_string).collect();
        let told = format!("{self:?}\n{}\n", told.join("\n"));
        fs::write(sandbox.path().join("plan"), told).expect("the sandbox can be written");
        cluster.start().await;
        let client = Arc::new(cluster.client());
        let record = Arc::new(Record::new(client.clone(), sites));
        self.say(&format!("seed {}, {} nodes from {}", self.seed, self.nodes, cluster.url(0)));
        let queue = make_queue(&client).await?;
        flows::make(&client, sandbox.path()).await?;
        let begin = Moment::now();
        let members = Members::watch(cluster.clone());
        let made = Arc::new(Notify::new());
        let (clocks_move, told) = (self.nemesis.contains(&Kind::Clock), made.clone());
        let inflicted = nemesis::run(cluster.clone(), plan, begin, self.talk);
        let faults = tokio::spawn(async move {
            // A job that is made at a wrong time has times that nobody can foretell.
            if clocks_move {
                told.notified().await;
            }
            inflicted.await;
        });
        let register = self.clone().register(cluster.clone(), sandbox.path().to_owned(), begin);
        let register = tokio::spawn(register);
        let done = self.work(&record, begin, &made).await;
        faults.await.expect("nodes come back");
        let register = register.await.expect("clients of the register end")?;
        cluster.heal().await;
        self.say(&format!("{} operations while jobs fired; pausing all", done?));
        self.pause_all(&record).await?;
        flows::pause(&client).await?;
        let open = observe::quiet(&client).await?;
        let (lives, runs) = record.lives();
        let mut history = observe::observe(&client, lives, runs).await?;
        history.register = register;
        history.queues.insert(QUEUE.to_string(), queue);
        history.flows = flows::read(&client).await?;
        let torn = match flows::marks(sandbox.path()) {
            Ok(marks) => {
                history.task_marks = marks;
                Vec::new()
            }
            Err(torn) => torn,
        };
        history.members = members.all().await;
        history.replicas = replicas::read(&cluster, &history).await?;
        history.boots = cluster.boots().await;
        history.disturbances = cluster.disturbances();
        history.clocks_moved = self.nemesis.contains(&Kind::Clock);
        let seen = witness::read(&sandbox.witness()).expect("the sandbox can be read");
        (history.marks, history.unreadable) = (seen.marks, seen.unreadable);
        history.unreadable.extend(torn);
        let mut violations = checker::check(&history);
        violations.extend(open.iter().map(|run| stuck(run.job.clone(), format!("{run:?}"))));
        cluster.terminate_all().await;
        violations.extend(cluster.faults().into_iter().map(|f| stuck(String::new(), f)));
        Ok(Verdict { violations, figures: Figures::of(&history), history })
    }

    /// Clients write and read the register all the while.
    async fn register(
        self,
        cluster: Cluster,
        folder: PathBuf,
        begin: Moment,
    ) -> Result<Option<Register>, Error> {
        if self.clients == 0 {
            return Ok(None);
        }
        let until = self.end(begin);
        let (ops, initial) = register::operate(&cluster, self.clients, self.seed, until).await?;
        let told: Vec<String> = ops.iter().map(|op| format!("{op:?}")).collect();
        let file = folder.join("register");
        fs::write(file, told.join("\n")).expect("the sandbox can be written");
        Ok(Some(Register { initial, ops }))
    }

    fn end(&self, begin: Moment) -> Moment {
        begin.plus_ms(i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX))
    }

    fn say(&self, text: &str) {
        if self.talk {
            println!("{text}");
        }
    }

    /// Creates the jobs and lets operators at them, until the time is over.
    async fn work(&self, record: &Arc<Record>, begin: Moment, made: &Notify) -> Result<u64, Error> {
        let until = self.end(begin);
        let jobs: Vec<_> = examples().into_iter().chain(mixed(self.seed, self.jobs)).collect();
        let names: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
        // Followers before those they follow: a name must stand for a job when it is due.
        for job in jobs.into_iter().rev() {
            record.create(job).await?;
        }
        self.say(&format!("{} jobs after {} ms", names.len(), Moment::now().ms_since(begin)));
        made.notify_one();
        let mut operators = Vec::new();
        for (number, pace) in (0..OPERATORS).filter_map(|number| Some((number, self.pace?))) {
            let own = names.iter().enumerate().filter(|(at, _)| at % OPERATORS == number);
            let own = own.map(|(_, name)| name.clone()).collect();
            let random = Random::new(self.seed, &format!("operator {number}"));
            operators.push(tokio::spawn(operate(record.clone(), own, random, pace, until)));
        }
        let mut done = 0;
        for operator in operators {
            done += operator.await.expect("an operator ends")?;
        }
        tokio::time::sleep(until.ahead()).await;
        Ok(done)
    }

    /// Sources first, so that what they cause is caused before followers rest.
    async fn pause_all(&self, record: &Record) -> Result<(), Error> {
        let (lives, _) = record.lives();
        let mut living: Vec<_> = lives.iter().filter(|life| life.deleted.is_none()).collect();
        living.sort_by_key(|life| life.last().definition.schedule.is_none());
        for life in living {
            let definition = life.last().definition.clone();
            if definition.enabled && definition.schedule.is_some() {
                record.set_enabled(&definition, false).await?;
            }
        }
        Ok(())
    }
}

fn stuck(job: String, what: String) -> Violation {
    Violation { rule: "quiet", job, what, evidence: Vec::new() }
}
