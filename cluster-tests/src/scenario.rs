//! A whole run: start, workload and faults, quiet, observation, judgement.

use std::sync::Arc;
use std::time::Duration;

use crate::checker::{self, Violation};
use crate::figures::Figures;
use crate::harness::client::Error;
use crate::harness::{Cluster, Receiver, Sandbox};
use crate::history::History;
use crate::moment::Moment;
use crate::nemesis::{self, Dose};
use crate::observe;
use crate::random::Random;
use crate::witness;
use crate::workload::operations::operate;
use crate::workload::{Record, Sites, examples::examples, mixed::mixed};

/// What to do.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// All choices follow from it.
    pub seed: u64,
    /// How long jobs fire before all are paused.
    pub length: Duration,
    /// Jobs, besides the examples.
    pub jobs: usize,
    /// Faults.
    pub dose: Dose,
    /// Between two operations of an operator.
    pub pace: Duration,
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

/// Operators that work at the same time, each on jobs of its own.
const OPERATORS: usize = 3;
/// Attempts at a time on the node: enough that jobs wait for their own policies only.
const SLOTS: u32 = 256;

impl Scenario {
    /// Plays it in a sandbox.
    ///
    /// # Errors
    /// An acknowledgement that was due did not come.
    ///
    /// # Panics
    /// A node does not start, or the sandbox can't be read.
    pub async fn play(&self, sandbox: &Sandbox) -> Result<Verdict, Error> {
        let receiver = Receiver::start(sandbox.witness()).await;
        let sites = Sites { folder: sandbox.witness(), receiver: receiver.url() };
        let cluster = Cluster::start(sandbox, SLOTS).await;
        let client = Arc::new(cluster.client());
        let record = Arc::new(Record::new(client.clone(), sites));
        self.say(&format!("seed {}, at {}", self.seed, cluster.url()));
        let begin = Moment::now();
        let plan = nemesis::draw(self.seed, self.dose, self.length);
        let faults = tokio::spawn(nemesis::run(cluster.clone(), plan, begin, self.talk));
        let done = self.work(&record, begin).await;
        faults.await.expect("nodes come back");
        self.say(&format!("{} operations while jobs fired; pausing all", done?));
        self.pause_all(&record).await?;
        let open = observe::quiet(&client).await?;
        let (lives, runs) = record.lives();
        let mut history = observe::observe(&client, lives, runs).await?;
        history.boots = cluster.boots().await;
        let seen = witness::read(&sandbox.witness()).expect("the sandbox can be read");
        (history.marks, history.unreadable) = (seen.marks, seen.unreadable);
        let mut violations = checker::check(&history);
        violations.extend(open.iter().map(|run| stuck(run.job.clone(), format!("{run:?}"))));
        cluster.terminate(0).await;
        violations.extend(cluster.faults().await.into_iter().map(|f| stuck(String::new(), f)));
        Ok(Verdict { violations, figures: Figures::of(&history), history })
    }

    fn say(&self, text: &str) {
        if self.talk {
            println!("{text}");
        }
    }

    /// Creates the jobs and lets operators at them, until the time is over.
    async fn work(&self, record: &Arc<Record>, begin: Moment) -> Result<u64, Error> {
        let until = begin.plus_ms(i64::try_from(self.length.as_millis()).unwrap_or(i64::MAX));
        let jobs: Vec<_> = examples().into_iter().chain(mixed(self.seed, self.jobs)).collect();
        let names: Vec<String> = jobs.iter().map(|job| job.name.clone()).collect();
        // Followers before those they follow: a name must stand for a job when it is due.
        for job in jobs.into_iter().rev() {
            record.create(job).await?;
        }
        self.say(&format!("{} jobs after {} ms", names.len(), Moment::now().ms_since(begin)));
        let mut operators = Vec::new();
        for number in 0..OPERATORS {
            let own = names.iter().enumerate().filter(|(at, _)| at % OPERATORS == number);
            let own = own.map(|(_, name)| name.clone()).collect();
            let random = Random::new(self.seed, &format!("operator {number}"));
            operators.push(tokio::spawn(operate(record.clone(), own, random, self.pace, until)));
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
