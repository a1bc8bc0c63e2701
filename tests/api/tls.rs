//! HTTPS: who gets a connection, and what becomes of it when certificates change.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use cronapi::api::{CertificateFiles, Certificates, ServerOptions, serve_with};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::fixture::Node;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn pem(what: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

/// A certificate for `localhost` and its key, PEM.
fn issued(by: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
}

struct Https {
    node: Node,
    address: SocketAddr,
    certificates: Certificates,
    folder: tempfile::TempDir,
}

fn write(folder: &Path, (cert, key): &(String, String)) {
    std::fs::write(folder.join("cert"), cert).unwrap();
    std::fs::write(folder.join("key"), key).unwrap();
}

async fn https(by: &Authority, clients: Option<&Authority>) -> Https {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(folder.path(), &issued(by));
    if let Some(authority) = clients {
        std::fs::write(at("ca"), pem("CERTIFICATE", authority.der())).unwrap();
    }
    let client_ca = clients.map(|_| at("ca"));
    let files = CertificateFiles { cert: at("cert"), key: at("key"), client_ca };
    let certificates = Certificates::load(files).await.unwrap();
    let node = Node::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServerOptions { tls: Some(certificates.clone()), ..ServerOptions::default() };
    tokio::spawn(serve_with(listener, node.router.clone(), node.stop.subscribe(), options));
    Https { node, address, certificates, folder }
}

impl Https {
    async fn connect(
        &self,
        trusted: &Authority,
        shown: Option<(String, String)>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                    PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
                )
                .unwrap(),
        };
        let stream = TcpStream::connect(self.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// The status line of a request's answer.
async fn asked(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    let mut text = String::new();
    let mut piece = [0; 4096];
    while !text.contains("\r\n\r\n") {
        match stream.read(&mut piece).await? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => text.push_str(&String::from_utf8_lossy(&piece[..count])),
        }
    }
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_new_certificate_counts_for_new_connections_and_ends_no_old_one() {
    let (first, second) = (authority(), authority());
    let https = https(&first, None).await;
    let mut old = https.connect(&first, None).await.unwrap();
    assert_eq!(asked(&mut old).await.unwrap(), "HTTP/1.1 200 OK");
    assert!(!https.certificates.reload().await.unwrap(), "nothing has changed");

    // One of two files is there: nothing changes until the other is.
    let new = issued(&second);
    std::fs::write(https.folder.path().join("cert"), &new.0).unwrap();
    let told = https.certificates.reload().await.unwrap_err().to_string();
    assert!(told.contains("key: is not the key of the certificate in"), "{told}");
    https.connect(&first, None).await.unwrap();

    write(https.folder.path(), &new);
    assert!(https.certificates.reload().await.unwrap());
    https.connect(&first, None).await.unwrap_err();
    let mut fresh = https.connect(&second, None).await.unwrap();
    assert_eq!(asked(&mut fresh).await.unwrap(), "HTTP/1.1 200 OK");
    assert_eq!(asked(&mut old).await.unwrap(), "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn an_authority_for_clients_keeps_everybody_else_out() {
    let (server, clients, other) = (authority(), authority(), authority());
    let https = https(&server, Some(&clients)).await;
    let mut known = https.connect(&server, Some(issued(&clients))).await.unwrap();
    assert_eq!(asked(&mut known).await.unwrap(), "HTTP/1.1 200 OK");
    for shown in [None, Some(issued(&other))] {
        // In TLS 1.3 a client is refused after it believes to be connected.
        if let Ok(mut stream) = https.connect(&server, shown).await {
            asked(&mut stream).await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn who_speaks_http_to_it_is_told_so() {
    let https = https(&authority(), None).await;
    let mut plain = TcpStream::connect(https.address).await.unwrap();
    plain.write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut text = Vec::new();
    let _ = plain.read_to_end(&mut text).await;
    let text = String::from_utf8_lossy(&text);
    assert!(text.starts_with("HTTP/1.1 400") && text.contains("use https://"), "{text}");
    assert!(https.node.stop.send(true).is_ok());
}

#[tokio::test]
async fn files_that_can_not_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let load = || async {
        let files = CertificateFiles { cert: at("cert"), key: at("key"), client_ca: None };
        Certificates::load(files).await.unwrap_err().to_string()
    };
    assert!(load().await.contains("cert: No such file"));
    let by = authority();
    write(folder.path(), &(String::new(), issued(&by).1));
    assert!(load().await.contains("cert: holds no certificate"));
    write(folder.path(), &(issued(&by).0, "x".into()));
    assert!(load().await.contains("key: holds no private key"));
    write(folder.path(), &(issued(&by).0, issued(&by).1));
    assert!(load().await.contains("key: is not the key"));
}

/// A client of HTTP/2 and HTTP/1.1, as browsers are.
fn browser(https: &Https, trusted: &Authority, protocols: &[&[u8]]) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .resolve("localhost", https.address)
        .build()
        .unwrap()
}

#[tokio::test]
async fn http_2_is_agreed_on_and_carries_more_streams_than_a_browser_has_connections() {
    let by = authority();
    let https = https(&by, None).await;
    let url = |path: &str| format!("https://localhost:{}{path}", https.address.port());
    let client = browser(&https, &by, &[b"h2", b"http/1.1"]);
    // Tabs: each follows what happens, over one connection.
    let mut tabs = Vec::new();
    for _ in 0..20 {
        let asked = client.get(url("/events")).bearer_auth(&https.node.admin).send();
        let tab = tokio::time::timeout(std::time::Duration::from_secs(10), asked).await;
        let tab = tab.expect("a stream waits for another").unwrap();
        assert_eq!((tab.status().as_u16(), tab.version()), (200, reqwest::Version::HTTP_2));
        tabs.push(tab);
    }
    let me = client.get(url("/auth/me")).bearer_auth(&https.node.admin).send().await.unwrap();
    assert_eq!((me.status().as_u16(), me.version()), (200, reqwest::Version::HTTP_2));
    https.node.with_job("a").await;
    for tab in &mut tabs {
        let mut text = String::new();
        while !text.contains("job.created") {
            let piece = tokio::time::timeout(std::time::Duration::from_secs(10), tab.chunk());
            let piece = piece.await.expect("no event").unwrap().expect("the stream is over");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    }
    // A stop ends them in order.
    https.node.stop.send_replace(true);
    for tab in &mut tabs {
        let end = tokio::time::timeout(std::time::Duration::from_secs(10), async {
            while let Ok(Some(_)) = tab.chunk().await {}
        });
        end.await.expect("a stream outlives the stop");
    }
}

#[tokio::test]
async fn who_knows_no_http_2_is_served_with_what_it_knows() {
    let by = authority();
    let https = https(&by, None).await;
    let client = browser(&https, &by, &[b"http/1.1"]);
    let url = format!("https://localhost:{}/livez", https.address.port());
    let answer = client.get(url).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_11));
}
