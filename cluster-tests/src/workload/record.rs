//! What was asked of the cluster and acknowledged, with the times between which it happened.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Method;
use serde_json::{Value, json};

use super::{Definition, Sites};
use crate::harness::Client;
use crate::harness::client::Error;
use crate::history::{Life, Row, Run, Triggered, Version, Written};
use crate::moment::Moment;

/// Sends writes and keeps what was acknowledged.
pub struct Record {
    client: Arc<Client>,
    sites: Sites,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    lives: Vec<Life>,
    /// Runs of jobs that were deleted, read just before.
    runs: Vec<Run>,
    writes: u64,
}

impl Record {
    /// With nothing asked yet.
    pub fn new(client: Arc<Client>, sites: Sites) -> Record {
        Record { client, sites, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lives so far, and the runs that were read before deletions.
    pub fn lives(&self) -> (Vec<Life>, Vec<Run>) {
        let kept = self.kept();
        (kept.lives.clone(), kept.runs.clone())
    }

    /// The definition in force of a job, none when there is no such job now.
    pub fn current(&self, name: &str) -> Option<Arc<Definition>> {
        let kept = self.kept();
        let life = kept.lives.iter().rev().find(|life| life.name == name)?;
        life.deleted.is_none().then(|| life.last().definition.clone())
    }

    /// The highest generation that the name had.
    pub fn generation(&self, name: &str) -> u32 {
        let kept = self.kept();
        let lives = kept.lives.iter().filter(|life| life.name == name);
        let versions = lives.flat_map(|life| &life.versions);
        versions.map(|version| version.definition.generation).max().unwrap_or(0)
    }

    fn edit_life(&self, name: &str, edit: impl FnOnce(&mut Life)) {
        let mut kept = self.kept();
        if let Some(life) = kept.lives.iter_mut().rev().find(|life| life.name == name) {
            edit(life);
        }
    }

    /// Sends a write under a key of its own; gives the body and the times around it.
    async fn write(
        &self,
        verb: &'static str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(Value, Written), Error> {
        let key = {
            let mut kept = self.kept();
            kept.writes += 1;
            format!("write-{}", kept.writes)
        };
        let sent = Moment::now();
        let answer = self.client.write(method, path, body, &key).await?;
        Ok((answer.body, Written { verb, sent, acked: Moment::now() }))
    }

    /// Creates a job.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn create(&self, definition: Definition) -> Result<(), Error> {
        let json = definition.json(&self.sites);
        let (body, written) = self.write("create", Method::POST, "/jobs", Some(&json)).await?;
        let created = moment(&body, "created_at");
        // It counts from its creation, which may be some milliseconds before the log's time of it.
        let version = Version { effective: created, ..version(&body, written, definition) };
        self.kept().lives.push(Life {
            name: version.definition.name.clone(),
            uid: body["uid"].as_str().unwrap_or_default().to_string(),
            created,
            versions: vec![version],
            deleted: None,
            triggered: Vec::new(),
            ledger: Vec::new(),
            read_at: Moment::default(),
        });
        Ok(())
    }

    /// Replaces the definition of a job.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn update(&self, definition: Definition) -> Result<(), Error> {
        let json = definition.json(&self.sites);
        let path = format!("/jobs/{}", definition.name);
        let (body, written) = self.write("update", Method::PUT, &path, Some(&json)).await?;
        let name = definition.name.clone();
        let version = version(&body, written, definition);
        self.edit_life(&name, |life| life.versions.push(version));
        Ok(())
    }

    /// Pauses or resumes a job.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn set_enabled(&self, definition: &Definition, enabled: bool) -> Result<(), Error> {
        let verb = if enabled { "resume" } else { "pause" };
        let path = format!("/jobs/{}/{verb}", definition.name);
        let (body, written) = self.write(verb, Method::POST, &path, None).await?;
        let version = version(&body, written, Definition { enabled, ..definition.clone() });
        self.edit_life(&definition.name, |life| life.versions.push(version));
        Ok(())
    }

    /// Reads what became of a job, and deletes it.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let read_at = Moment::now();
        let ledger: Vec<Row> = self.client.list(&format!("/jobs/{name}/ledger")).await?;
        let runs: Vec<Run> = self.client.list(&format!("/jobs/{name}/runs")).await?;
        let path = format!("/jobs/{name}");
        let (_, written) = self.write("delete", Method::DELETE, &path, None).await?;
        self.kept().runs.extend(runs);
        self.edit_life(name, |life| {
            life.ledger = ledger;
            life.read_at = read_at;
            life.deleted = Some(written);
        });
        Ok(())
    }

    /// Starts a run by hand; a refusal because one is under way is an answer too.
    ///
    /// # Errors
    /// It is not acknowledged.
    pub async fn trigger(&self, name: &str) -> Result<(), Error> {
        let path = format!("/jobs/{name}/run");
        match self.write("run", Method::POST, &path, Some(&json!({}))).await {
            Ok((body, written)) => {
                let run_id = body["id"].as_str().unwrap_or_default().to_string();
                self.edit_life(name, |life| life.triggered.push(Triggered { written, run_id }));
                Ok(())
            }
            Err(Error::Refused { status: 409, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn moment(body: &Value, field: &str) -> Moment {
    body[field].as_str().and_then(Moment::parse).unwrap_or_default()
}

fn version(body: &Value, written: Written, definition: Definition) -> Version {
    Version {
        written,
        version: body["version"].as_u64().unwrap_or_default(),
        effective: moment(body, "updated_at"),
        definition: Arc::new(definition),
    }
}
