//! Commands that talk to a cluster over REST, each in a file of its own.
//!
//! Owns: what each command asks and shows. Does not own: how servers are asked (`client`), how
//! results look (`output`), what exit codes mean (`exit`).
//!
//! To add a command: a file with its arguments and `run`, a variant of [`Command`] with its
//! text and an example, an arm in [`Command::run`], a row in docs/cli.md, a test in tests/cli.

mod access;
mod api;
mod apply;
mod backfill;
mod channel;
mod cluster;
mod context;
mod describe;
mod diff;
mod edit;
mod exec;
mod get;
mod import;
mod incidents;
mod jobs;
mod kinds;
mod login;
mod logs;
mod monitor;
mod pick;
mod push;
mod queue;
mod records;
mod rollback;
mod run;
mod runs;
mod secret;
mod served;
mod times;
mod top;
mod version;
mod watch;
mod workflow;

use clap::Subcommand;

use super::exit::Outcome;
use super::session::Session;
use super::{audit_fires, data};
use crate::model::Kind;

/// A command that talks to a cluster.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create and change definitions from files, after a plan
    ///
    /// Examples:
    ///   cronapi apply -f jobs/
    ///   cronapi apply -f backup.yaml --dry-run
    ///   cronapi apply -f jobs/ --prune -l billing
    #[command(verbatim_doc_comment)]
    Apply(apply::Apply),
    /// Show how files differ from what the cluster has; exits with 1 when they do
    ///
    /// Example: cronapi diff -f jobs/
    Diff(diff::Diff),
    /// List jobs, their versions, runs, nodes, users, tokens, queues, secrets
    ///
    /// Examples:
    ///   cronapi get jobs
    ///   cronapi get job backup -o yaml
    ///   cronapi get runs --status failed --since 1h
    #[command(subcommand, verbatim_doc_comment)]
    Get(get::Get),
    /// Show all there is to know of a job, a run, a node or another definition
    ///
    /// Example: cronapi describe job backup
    #[command(subcommand)]
    Describe(describe::Describe),
    /// Change a job, or another definition, in an editor
    ///
    /// Example: EDITOR=nano cronapi edit backup
    Edit(edit::Edit),
    /// Make a job, or another definition, what it was in an earlier version
    ///
    /// Example: cronapi rollback backup --to 3
    Rollback(rollback::Rollback),
    /// Delete jobs, whose open runs are cancelled, and other definitions
    ///
    /// Examples:
    ///   cronapi delete old-backup --yes
    ///   cronapi delete queue/slow
    #[command(verbatim_doc_comment)]
    Delete(jobs::Delete),
    /// Pause jobs: their times pass without a run
    ///
    /// Example: cronapi pause backup --reason "disk is being replaced"
    Pause(jobs::Enable),
    /// Resume paused jobs
    Resume(jobs::Enable),
    /// Start a job now
    ///
    /// Examples:
    ///   cronapi run backup
    ///   cronapi run report -p day=2027-01-01 --follow
    #[command(verbatim_doc_comment, aliases = ["trigger", "start"])]
    Run(run::Run),
    /// List runs, the same as `get runs`
    ///
    /// Example: cronapi runs backup --status failed
    Runs(get::Runs),
    /// Show what a run wrote
    ///
    /// Examples:
    ///   cronapi logs backup
    ///   cronapi logs -f 01a207f4-6c1c-7b1e-9d0a-0c6a3a2f9a11
    ///   cronapi logs backup --grep "no space left"
    #[command(verbatim_doc_comment)]
    Logs(logs::Logs),
    /// Run times of a job that have passed; pause, resume or cancel that by its number
    ///
    /// Examples:
    ///   cronapi backfill report --from 2027-01-01T00:00:00Z --to 2027-01-08T00:00:00Z --dry-run
    ///   cronapi backfill report --from 7d --which failed --wait
    ///   cronapi backfill 7 --cancel
    #[command(verbatim_doc_comment)]
    Backfill(backfill::Backfill),
    /// List backfills
    Backfills(backfill::Backfills),
    /// Cancel runs
    ///
    /// Example: cronapi cancel 01a207f4-6c1c-7b1e-9d0a-0c6a3a2f9a11
    Cancel(runs::Change),
    /// Start runs anew that have ended, with the same parameters
    ///
    /// Example: cronapi retry --from-failed 01a207f4-6c1c-7b1e-9d0a-0c6a3a2f9a11
    Retry(runs::Retry),
    /// Show when a job or an expression fires next, or what is to come of all jobs
    ///
    /// Examples:
    ///   cronapi next -n 20
    ///   cronapi next backup
    ///   cronapi next "30 2 * * 1-5" --tz Europe/London -n 10
    #[command(verbatim_doc_comment)]
    Next(times::Next),
    /// Say why a job did, or did not, run at a time
    ///
    /// Examples:
    ///   cronapi explain backup --at 2027-01-01T02:00:00Z
    ///   cronapi explain "30 2 * * 1-5"
    #[command(verbatim_doc_comment)]
    Explain(times::Explain),
    /// Show what became of each time of a job
    ///
    /// Example: cronapi ledger backup --since 24h
    Ledger(times::Ledger),
    /// Make jobs of crontabs
    #[command(subcommand)]
    Import(import::Import),
    /// Show what goes on, on a screen that renews itself
    Top(top::Top),
    /// Follow what happens
    ///
    /// Example: cronapi events --type run.failed,run.lost -o jsonl
    Events(records::Events),
    /// Show who did what
    ///
    /// Example: cronapi audit --actor ann --since 24h
    Audit(records::Audit),
    /// List, create and change users
    #[command(subcommand)]
    User(access::User),
    /// List, create and delete API tokens
    #[command(subcommand)]
    Token(access::Token),
    /// List and replace the keys that sign access tokens
    #[command(subcommand)]
    Key(access::Key),
    /// List, set and delete secrets, which jobs name and nobody reads
    #[command(subcommand)]
    Secret(secret::Secret),
    /// List queues, and set how many of their runs go on at a time
    #[command(subcommand)]
    Queue(queue::Queue),
    /// Show the tasks of workflows
    #[command(subcommand)]
    Workflow(workflow::Workflow),
    /// List channels, which tell people, and send a test to one
    #[command(subcommand)]
    Channel(channel::Channel),
    /// List your browsers that are told when no page is open, try one, have one told no more
    #[command(subcommand)]
    Push(push::Push),
    /// List sinks, which events go to; pause them, let them go on, write them again
    #[command(subcommand)]
    Sink(served::Served),
    /// List triggers, which start runs from outside; pause, resume and rewind them
    #[command(subcommand)]
    Triggers(served::Served),
    /// List monitors, which listen for work that others run; pause, resume and re-key them
    #[command(subcommand)]
    Monitor(monitor::Monitor),
    /// Carry out a command, and tell a monitor when it begins and how it ended
    ///
    /// Examples:
    ///   cronapi exec https://cron.example.com/ping/KEY -- pg_dump -f /backup/db.sql db
    ///   cronapi exec @/etc/backup.ping -c 'pg_dump db | gzip > /backup/db.sql.gz'
    #[command(verbatim_doc_comment)]
    Exec(exec::Exec),
    /// Say that somebody knows of an incident
    #[command(subcommand)]
    Incident(incidents::Incident),
    /// Send notices again
    #[command(subcommand)]
    Notice(incidents::Notice),
    /// Show and change the nodes of the cluster
    #[command(subcommand)]
    Cluster(cluster::Cluster),
    /// Show who leads, what runs, and the nodes; the same as `cluster status`
    Status(super::output::As),
    /// Check that every nominal time of a live cluster has exactly one outcome
    ///
    /// With several servers, each is compared with the first.
    ///
    /// Example: cronapi audit-fires --server http://node1:8000,http://node2:8000 --since 24h
    AuditFires(audit_fires::Options),
    /// Take a backup of a live cluster, or check one
    ///
    /// Examples:
    ///   cronapi backup cluster.backup
    ///   cronapi backup verify cluster.backup
    #[command(verbatim_doc_comment)]
    Backup(data::backup::Options),
    /// Send any request
    ///
    /// Examples:
    ///   cronapi api GET /jobs?limit=5
    ///   cronapi api PUT /queues/slow -F concurrency=2
    #[command(verbatim_doc_comment)]
    Api(api::Api),
    /// Log in to a server and keep the token
    ///
    /// Examples:
    ///   cronapi login --server https://cron.example.com --user ann
    ///   cronapi login --password-stdin < password.txt
    #[command(verbatim_doc_comment)]
    Login(login::Login),
    /// Forget the token
    Logout(login::Logout),
    /// Show who is asking, and what they may
    Whoami(login::Whoami),
    /// Show the versions of this program and of the node that is asked
    Version(version::Version),
    /// List, choose and change contexts: which servers, as whom
    #[command(subcommand)]
    Context(context::Context),
}

impl Command {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Command::Apply(apply) => apply.run(session).await,
            Command::Diff(diff) => diff.run(session).await,
            Command::Get(get) => get.run(session).await,
            Command::Run(run) => run.run(session).await,
            Command::Runs(runs) => runs.run(session).await,
            Command::Logs(logs) => logs.run(session).await,
            Command::Describe(describe) => describe.run(session).await,
            Command::Edit(edit) => edit.run(session).await,
            Command::Rollback(rollback) => rollback.run(session).await,
            Command::Delete(delete) => delete.run(session).await,
            Command::Pause(enable) => enable.run(session, "pause").await,
            Command::Resume(enable) => enable.run(session, "resume").await,
            Command::Backfill(backfill) => backfill.run(session).await,
            Command::Backfills(backfills) => backfills.run(session).await,
            Command::Cancel(change) => change.run(session, "cancel", serde_json::json!({})).await,
            Command::Retry(retry) => retry.run(session).await,
            Command::Next(next) => next.run(session).await,
            Command::Explain(explain) => explain.run(session).await,
            Command::Ledger(ledger) => ledger.run(session).await,
            Command::Import(import) => import.run(session).await,
            Command::Top(top) => top.run(session).await,
            Command::Events(events) => events.run(session).await,
            Command::Audit(audit) => audit.run(session).await,
            Command::User(user) => user.run(session).await,
            Command::Token(token) => token.run(session).await,
            Command::Key(key) => key.run(session).await,
            Command::Secret(secret) => secret.run(session).await,
            Command::Queue(queue) => queue.run(session).await,
            Command::Workflow(workflow) => workflow.run(session).await,
            Command::Channel(channel) => channel.run(session).await,
            Command::Push(push) => push.run(session).await,
            Command::Sink(sink) => sink.run(session, Kind::Sink).await,
            Command::Triggers(trigger) => trigger.run(session, Kind::Trigger).await,
            Command::Monitor(monitor) => monitor.run(session).await,
            Command::Exec(exec) => exec.run(session).await,
            Command::Incident(incident) => incident.run(session).await,
            Command::Notice(notice) => notice.run(session).await,
            Command::Cluster(cluster) => cluster.run(session).await,
            Command::Status(output) => cluster::status(session, output).await,
            Command::AuditFires(options) => options.run(session).await,
            Command::Backup(options) => options.run(session).await,
            Command::Api(api) => api.run(session).await,
            Command::Login(login) => login.run(session).await,
            Command::Logout(logout) => logout.run(session).await,
            Command::Whoami(whoami) => whoami.run(session).await,
            Command::Version(version) => version.run(session).await,
            Command::Context(context) => context.run(session),
        }
    }
}
