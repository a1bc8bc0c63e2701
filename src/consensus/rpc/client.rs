//! Lines to other nodes, and calls over them.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{ConnectError, Request, Response, Status};

use super::super::local::Local;
use super::super::transport::{Connector, Transport};
use super::super::types::NodeId;
use super::{CLUSTER, KEEPALIVE, MESSAGE_BYTES_MAX, TO, WINDOW_BYTES};
use crate::causes;
use crate::wire::proto::cluster_client::ClusterClient;

/// Calls in a row that may go unanswered before their line is replaced.
const TROUBLE_MAX: u32 = 4;
/// How long a line that never answered is kept, at first and at most: over a long way it takes a
/// while until a connection stands.
const STANDS: (Duration, Duration) = (Duration::from_millis(300), Duration::from_millis(2_400));

/// Which of the lines to a peer a call takes: what is large must not hold up what can't wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::consensus) enum Lane {
    /// What is tiny, and asked while a leader is missed: it waits for nothing but the way. When its
    /// calls go unanswered, all lines to the peer are replaced.
    Pulse,
    /// Raft's own traffic.
    Raft,
    /// The rest.
    Bulk,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(in crate::consensus) enum CallError {
    /// The other end never saw it.
    #[error("node {node} can't be reached: {reason}")]
    NotSent { node: NodeId, reason: String },
    /// The other end may have carried it out.
    #[error("node {node} did not answer: {reason}")]
    Lost { node: NodeId, reason: String },
    /// The other end refused it, and did nothing.
    #[error("node {node} refused: {}", status.message())]
    Refused { node: NodeId, status: Status },
}

struct Line {
    client: ClusterClient<Channel>,
    addr: String,
    health: Arc<Health>,
    made: Instant,
    /// Dropped with the line: calls that are under way on it then are lost.
    stands: watch::Sender<()>,
}

impl Line {
    fn call(&self) -> Calling {
        let (client, health) = (self.client.clone(), Arc::clone(&self.health));
        Calling { client, health, stands: self.stands.subscribe() }
    }

    fn is_usable(&self, patience: Duration) -> bool {
        self.health.trouble.load(Ordering::Relaxed) < TROUBLE_MAX
            || (!self.has_answered() && self.made.elapsed() < patience)
    }

    fn has_answered(&self) -> bool {
        self.health.answered.load(Ordering::Relaxed)
    }
}

/// What came of the calls on a line.
#[derive(Default)]
struct Health {
    /// So many in a row were not answered.
    trouble: AtomicU32,
    answered: AtomicBool,
}

/// A line, for one call.
struct Calling {
    client: ClusterClient<Channel>,
    health: Arc<Health>,
    stands: watch::Receiver<()>,
}

/// Resolves when a line was replaced.
async fn replaced(mut stands: watch::Receiver<()>) {
    while stands.changed().await.is_ok() {}
}

/// A call on its way. One that ends without an answer, or is dropped, is trouble for its line.
struct Watched {
    health: Arc<Health>,
    answered: bool,
}

impl Watched {
    fn answered(mut self) {
        self.answered = true;
        self.health.trouble.store(0, Ordering::Relaxed);
        self.health.answered.store(true, Ordering::Relaxed);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.answered {
            self.health.trouble.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// How long a node takes no entries until that is worth a warning.
const GONE_AFTER: Duration = Duration::from_secs(2);

/// Whether a node takes no entries.
#[derive(Clone, Copy, Debug, Default)]
enum Silent {
    #[default]
    No,
    Since(Instant),
    /// The log was told.
    Told,
}

#[derive(Default)]
struct Known {
    /// As the node itself said, in this process's life.
    told: Option<String>,
    /// As the membership says.
    member: Option<String>,
    lines: BTreeMap<Lane, Line>,
    /// How long a line that does not answer is kept, when the last one never did.
    patience: BTreeMap<Lane, Duration>,
    /// The last entries that were sent to it were not answered.
    silent: Silent,
}

/// The other nodes. Cheap to clone.
#[derive(Clone)]
pub(in crate::consensus) struct Peers {
    local: Arc<Local>,
    transport: Option<Arc<dyn Transport>>,
    known: Arc<Mutex<BTreeMap<NodeId, Known>>>,
}

impl Peers {
    pub fn new(local: Arc<Local>, transport: Option<Arc<dyn Transport>>) -> Self {
        Self { local, transport, known: Arc::default() }
    }

    /// The node itself said where it can be reached: newer than what the membership says.
    pub fn told(&self, node: NodeId, addr: &str) {
        self.known().entry(node).or_default().told = Some(addr.to_owned());
    }

    /// The membership says where a node can be reached.
    pub fn member(&self, node: NodeId, addr: &str) {
        let mut known = self.known();
        let entry = known.entry(node).or_default();
        if entry.member.as_deref() != Some(addr) {
            entry.member = Some(addr.to_owned());
        }
    }

    /// Where a node is thought to be reached.
    pub fn addr(&self, node: NodeId) -> Option<String> {
        let known = self.known();
        known.get(&node).and_then(|known| known.told.clone().or_else(|| known.member.clone()))
    }

    /// All that are known, and where.
    pub fn all(&self) -> Vec<(NodeId, String)> {
        let known = self.known();
        let addr = |known: &Known| known.told.clone().or_else(|| known.member.clone());
        known.iter().filter_map(|(node, known)| Some((*node, addr(known)?))).collect()
    }

    /// Logs that a node has gone, or is back: once, where the library tells of each try. What is
    /// over soon (a cluster that forms, a node that stops) is no reason to warn.
    pub fn tell(&self, node: NodeId, error: Option<&CallError>) {
        let mut known = self.known();
        let silent = &mut known.entry(node).or_default().silent;
        match (error, *silent) {
            (Some(_), Silent::No) => *silent = Silent::Since(Instant::now()),
            (Some(error), Silent::Since(since)) if since.elapsed() >= GONE_AFTER => {
                *silent = Silent::Told;
                tracing::warn!(node, %error, "a node takes no entries");
            }
            (None, Silent::Told) => {
                *silent = Silent::No;
                tracing::info!(node, "a node takes entries again");
            }
            (None, _) => *silent = Silent::No,
            _ => {}
        }
    }

    /// Calls a node: `call` is given a client and the request with its metadata.
    pub async fn call<Q, A, F>(
        &self,
        node: NodeId,
        lane: Lane,
        deadline: Duration,
        message: Q,
        call: impl FnOnce(ClusterClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, CallError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let Calling { client, health, stands } = self.line(node, lane)?;
        let watched = Watched { health, answered: false };
        let mut request = Request::new(message);
        self.mark(&mut request, node);
        let answer = tokio::select! {
            answer = timeout(deadline, call(client, request)) => answer,
            // What was sent to the leader may still be answered; what Raft sends is sent again.
            () = replaced(stands), if lane != Lane::Bulk => {
                let reason = "its connection was given up".to_owned();
                return Err(CallError::Lost { node, reason });
            }
        };
        match answer {
            Ok(Ok(answer)) => {
                watched.answered();
                Ok(answer.into_inner())
            }
            Ok(Err(status)) => {
                let error = judge(node, status);
                if matches!(error, CallError::Refused { .. }) {
                    watched.answered();
                }
                Err(error)
            }
            Err(_) => {
                let reason = format!("not within {} ms", deadline.as_millis());
                Err(CallError::Lost { node, reason })
            }
        }
    }

    /// How long an answer over a lane may be on its way, as far as that is known: the last line
    /// that never brought one was kept for half as long.
    pub fn patience(&self, node: NodeId, lane: Lane) -> Duration {
        let known = self.known();
        let patience = known.get(&node).and_then(|known| known.patience.get(&lane).copied());
        patience.unwrap_or(STANDS.0)
    }

    /// Calls a node on a line of its own, for what takes long.
    pub async fn send<Q, A, F>(
        &self,
        node: NodeId,
        deadline: Duration,
        message: Q,
        call: impl FnOnce(ClusterClient<Channel>, Request<Q>) -> F,
    ) -> Result<A, CallError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let addr = self.addr(node);
        let client = addr.and_then(|addr| self.stranger(&addr)).ok_or_else(|| {
            CallError::NotSent { node, reason: "its address is not known".to_owned() }
        })?;
        let mut request = Request::new(message);
        self.mark(&mut request, node);
        match timeout(deadline, call(client, request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(judge(node, status)),
            Err(_) => Err(CallError::Lost { node, reason: format!("not within {deadline:?}") }),
        }
    }

    /// Whether nobody listens any more where a node was: its process has ended.
    pub async fn refuses(&self, node: NodeId, within: Duration) -> bool {
        let (Some(transport), Some(addr)) = (&self.transport, self.addr(node)) else {
            return false;
        };
        let tried = timeout(within, transport.connect(addr)).await;
        matches!(tried, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// A client of whoever listens at an address.
    pub fn stranger(&self, addr: &str) -> Option<ClusterClient<Channel>> {
        self.transport.as_ref().map(|transport| client(Arc::clone(transport), addr.to_owned()))
    }

    /// Every address behind one that was given; see [`Transport::lookup`].
    pub async fn lookup(&self, addr: &str) -> Vec<String> {
        match &self.transport {
            Some(transport) => transport.lookup(addr.to_owned()).await,
            None => Vec::new(),
        }
    }

    fn mark<Q>(&self, request: &mut Request<Q>, to: NodeId) {
        let metadata = request.metadata_mut();
        if let Ok(cluster) = MetadataValue::try_from(self.local.cluster()) {
            metadata.insert(CLUSTER, cluster);
        }
        metadata.insert(TO, MetadataValue::from(to));
    }

    fn line(&self, node: NodeId, lane: Lane) -> Result<Calling, CallError> {
        let unreachable = |reason: &str| CallError::NotSent { node, reason: reason.to_owned() };
        let transport =
            self.transport.as_ref().ok_or_else(|| unreachable("this node has no network"))?;
        let mut all = self.known();
        let known = all.entry(node).or_default();
        let addr = known.told.clone().or_else(|| known.member.clone());
        let addr = addr.ok_or_else(|| unreachable("its address is not known"))?;
        let patience = known.patience.get(&lane).copied().unwrap_or(STANDS.0);
        let usable = |line: &Line| line.addr == addr && line.is_usable(patience);
        if !known.lines.get(&lane).is_some_and(usable) {
            let in_vain = known.lines.get(&lane).is_some_and(|line| !line.has_answered());
            let patience = if in_vain { (2 * patience).min(STANDS.1) } else { STANDS.0 };
            known.patience.insert(lane, patience);
            if lane == Lane::Pulse {
                known.lines.clear();
            }
            let (health, stands) = (Arc::default(), watch::Sender::new(()));
            let client = client(Arc::clone(transport), addr.clone());
            let made = Instant::now();
            known.lines.insert(lane, Line { client, addr, health, made, stands });
        }
        let line = known.lines.get(&lane).ok_or_else(|| unreachable("it has no line"))?;
        Ok(line.call())
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<NodeId, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn judge(node: NodeId, status: Status) -> CallError {
    if let Some(error) = causes::of(&status).find(|cause| cause.is::<ConnectError>()) {
        return CallError::NotSent { node, reason: error.to_string() };
    }
    match status.code() {
        // The other end's own words.
        tonic::Code::FailedPrecondition
        | tonic::Code::PermissionDenied
        | tonic::Code::NotFound
        | tonic::Code::InvalidArgument => CallError::Refused { node, status },
        _ => CallError::Lost { node, reason: status.message().to_owned() },
    }
}

fn client(transport: Arc<dyn Transport>, addr: String) -> ClusterClient<Channel> {
    let connector = Connector::new(transport, addr);
    // The address is the connector's business: what is dialled may have changed meanwhile.
    let channel = Endpoint::from_static("http://node.cronapi.internal")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1)
        .connect_with_connector_lazy(connector);
    ClusterClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::super::{KEEPALIVE, deaf};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nothing_comes_over_is_given_up() {
        let began = Instant::now();
        let hour = Duration::from_secs(3600);
        let (peers, parts) = (deaf::peers().unwrap(), tokio_stream::pending());
        let sent = peers.send(2, hour, parts, |mut client, request| async move {
            client.install(request).await
        });
        assert!(matches!(sent.await, Err(CallError::Lost { .. })));
        let took = began.elapsed();
        assert!(took <= KEEPALIVE.0 + KEEPALIVE.1 + Duration::from_secs(1), "after {took:?}");
    }
}
