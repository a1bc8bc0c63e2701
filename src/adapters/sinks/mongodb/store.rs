//! What a server is asked, and what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{ClientOptions, ServerAddress, ServerMonitoringMode};
use mongodb::{Client, Database};

use super::address::Address;
use super::relay::Relay;
use crate::adapters::connect::bounded;
use crate::executor::runner::RunnerEnv;
use crate::model::limits::SINK_CALL_TIMEOUT;

/// As faults call it.
const WHO: &str = "MongoDB";
/// A command has at most so many bytes of documents, unless one alone has more: a server takes 16
/// MiB.
const COMMAND_BYTES: usize = 4 * 1024 * 1024;
/// The server says that a majority does not follow before it is given up here.
const MAJORITY_WITHIN: Duration = Duration::from_secs(4);
/// Of what a server says.
const TOLD_CHARS: usize = 300;
/// There is no such collection.
const NAMESPACE_NOT_FOUND: i32 = 26;

/// A database of the server that takes writes.
pub(super) struct Store {
    database: Database,
    // The way there: it ends with it.
    _relay: Relay,
}

impl Store {
    /// Connects to the first of the hosts that takes writes, each within the time of one call.
    ///
    /// # Errors
    /// What is in the way, without a password or an address with one.
    pub async fn open(url: &str, env: &Arc<RunnerEnv>) -> Result<Store, String> {
        let address = Address::parse(url)?;
        let mut told = Vec::new();
        for host in &address.hosts {
            let who = format!("{WHO} at {}:{}", host.0, host.1);
            match bounded(&who, Store::at(host, &address, env)).await {
                Ok(store) => return Ok(store),
                Err(why) => told.push(why),
            }
        }
        match told.as_slice() {
            [why] => Err(why.clone()),
            _ => Err(format!("none of the hosts takes writes: {}", told.join("; "))),
        }
    }

    async fn at(
        host: &(String, u16),
        address: &Address,
        env: &Arc<RunnerEnv>,
    ) -> Result<Store, String> {
        let relay = Relay::open(env, host, address.wrapped).await?;
        let mut options = ClientOptions::default();
        options.hosts = vec![ServerAddress::Unix { path: relay.path.clone() }];
        options.direct_connection = Some(true);
        options.app_name = Some("cronapi".to_owned());
        options.credential.clone_from(&address.credential);
        options.connect_timeout = Some(SINK_CALL_TIMEOUT.std());
        options.server_selection_timeout = Some(SINK_CALL_TIMEOUT.std());
        options.max_pool_size = Some(2);
        options.server_monitoring_mode = Some(ServerMonitoringMode::Poll);
        // A fault is told, and everything begins anew.
        options.retry_reads = Some(false);
        options.retry_writes = Some(false);
        let client = Client::with_options(options).map_err(|error| told(&error))?;
        let store = Store { database: client.database(&address.database), _relay: relay };
        let hello = store.ask(doc! { "hello": 1 }).await.map_err(|error| told(&error))?;
        let name = hello.get_str("setName").ok();
        if let Some(wanted) = address.set.as_deref().filter(|wanted| name != Some(wanted)) {
            return Err(format!("{}:{} is not of the replica set {wanted}", host.0, host.1));
        }
        if !hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return Err(format!("{}:{} is not the primary", host.0, host.1));
        }
        Ok(store)
    }

    async fn ask(&self, command: Document) -> Result<Document, Error> {
        self.database.run_command(command).await
    }

    async fn call(&self, command: Document) -> Result<Document, String> {
        bounded(WHO, async { self.ask(command).await.map_err(|error| told(&error)) }).await
    }

    /// The one document of `collection` that `filter` names, if there is one.
    pub async fn find(
        &self,
        collection: &str,
        filter: Document,
    ) -> Result<Option<Document>, String> {
        let find = doc! { "find": collection, "filter": filter, "limit": 1, "singleBatch": true };
        Ok(first_batch(self.call(find).await?).into_iter().next())
    }

    /// Adds a document whose `_id` is not there yet.
    pub async fn insert(&self, collection: &str, document: Document) -> Result<(), String> {
        let insert = doc! { "insert": collection, "documents": [document] };
        self.write(insert).await.map(drop)
    }

    /// Makes these updates one after the other, and gives how many documents they are of.
    pub async fn update(&self, collection: &str, updates: Vec<Document>) -> Result<i64, String> {
        let mut count = 0;
        for some in pieces(updates)? {
            count += self.write(doc! { "update": collection, "updates": some }).await?;
        }
        Ok(count)
    }

    /// Removes every document.
    pub async fn clear(&self, collection: &str) -> Result<(), String> {
        let all = doc! { "q": {}, "limit": 0 };
        self.write(doc! { "delete": collection, "deletes": [all] }).await.map(drop)
    }

    async fn write(&self, mut command: Document) -> Result<i64, String> {
        let within = i64::try_from(MAJORITY_WITHIN.as_millis()).unwrap_or(i64::MAX);
        command.insert("writeConcern", doc! { "w": "majority", "wtimeout": within });
        written(&self.call(command).await?)
    }

    /// The indexes of a collection; none: it is not there.
    pub async fn indexes(&self, collection: &str) -> Result<Vec<Document>, String> {
        let list = doc! { "listIndexes": collection };
        let listed = async {
            match self.ask(list).await {
                Ok(answer) => Ok(first_batch(answer)),
                Err(error) if code(&error) == Some(NAMESPACE_NOT_FOUND) => Ok(Vec::new()),
                Err(error) => Err(told(&error)),
            }
        };
        bounded(WHO, listed).await
    }

    /// Makes indexes of a collection, and the collection where it is not there.
    pub async fn index(&self, collection: &str, indexes: Vec<Document>) -> Result<(), String> {
        self.call(doc! { "createIndexes": collection, "indexes": indexes }).await.map(drop)
    }
}

/// Updates by commands that are not too large.
fn pieces(updates: Vec<Document>) -> Result<Vec<Vec<Document>>, String> {
    let mut pieces: Vec<Vec<Document>> = Vec::new();
    let mut room = 0;
    for update in updates {
        let bytes = update.to_vec().map_err(|e| format!("a row is no document: {e}"))?.len();
        match pieces.last_mut().filter(|_| bytes <= room) {
            Some(piece) => piece.push(update),
            None => {
                pieces.push(vec![update]);
                room = COMMAND_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    Ok(pieces)
}

fn first_batch(answer: Document) -> Vec<Document> {
    let batch = answer.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    let found = batch.map(|found| found.iter().filter_map(Bson::as_document).cloned().collect());
    found.unwrap_or_default()
}

/// How many documents an answer says were written. Faults of some stand in an answer that is none.
fn written(answer: &Document) -> Result<i64, String> {
    let faults = answer.get_array("writeErrors").ok().and_then(|faults| faults.first());
    let fault = faults.and_then(Bson::as_document);
    if let Some(fault) = fault.or_else(|| answer.get_document("writeConcernError").ok()) {
        let what = fault.get_str("errmsg").unwrap_or("it does not say why");
        return Err(format!("{WHO} did not write: {}", cut(what)));
    }
    let count = answer.get("n");
    let count = count.and_then(|n| n.as_i64().or_else(|| n.as_i32().map(i64::from)));
    count.ok_or_else(|| format!("{WHO} does not say what it wrote"))
}

fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(fault) => Some(fault.code),
        _ => None,
    }
}

/// A fault without what the driver knows of the way there.
fn told(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(fault) => format!("{WHO}: {} ({})", cut(&fault.message), fault.code),
        ErrorKind::Authentication { message, .. } => {
            format!("{WHO} refuses the login: {}", cut(message))
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(fault)) => {
            format!("{WHO} did not write: {}", cut(&fault.message))
        }
        ErrorKind::IncompatibleServer { message, .. } => format!("{WHO}: {}", cut(message)),
        ErrorKind::BsonSerialization(_) | ErrorKind::Bson(_) => {
            format!("{WHO}: a row is no document")
        }
        _ => format!("{WHO}: the connection is broken"),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TOLD_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_with_faults_in_it_is_one() {
        let told = |answer: Document| written(&answer);
        assert_eq!(told(doc! { "ok": 1, "n": 3 }), Ok(3));
        assert_eq!(told(doc! { "ok": 1.0, "n": 3_i64 }), Ok(3));
        let fault = doc! { "ok": 1, "n": 1, "writeErrors": [{ "index": 1, "errmsg": "twice" }] };
        assert_eq!(told(fault), Err("MongoDB did not write: twice".to_owned()));
        let late = doc! { "ok": 1, "n": 1, "writeConcernError": { "errmsg": "timed out" } };
        assert_eq!(told(late), Err("MongoDB did not write: timed out".to_owned()));
        assert!(told(doc! { "ok": 1 }).is_err());
    }

    #[test]
    fn a_command_is_not_too_large() {
        let large = || doc! { "u": "x".repeat(COMMAND_BYTES / 3) };
        let counts = |updates: Vec<Document>| {
            pieces(updates).unwrap().iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(counts(vec![]), [0; 0]);
        assert_eq!(counts(vec![large(), large(), large(), large(), large()]), [2, 2, 1]);
        let larger = doc! { "u": "x".repeat(COMMAND_BYTES * 2) };
        assert_eq!(counts(vec![large(), larger, large()]), [1, 1, 1]);
    }
}
