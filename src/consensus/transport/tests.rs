//! What a peer needs to be let in, and that nobody can keep others out.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, pending};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::service::Routes;
use tonic::transport::{Endpoint, Server};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use super::identity::{Identity, NAME};
use super::tls::{prove, went_away};
use super::{Connection, Connector, IdentityError, Listener, Tcp, Tls, Transport, incoming};

const KEY: &str = "a key of the cluster, long enough";

/// Streams inside this process: what one end connects, the other accepts.
#[derive(Clone)]
struct Pipes {
    open: mpsc::UnboundedSender<DuplexStream>,
    opened: Arc<Mutex<Option<mpsc::UnboundedReceiver<DuplexStream>>>>,
}

impl Pipes {
    fn new() -> Self {
        let (open, opened) = mpsc::unbounded_channel();
        Self { open, opened: Arc::new(Mutex::new(Some(opened))) }
    }

    fn stream(&self) -> DuplexStream {
        let (near, far) = duplex(64 * 1024);
        self.open.send(far).unwrap();
        near
    }

    fn tls(&self, key: &str) -> Tls {
        Tls::new(Arc::new(self.clone()), key).unwrap()
    }
}

impl Transport for Pipes {
    fn connect(&self, addr: String) -> BoxFuture<'static, io::Result<Connection>> {
        let stream = self.stream();
        Box::pin(async move { Ok(Connection::new(stream, addr)) })
    }

    fn listen(&self, _: String) -> BoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let opened = self.opened.lock().unwrap().take().unwrap();
        Box::pin(async move { Ok(Box::new(Opened(opened)) as Box<dyn Listener>) })
    }
}

struct Opened(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Opened {
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 1).into())
    }

    fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            match self.0.recv().await {
                Some(stream) => Ok(Connection::new(stream, "pipe")),
                None => pending().await,
            }
        })
    }
}

/// Echoes on every stream that gets through, and counts them.
fn echo(listener: Box<dyn Listener>) -> mpsc::UnboundedReceiver<()> {
    let (seen, through) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut streams = Box::pin(incoming(listener));
        while let Some(stream) = streams.next().await {
            let _ = seen.send(());
            tokio::spawn(async move {
                let (mut from, mut to) = tokio::io::split(stream.unwrap());
                tokio::io::copy(&mut from, &mut to).await
            });
        }
    });
    through
}

async fn answered(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<[u8; 4]> {
    stream.write_all(b"ping").await?;
    stream.flush().await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Sends `bytes` as they are, ends, and returns what comes back.
async fn raw(pipes: &Pipes, bytes: &[u8]) -> Vec<u8> {
    let mut stream = pipes.stream();
    // It may be refused before it has said everything.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

/// A client that trusts any server and shows what it is given.
async fn stranger(
    pipes: &Pipes,
    shown: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
) -> io::Result<[u8; 4]> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting(provider)));
    let config = match shown {
        Some((certificate, key)) => config.with_client_auth_cert(vec![certificate], key).unwrap(),
        None => config.with_no_client_auth(),
    };
    let name = ServerName::try_from(NAME).unwrap();
    answered(TlsConnector::from(Arc::new(config)).connect(name, pipes.stream()).await?).await
}

#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate by an authority of its own, with everything else as it should be.
fn own_certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut params = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "CronAPI cluster");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.self_signed(&key).unwrap();
    (certificate.into(), PrivatePkcs8KeyDer::from(key.serialize_der()).into())
}

#[tokio::test]
async fn the_right_key_talks() {
    let pipes = Pipes::new();
    echo(pipes.tls(KEY).listen(String::new()).await.unwrap());
    let stream = pipes.tls(KEY).connect("peer".into()).await.unwrap();
    assert_eq!(&answered(stream).await.unwrap(), b"ping");
}

/// Whether a client with these keys gets through to a server with those.
async fn meet(client: (&str, Option<&str>), server: (&str, Option<&str>)) -> bool {
    let pipes = Pipes::new();
    let tls = |(key, old)| Tls::rotating(Arc::new(pipes.clone()), key, old).unwrap();
    echo(tls(server).listen(String::new()).await.unwrap());
    match tls(client).connect("peer".into()).await {
        Ok(stream) => answered(stream).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn while_the_key_is_replaced_nodes_of_each_step_talk_to_those_of_the_next() {
    const NEW: &str = "the key that comes, long enough";
    let (old, both, new) = ((KEY, None), (NEW, Some(KEY)), (NEW, None));
    for (client, server) in [(old, both), (both, old), (both, both), (both, new), (new, both)] {
        assert!(meet(client, server).await, "{client:?} to {server:?}");
    }
    assert!(!meet(old, new).await && !meet(new, old).await);
    let stranger = ("another key, just as long as it", None);
    assert!(!meet(stranger, both).await && !meet(both, stranger).await);
    let half = ("another key, just as long as it", Some("and one more that is not known"));
    assert!(!meet(half, both).await && !meet(both, half).await);
}

#[tokio::test]
async fn what_does_not_hold_the_key_gets_nothing() {
    let pipes = Pipes::new();
    let mut through = echo(pipes.tls(KEY).listen(String::new()).await.unwrap());
    let other = pipes.tls("another key, just as long as it").connect("peer".into()).await;
    assert_eq!(other.unwrap_err().kind(), io::ErrorKind::InvalidData);
    stranger(&pipes, None).await.unwrap_err();
    stranger(&pipes, Some(own_certificate())).await.unwrap_err();
    // A TLS alert at most: never what was sent, nor an answer in HTTP.
    let http = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for sent in [http.as_slice(), b"GET / HTTP/1.1\r\n\r\n", &[0; 512], &[0xff; 70_000], b""] {
        let answer = raw(&pipes, sent).await;
        assert!(answer.is_empty() || answer[0] == 21 && answer.len() < 8, "{answer:?}");
    }
    through.try_recv().unwrap_err();
    let stream = pipes.tls(KEY).connect("peer".into()).await.unwrap();
    assert_eq!(&answered(stream).await.unwrap(), b"ping");
}

#[tokio::test]
async fn a_server_without_the_key_learns_nothing() {
    let pipes = Pipes::new();
    echo(pipes.tls("another key, just as long as it").listen(String::new()).await.unwrap());
    assert!(pipes.tls(KEY).connect("peer".into()).await.is_err());
    let pipes = Pipes::new();
    echo(pipes.listen(String::new()).await.unwrap());
    assert!(pipes.tls(KEY).connect("peer".into()).await.is_err(), "plain text is no peer");
}

#[tokio::test(start_paused = true)]
async fn slow_handshakes_keep_nobody_out() {
    let pipes = Pipes::new();
    echo(pipes.tls(KEY).listen(String::new()).await.unwrap());
    let mut silent: VecDeque<DuplexStream> = (0..200).map(|_| pipes.stream()).collect();
    let started = tokio::time::Instant::now();
    let stream = pipes.tls(KEY).connect("peer".into()).await.unwrap();
    assert_eq!(&answered(stream).await.unwrap(), b"ping");
    assert_eq!(started.elapsed(), Duration::ZERO);
    // The first ones made room at once; the last one is dropped when its time is over.
    assert_eq!(silent.pop_front().unwrap().read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(silent.pop_back().unwrap().read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(started.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_connect_ends_whatever_the_peer_does() {
    let pipes = Pipes::new();
    let started = tokio::time::Instant::now();
    let error = pipes.tls(KEY).connect("silent:1".into()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("silent:1"), "{error}");
    assert_eq!(started.elapsed(), super::CONNECT_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn faults_of_accepting_neither_end_nor_spin_the_stream() {
    struct Faulty(VecDeque<io::Error>);

    impl Listener for Faulty {
        fn local_addr(&self) -> io::Result<SocketAddr> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn accept(&mut self) -> BoxFuture<'_, io::Result<Connection>> {
            let next = self.0.pop_front();
            Box::pin(async move { next.map_or_else(|| Ok(pipe()), Err) })
        }
    }

    fn pipe() -> Connection {
        Connection::new(duplex(1).0, "pipe")
    }

    const NO_FREE_HANDLE: i32 = 24;
    let started = tokio::time::Instant::now();
    let faults = (0..10).map(|_| io::Error::from_raw_os_error(NO_FREE_HANDLE)).collect();
    let mut streams = Box::pin(incoming(Box::new(Faulty(faults))));
    streams.next().await.unwrap().unwrap();
    assert_eq!(started.elapsed().as_secs(), 1, "a pause after each");
    let faults = (0..10).map(|_| io::ErrorKind::ConnectionAborted.into()).collect();
    let mut streams = Box::pin(incoming(Box::new(Faulty(faults))));
    streams.next().await.unwrap().unwrap();
    assert_eq!(started.elapsed().as_secs(), 1, "no pause for a peer that left");
}

#[tokio::test]
async fn tcp_reaches_by_name_and_by_address() {
    let listener = Tcp.listen("127.0.0.1:0".into()).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    echo(listener);
    for host in ["127.0.0.1", "localhost"] {
        let stream = Tcp.connect(format!("{host}:{port}")).await.unwrap();
        assert_eq!(&answered(stream).await.unwrap(), b"ping");
    }
    assert!(Tcp.connect("no such host:1".into()).await.is_err());
    assert!(Tcp.connect("no port".into()).await.is_err());
}

#[tokio::test]
async fn grpc_goes_through() {
    let pipes = Pipes::new();
    let listener = pipes.tls(KEY).listen(String::new()).await.unwrap();
    let server = Server::builder().add_routes(Routes::default());
    tokio::spawn(server.serve_with_incoming(incoming(listener)));
    let connector = Connector::new(Arc::new(pipes.tls(KEY)), "peer:1");
    let endpoint = Endpoint::from_static("http://node.cronapi.internal");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    let mut client = Grpc::new(channel);
    client.ready().await.unwrap();
    let (path, codec) = (PathAndQuery::from_static("/a/b"), ProstCodec::<(), ()>::default());
    let status = client.unary(Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "an answer by a server that serves nothing");
}

/// The log warns of peers with another key, not of those that gave up or only opened the port.
#[tokio::test]
async fn who_leaves_is_told_from_who_proves_nothing() {
    let identity = Identity::of(KEY, None).unwrap();
    for (said, left) in [(&b""[..], true), (&[0x16, 3, 1, 1, 0][..], true), (b"GET / HTTP", false)]
    {
        let (mut near, far) = duplex(1_024);
        near.write_all(said).await.unwrap();
        drop(near);
        let acceptor = TlsAcceptor::from(identity.server.clone());
        let refused = prove(acceptor, Connection::new(far, "peer")).await;
        let (_, error) = refused.err().unwrap();
        assert_eq!(went_away(&error), left, "{said:?}: {error}");
    }
}

#[test]
fn a_short_key_is_refused() {
    let refused = Tls::new(Arc::new(Tcp), "too short").err().unwrap();
    assert!(matches!(refused, IdentityError::KeyTooShort(9)));
}
