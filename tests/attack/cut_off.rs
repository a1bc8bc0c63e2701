//! A leader that was cut off does not know what the majority has acknowledged since. Whatever it
//! is asked to write, it refuses nothing by what it last knew: it waits, and says 503.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use cronapi::consensus::{Connection, Listener, Options, Reach, Tcp, Transport};
use cronapi::machine::state::FORMAT;
use cronapi::model::Role;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::timeout;

use super::fixture::{Answer, Node, PASSWORD};
use super::operations::{Operation, filled, operations};

const PATIENCE: Duration = Duration::from_secs(20);

/// TCP of a node that can be cut off from all others.
#[derive(Clone, Default)]
struct Cuttable(Arc<AtomicBool>);

impl Cuttable {
    fn broken(&self) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }

    fn around(&self, stream: Connection) -> Connection {
        let peer = stream.peer().to_owned();
        Connection::new(Thread { stream, of: self.clone() }, peer)
    }
}

impl Transport for Cuttable {
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>> {
        let of = self.clone();
        Box::pin(async move {
            of.broken()?;
            Ok(of.around(Tcp.connect(addr).await?))
        })
    }

    fn listen(&self, addr: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let of = self.clone();
        Box::pin(async move {
            let inner = Tcp.listen(addr).await?;
            Ok(Box::new(Ear { inner, of }) as Box<dyn Listener>)
        })
    }
}

struct Ear {
    inner: Box<dyn Listener>,
    of: Cuttable,
}

impl Listener for Ear {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move { self.inner.accept().await.map(|stream| self.of.around(stream)) })
    }
}

struct Thread {
    stream: Connection,
    of: Cuttable,
}

impl AsyncRead for Thread {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.of.broken()?;
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        // What came after the cut did not come.
        self.of.broken()?;
        read
    }
}

impl AsyncWrite for Thread {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.of.broken()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.of.broken()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

async fn placed(transport: Arc<dyn Transport>, join: Option<String>) -> Node {
    let place = |options: &mut Options| {
        let listen = "127.0.0.1:0".to_owned();
        options.reach = Some(Reach { transport, listen, advertise: None });
        options.join = join.into_iter().collect();
        options.submit_timeout = Duration::from_secs(3);
    };
    Node::open(place, |_| {}).await
}

/// What the majority knows and the one that was cut off does not.
struct Since {
    /// A run of job `a`.
    run: String,
    /// Of a user who was made since.
    ben: Value,
}

/// Three nodes, of which the first leads.
async fn three(cut: &Cuttable) -> [Node; 3] {
    let mut first = placed(Arc::new(cut.clone()), None).await;
    first.bootstrap(FORMAT).await;
    let at = first.consensus.addr().to_owned();
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut other = placed(Arc::new(Tcp), Some(at.clone())).await;
        other.admin.clone_from(&first.admin);
        others.push(other);
    }
    let all_vote = async {
        loop {
            let nodes = first.get("/cluster/nodes").await.expect(200).json();
            let voters = nodes["items"].as_array().unwrap().iter();
            if voters.filter(|node| node["role"] != "learner").count() == 3 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, all_vote).await.expect("three voters");
    let [second, third] = <[Node; 2]>::try_from(others).unwrap_or_else(|_| panic!("two"));
    [first, second, third]
}

async fn led_by_others(nodes: &[Node; 3]) {
    let own = nodes[0].consensus.node_id();
    for node in &nodes[1..] {
        let mut leadership = node.consensus.leadership();
        let other = leadership.wait_for(|now| now.leader.is_some_and(|leader| leader != own));
        timeout(PATIENCE, other).await.expect("another leader").unwrap();
    }
}

async fn on_the_majority(node: &Node) -> Since {
    node.post("/jobs", json!({"name": "a"})).await.expect(201);
    let run = node.post("/jobs/a/run?wait=10s", json!({})).await.expect(200).json();
    let role = json!({"role": "admin"});
    node.call("PUT", "/users/ann/role", Some(role)).await.expect(200);
    let ben = json!({"name": "ben", "password": PASSWORD, "role": "admin"});
    node.post("/users", ben).await.expect(201);
    let login = json!({"username": "ben", "password": PASSWORD});
    let ben = node.post("/auth/login", login).await.expect(200).json();
    node.call("DELETE", "/jobs/gone", None).await.expect(204);
    node.call("DELETE", "/users/eve", None).await.expect(204);
    Since { run: run["id"].as_str().unwrap().to_owned(), ben }
}

/// Every operation that writes, as it would be sent about what is new on the majority.
fn writing(since: &Since) -> Vec<(String, Operation)> {
    let document: Value = serde_json::from_str(&cronapi::api::openapi()).unwrap();
    let mut all = Vec::new();
    // The page's session is a login and a refresh, which are here, behind a cookie.
    let writes = |one: &Operation| one.method != "get" && one.path != "/auth/session";
    for mut to in operations().into_iter().filter(writes) {
        match to.path {
            "/auth/token" | "/auth/login" => {
                to.body = Some(json!({"username": "ben", "password": PASSWORD}));
            }
            "/auth/refresh" => {
                let token = since.ben["refresh_token"].clone();
                to.body = Some(json!({"refresh_token": token}));
            }
            // Here it is there still: refused as a second one.
            "/jobs" => to.body = Some(json!({"name": "gone"})),
            _ => {}
        }
        let path = filled(to.path, &since.run);
        let listed = document["paths"][to.path][to.method]["parameters"].as_array();
        let named =
            |wanted: &str| listed.is_some_and(|list| list.iter().any(|one| one["name"] == wanted));
        if named("dry_run") {
            all.push((format!("{path}?dry_run=true"), Operation { body: to.body.clone(), ..to }));
        }
        all.push((path, to));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_refuses_nothing_by_what_it_last_knew() {
    let cut = Cuttable::default();
    let nodes = three(&cut).await;
    let old = &nodes[0];
    let ann = old.with_user("ann", Role::Viewer).await;
    old.with_job("gone").await;
    old.with_user("eve", Role::Viewer).await;
    cut.0.store(true, Ordering::SeqCst);
    led_by_others(&nodes).await;
    let since = on_the_majority(&nodes[1]).await;
    assert!(old.consensus.leadership().borrow().is_leader, "it does not know");
    let ben = since.ben["access_token"].as_str().unwrap();
    let callers = [("admin", old.admin.as_str()), ("ann", &ann), ("ben", ben)];
    let writing = writing(&since);
    assert!(writing.len() > 40, "{} operations write", writing.len());
    let sent = writing.iter().flat_map(|(path, to)| {
        callers.iter().map(move |(who, token)| async move {
            let method = to.method.to_uppercase();
            let answer: Answer = old.call_as(token, &method, path, to.body.clone()).await;
            (format!("{method} {path} as {who}"), answer)
        })
    });
    let mut wrong = Vec::new();
    for (what, answer) in join_all(sent).await {
        if answer.status.as_u16() != 503 {
            wrong.push(format!("{what}: {} {}", answer.status, answer.code()));
        }
    }
    assert!(wrong.is_empty(), "{} are judged by what is old:\n{}", wrong.len(), wrong.join("\n"));
    cut.0.store(false, Ordering::SeqCst);
    let healed = async {
        while old.call("PATCH", "/jobs/a", Some(json!({"priority": 3}))).await.status != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, healed).await.expect("it serves again");
}
