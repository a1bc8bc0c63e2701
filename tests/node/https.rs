//! A node that serves HTTPS: its own health check, and its certificate from files that change.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustix::process::Signal;

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
