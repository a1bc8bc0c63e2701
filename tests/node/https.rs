//! A node that serves HTTPS: its own health check, and its certificate from files that change.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::process::{Node, PATIENCE, ask, free, program};

fn pem(what: &str, der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

/// A certificate, its key and their authority, in `folder`; it ends with `year`.
fn issue(folder: &Path, year: i32) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_string()]).unwrap();
    params.not_after = date_time_ymd(year, 12, 31);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    for (name, text) in [
        ("ca", pem("CERTIFICATE", authority.der())),
        ("cert", pem("CERTIFICATE", certificate.der())),
        ("key", pem("PRIVATE KEY", &key.serialize_der())),
    ] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

/// The health check, with the environment of the node.
fn health(node: &Node, files: &[(&str, &str)], folder: &Path) -> Output {
    let mut command = program();
    command.args(["health", "--live", "--address", &node.address.to_string()]);
    for (variable, file) in files {
        command.env(variable, folder.join(file));
    }
    command.output().unwrap()
}

const SERVED: [(&str, &str); 2] = [("CRONAPI_TLS_CERT", "cert"), ("CRONAPI_TLS_KEY", "key")];
const ASKED: [(&str, &str); 3] = [SERVED[0], SERVED[1], ("CRONAPI_TLS_CLIENT_CA", "ca")];

fn start(folder: &Path, files: &[(&str, &str)], metrics: std::net::SocketAddr) -> Node {
    let mut node = Node::start(&folder.join("data"), "", |command| {
        command.args(["--metrics-listen", &metrics.to_string()]);
        for (variable, file) in files {
            command.env(variable, folder.join(file));
        }
    });
    node.line("ready");
    node
}

/// When the certificate expires, as the page says.
fn expires(metrics: std::net::SocketAddr) -> Option<f64> {
    let page = ask(metrics, "GET /metrics HTTP/1.1", "");
    let name = "cronapi_tls_certificate_expiry_timestamp_seconds ";
    page.lines().find_map(|line| line.strip_prefix(name)?.parse().ok())
}

fn expires_at(metrics: std::net::SocketAddr, at: f64) {
    let end = Instant::now() + PATIENCE;
    while expires(metrics) != Some(at) {
        assert!(Instant::now() < end, "{:?} and not {at}", expires(metrics));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn over_https_a_node_is_healthy_and_tells_when_its_certificate_ends() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path(), 2040);
    let metrics = free();
    let node = start(folder.path(), &SERVED, metrics);
    let told = health(&node, &SERVED, folder.path());
    assert!(told.status.success(), "{told:?}");
    let plain = health(&node, &[], folder.path());
    assert_eq!(plain.status.code(), Some(1), "HTTP is no answer there: {plain:?}");
    // 2040-12-31 and 2041-12-31.
    expires_at(metrics, 2_240_524_800.0);
    issue(folder.path(), 2041);
    node.signal(Signal::HUP);
    expires_at(metrics, 2_272_060_800.0);
    assert!(health(&node, &SERVED, folder.path()).status.success());
    std::fs::write(folder.path().join("key"), "x").unwrap();
    node.signal(Signal::HUP);
    let mut node = node;
    // Both files of a pair may have been looked at with one of them new.
    while !node.line("new certificates can't be used")["error"]
        .as_str()
        .unwrap()
        .contains("holds no private key")
    {}
    expires_at(metrics, 2_272_060_800.0);
}

/// An answer over HTTPS.
fn asked(node: &Node, folder: &Path, path: &str) -> String {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder.join("ca")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(node.address).unwrap());
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = Vec::new();
    // A connection that ends without a goodbye ends all the same.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).to_ascii_lowercase()
}

#[test]
fn over_https_a_browser_is_told_to_stay_there_and_over_http_it_is_not() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path(), 2040);
    let node = start(folder.path(), &SERVED, free());
    let said = |answer: &str| answer.lines().filter(|it| it.starts_with("strict-")).count();
    // What is refused as well.
    for (path, status) in [("/livez", "200"), ("/jobs", "401"), ("/none", "404"), ("/ui/", "200")] {
        let answer = asked(&node, folder.path(), path);
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{path}: {answer}");
        assert_eq!(said(&answer), 1, "{path}: {answer}");
        assert!(answer.contains("strict-transport-security: max-age=31536000\r\n"), "{answer}");
    }
    drop(node);
    // Of HTTP a browser must not believe it: RFC 6797, 7.2.
    let plain = start(folder.path(), &[], free());
    let answer = plain.ask("GET /livez HTTP/1.1", "").to_ascii_lowercase();
    assert!(answer.starts_with("http/1.1 200") && said(&answer) == 0, "{answer}");
}

#[test]
fn the_health_check_shows_the_nodes_own_certificate_where_clients_need_one() {
    let folder = tempfile::tempdir().unwrap();
    issue(folder.path(), 2040);
    let node = start(folder.path(), &ASKED, free());
    let told = health(&node, &ASKED, folder.path());
    assert!(told.status.success(), "{told:?}");
    let stranger = health(&node, &SERVED, folder.path());
    assert!(!stranger.status.success(), "{stranger:?}");
}
