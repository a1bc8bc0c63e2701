//! `cluster`: the nodes.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::client::{Request, escaped};
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::columns::{self, field};
use super::super::output::{self, As, Format};
use super::super::session::Session;
use super::get::Named;
use crate::node::cluster_key;

/// What to do with the cluster.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Show who leads, what runs, and the nodes; exits with 6 without a leader
    Status {
        #[command(flatten)]
        output: As,
    },
    /// List the nodes
    Nodes(Named),
    /// Take a node out of the cluster: what it runs is lost
    Remove {
        /// Its number
        id: u64,
        /// Don't ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Hand leadership to another node
    Transfer {
        /// Its number [default: the one that is furthest]
        to: Option<u64>,
    },
    /// Show the key that the nodes share, or make one for a new cluster
    ///
    /// Example: export CRONAPI_CLUSTER_KEY=$(cronapi cluster key --new)
    Key {
        /// Make a new one, and keep it nowhere
        #[arg(long, conflicts_with = "data")]
        new: bool,
        /// Data directory of a node that made its own [env: DATABASE_PATH] [default: cron_state.db]
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
    },
}

impl Cluster {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        match self {
            Cluster::Nodes(named) => {
                return named.run(session, "/cluster/nodes", "id", &columns::NODES).await;
            }
            Cluster::Status { output } => return status(session, output).await,
            Cluster::Key { new, data } => return key(new, data),
            Cluster::Remove { id, yes } => {
                let client = session.client()?;
                let question = format!("Take node {id} out of the cluster? What it runs is lost.");
                session.terminal.confirm(&question, yes)?;
                let path = format!("/cluster/nodes/{}", escaped(&id.to_string()));
                client.send(Request::delete(path)).await?;
                session.say(format!("node {id} is no member any more"));
            }
            Cluster::Transfer { to } => {
                let request = Request::post("/cluster/transfer", &json!({ "to": to }));
                let answer = session.client()?.fetch(request).await?;
                session.say(format!("node {} leads", answer["leader_id"]));
            }
        }
        Ok(0)
    }
}

fn key(new: bool, data: Option<PathBuf>) -> Outcome {
    let failed = |error: std::io::Error| Failure::failed(format!("the cluster's key: {error}"));
    if new {
        output::line(&cluster_key::new().map_err(failed)?)?;
        return Ok(0);
    }
    let named = || std::env::var_os("DATABASE_PATH").filter(|path| !path.is_empty());
    let data = data.or_else(|| named().map(PathBuf::from));
    let data = data.unwrap_or_else(|| PathBuf::from("cron_state.db"));
    let Some(kept) = cluster_key::kept(&data).map_err(failed)? else {
        let text = format!("there is no key in {}", data.display());
        return Err(Failure::new(Code::NotFound, text).advise(
            "name the data directory of a node with --data; a node that was given its key \
             (CRONAPI_CLUSTER_KEY) keeps none",
        ));
    };
    output::line(&kept.0)?;
    Ok(0)
}

/// Who leads, what runs, and the nodes.
pub(super) async fn status(session: &Session, output: As) -> Outcome {
    let client = session.client()?;
    // What this node knows, also when there is no leader to ask.
    let status = client.fetch(Request::get("/system/status?consistency=local")).await?;
    let leaderless = status["leader_id"].is_null();
    let output = session.output(output);
    if matches!(output.format, Format::Table | Format::Wide) {
        let open: u64 = status["open_runs"]
            .as_object()
            .into_iter()
            .flat_map(|map| map.values().filter_map(Value::as_u64))
            .sum();
        let lines = [
            ("cluster", field(&status, "/cluster_id")),
            ("leader", field(&status, "/leader_id")),
            ("term", field(&status, "/term")),
            ("asked", format!("node {}, {}", status["node_id"], field(&status, "/role"))),
            ("version", field(&status, "/version")),
            ("jobs", format!("{}, {} paused", status["jobs"], status["jobs_paused"])),
            ("open runs", open.to_string()),
        ];
        for (title, value) in lines {
            output::line(&format!("{:<12}{value}", format!("{title}:")))?;
        }
        let nodes = client.fetch(Request::get("/cluster/nodes?consistency=local")).await?;
        output::line("")?;
        output.list(&nodes, &columns::NODES)?;
    } else {
        output.one(&status, &columns::NODES)?;
    }
    if leaderless {
        return Err(Failure::new(Code::Unavailable, "the cluster has no leader: nothing fires")
            .advise("start nodes until most of the voters run; see docs/clustering.md"));
    }
    Ok(0)
}
