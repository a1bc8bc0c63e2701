//! Spans, as a collector gets them by OTLP over gRPC: a request, its write, the attempt.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};
use std::time::Instant;

use prost::Message;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstCodec;

use super::process::{Node, PATIENCE, free};

/// Of the protocol, what this test looks at.
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Clone, PartialEq, Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    span_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent_span_id: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Exported {}

/// A collector that hands on every span.
#[derive(Clone)]
struct Collector(Sender<Span>);

impl NamedService for Collector {
    const NAME: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
}

impl UnaryService<Export> for Collector {
    type Response = Exported;
    type Future = Ready<Result<tonic::Response<Exported>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<Export>) -> Self::Future {
        let resources = request.into_inner().resources.into_iter();
        let scopes = resources.flat_map(|resource| resource.scopes);
        scopes.flat_map(|scope| scope.spans).for_each(|span| drop(self.0.send(span)));
        ready(Ok(tonic::Response::new(Exported {})))
    }
}

impl Service<http::Request<Body>> for Collector {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let codec = ProstCodec::<Exported, Export>::default();
            Ok(Grpc::new(codec).unary(service, request).await)
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The spans of a trace by name, once those that are wanted are there.
fn spans(received: &Receiver<Span>, trace: &str, wanted: &[&str]) -> BTreeMap<String, Span> {
    let (end, mut found) = (Instant::now() + PATIENCE, BTreeMap::new());
    while !wanted.iter().all(|name| found.contains_key(*name)) {
        let left = end.saturating_duration_since(Instant::now());
        let Ok(span) = received.recv_timeout(left) else { panic!("only {found:?}") };
        if hex(&span.trace_id) == trace {
            found.insert(span.name.clone(), span);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_its_write_and_the_attempt_are_one_trace() {
    let (send, received) = channel();
    let address = free();
    let server = tonic::transport::Server::builder().add_service(Collector(send));
    let server = tokio::spawn(server.serve(address));
    let done = tokio::task::spawn_blocking(move || check(&received, address));
    done.await.unwrap();
    server.abort();
}

fn check(received: &Receiver<Span>, address: std::net::SocketAddr) {
    let folder = tempfile::tempdir().unwrap();
    let mut node = Node::start(&folder.path().join("data"), "", |command| {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
        command.env("OTEL_BSP_SCHEDULE_DELAY", "100");
    });
    node.line("ready");
    let head = format!("Content-Type: application/json\r\nAuthorization: Bearer {}", node.login());
    let job = r#"{"name":"a","runner":{"type":"shell","command":"echo $TRACEPARENT"}}"#;
    let made = node.ask(&format!("POST /jobs HTTP/1.1\r\n{head}"), job);
    assert!(made.starts_with("HTTP/1.1 201"), "{made}");
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let given = format!("00-{trace}-b7ad6b7169203331-01");
    let run = format!("POST /jobs/a/run?wait=30s HTTP/1.1\r\nTraceparent: {given}\r\n{head}");
    let answer = node.ask(&run, "{}");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let body: serde_json::Value =
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    let names = ["POST /jobs/{name}/run", "write", "run a"];
    let spans = spans(received, trace, &names);
    let [request, write, attempt] = names.map(|name| &spans[name]);
    assert_eq!(hex(&request.parent_span_id), "b7ad6b7169203331");
    assert_eq!(write.parent_span_id, request.span_id);
    assert_eq!(attempt.parent_span_id, request.span_id);
    // The child continues the attempt's span.
    let id = body["id"].as_str().unwrap();
    let logs = node.ask(&format!("GET /runs/{id}/logs HTTP/1.1\r\n{head}"), "");
    assert!(logs.contains(&format!("00-{trace}-{}-01", hex(&attempt.span_id))), "{logs}");
}
