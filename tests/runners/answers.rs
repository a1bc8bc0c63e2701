//! HTTP jobs and what servers answer: redirects, packed bodies, closed connections, certificates.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use cronapi::executor::runner::{Ended, HttpSign, Spec, What};
use rcgen::date_time_ymd;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::bench::*;

fn call(method: &str, url: &str) -> Spec {
    let what = What::Http {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: Default::default(),
        body: None,
        expect_status: Vec::new(),
        sign: None,
    };
    spec(what, json!({}))
}

/// The request of a spec, to be changed.
fn change(mut spec: Spec, change: impl FnOnce(&mut Http)) -> Spec {
    let What::Http { method, url, headers, body, expect_status, sign } = spec.what else {
        panic!()
    };
    let mut http = Http { headers, body, expect_status, sign };
    change(&mut http);
    let Http { headers, body, expect_status, sign } = http;
    spec.what = What::Http { method, url, headers, body, expect_status, sign };
    spec
}

struct Http {
    headers: std::collections::BTreeMap<String, String>,
    body: Option<String>,
    expect_status: Vec<(u16, u16)>,
    sign: Option<HttpSign>,
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let address = listener.local_addr().expect("known");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// `/to/307` and the like lead to `/seen`, which tells what it was asked.
async fn redirecting() -> SocketAddr {
    let to = |axum::extract::Path(code): axum::extract::Path<u16>| async move {
        (StatusCode::from_u16(code).expect("a status"), [("location", "/seen")])
    };
    let seen = |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        axum::Json(json!({
            "method": method.as_str(), "uri": uri.path(), "body": String::from_utf8_lossy(&body),
            "authorization": header("authorization"),
            // Computed with `printf ann:x | base64`.
            "is_ann": header("authorization").as_deref() == Some("Basic YW5uOng="),
            "signature": header("x-cronapi-signature"),
        }))
    };
    serve(Router::new().route("/to/{code}", any(to)).route("/seen", any(seen))).await
}

#[tokio::test]
async fn a_redirect_is_followed_only_as_the_same_request() {
    let address = redirecting().await;
    for code in [307, 308] {
        let asked = call("POST", &format!("http://ann:p%40ss@{address}/to/{code}"));
        let sign = || HttpSign { secret: "s3cret".to_owned() };
        let ran = attempt(change(asked, |http| {
            http.body = Some("the body".to_owned());
            http.sign = Some(sign());
        }))
        .await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{ran:?}");
        let seen = ran.outcome.result.clone().expect("JSON");
        assert_eq!((&seen["method"], &seen["body"]), (&json!("POST"), &json!("the body")));
        assert!(seen["signature"].as_str().is_some_and(|text| text.starts_with("t=")));
        assert!(ran.notes().contains(&format!("HTTP {code}")), "{}", ran.notes());
    }
    for code in [301, 302, 303] {
        let url = format!("http://{address}/to/{code}");
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let ran = attempt(call(method, &url)).await;
            let outcome = &ran.outcome;
            assert_eq!((outcome.ended, outcome.http_status), (Ended::Failed, Some(code)));
            assert!(ran.error().contains("would become a GET without its body"), "{ran:?}");
            let taken = change(call(method, &url), |http| http.expect_status = vec![(code, code)]);
            let outcome = attempt(taken).await.outcome;
            assert_eq!((outcome.ended, outcome.http_status), (Ended::Succeeded, Some(code)));
        }
        let ran = attempt(call("GET", &url)).await;
        assert_eq!(ran.outcome.result.expect("JSON")["uri"], "/seen");
        let met = change(call("GET", &url), |http| http.expect_status = vec![(301, 308)]);
        assert_eq!(attempt(met).await.outcome.http_status, Some(code), "it is what was expected");
    }
}

#[tokio::test]
async fn the_user_of_a_url_is_sent_and_not_shown() {
    let address = redirecting().await;
    let ran = attempt(call("GET", &format!("http://ann:p%40ss-w0rd@{address}/seen"))).await;
    let seen = ran.outcome.result.clone().expect("JSON");
    assert_eq!(seen["authorization"], "Basic ***", "it is masked: {ran:?}");
    assert!(!format!("{ran:?}").contains("ss-w0rd"));
    let spec = change(call("GET", &format!("http://ann:x@{address}/seen")), |http| {
        http.headers.insert("authorization".to_owned(), "Bearer own".to_owned());
    });
    assert_eq!(attempt(spec).await.outcome.result.expect("JSON")["authorization"], "Bearer own");
    let ran = attempt(call("GET", &format!("http://ann:x@{address}/seen"))).await;
    assert_eq!(ran.outcome.result.expect("JSON")["is_ann"], true);
}

/// Keeps each connection open, and closes it as soon as a second request comes over it.
async fn closing() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let (address, reused) = (listener.local_addr().expect("known"), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&reused);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut seen = [0; 4096];
                if stream.read(&mut seen).await.is_ok_and(|bytes| bytes > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                    let _ = stream.write_all(answer).await;
                    if stream.read(&mut seen).await.is_ok_and(|bytes| bytes > 0) {
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    (address, reused)
}

#[tokio::test]
async fn no_connection_is_used_twice() {
    let (address, reused) = closing().await;
    for method in ["POST", "GET"].repeat(10) {
        let ran = attempt(call(method, &format!("http://{address}/"))).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{ran:?}");
    }
    assert_eq!(reused.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_server_says_when_to_come_back() {
    let busy = || async { (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "7")], "later") };
    let fine = || async { ([("retry-after", "7")], "fine") };
    let address = serve(Router::new().route("/busy", any(busy)).route("/fine", any(fine))).await;
    let outcome = attempt(call("GET", &format!("http://{address}/busy"))).await.outcome;
    assert_eq!(outcome.retry_after, Some(Duration::from_secs(7)));
    let outcome = attempt(call("GET", &format!("http://{address}/fine"))).await.outcome;
    assert_eq!((outcome.ended, outcome.retry_after), (Ended::Succeeded, None));
}

fn packed(encoding: &'static str, body: Vec<u8>) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    response.headers_mut().insert("content-encoding", HeaderValue::from_static(encoding));
    response
}

#[tokio::test]
async fn packed_answers_are_read() {
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    let text = json!({"text": "αβγ ".repeat(4_000), "n": 1}).to_string();
    let (fast, bytes) = (Compression::fast(), text.as_bytes().to_vec());
    let mut gzip = GzEncoder::new(Vec::new(), fast);
    gzip.write_all(&bytes).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut zlib = ZlibEncoder::new(Vec::new(), fast);
    zlib.write_all(&bytes).unwrap();
    let zlib = zlib.finish().unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), fast);
    raw.write_all(&bytes).unwrap();
    let raw = raw.finish().unwrap();
    let mut half = gzip.clone();
    half.truncate(gzip.len() / 2);
    let mut app = Router::new();
    for (path, encoding, body) in [
        ("/gzip", "gzip", gzip),
        ("/zlib", "deflate", zlib),
        ("/raw", "deflate", raw),
        ("/plain", "identity", bytes.clone()),
        ("/half", "gzip", half),
        ("/odd", "br", b"...".to_vec()),
        ("/none", "gzip", Vec::new()),
    ] {
        app = app.route(path, any(move || async move { packed(encoding, body) }));
    }
    let address = serve(app).await;
    for path in ["gzip", "zlib", "raw", "plain"] {
        let ran = attempt(call("GET", &format!("http://{address}/{path}"))).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{path}: {ran:?}");
        assert!(ran.out() == text, "{path}");
        assert_eq!(ran.outcome.result.expect("JSON")["n"], 1, "{path}");
        assert_eq!(ran.outcome.output_bytes, text.len() as u64, "{path}");
    }
    let ran = attempt(call("GET", &format!("http://{address}/half"))).await;
    assert_eq!(ran.outcome.ended, Ended::Failed, "{ran:?}");
    assert!(ran.error().contains("can't be unpacked"), "{ran:?}");
    let ran = attempt(call("GET", &format!("http://{address}/odd"))).await;
    assert!(ran.notes().contains("packed as \"br\""), "{ran:?}");
    let ran = attempt(call("GET", &format!("http://{address}/none"))).await;
    assert_eq!((ran.outcome.ended, ran.outcome.result), (Ended::Succeeded, None));
}

#[tokio::test]
async fn a_body_with_an_error_in_it_is_json_and_a_large_number_no_result() {
    let large =
        || async { ([("content-type", "application/json")], r#"{"id":18446744073709551616}"#) };
    let address = serve(Router::new().route("/large", any(large))).await;
    let ran = attempt(call("GET", &format!("http://{address}/large"))).await;
    assert_eq!((ran.outcome.ended, &ran.outcome.result), (Ended::Succeeded, &None));
    assert!(ran.notes().contains("/id: 18446744073709551616 is larger than 64 bits"), "{ran:?}");
    let address = redirecting().await;
    let error = "ValueError: \"x\"\n\tat C:\\y";
    let mut asked = change(call("POST", &format!("http://{address}/seen")), |http| {
        http.body =
            Some(r#"{"text": "it failed: {{params.error}}", "raw": {{params.error}}}"#.to_owned());
    });
    asked.params = json!({ "error": error });
    let seen = attempt(asked).await.outcome.result.expect("JSON");
    let body: Value = serde_json::from_str(seen["body"].as_str().unwrap()).expect("it is JSON");
    assert_eq!(body, json!({"text": format!("it failed: {error}"), "raw": error}));
}

#[tokio::test]
async fn a_parameter_does_not_climb_in_the_path() {
    let address = redirecting().await;
    for t in ["..", ".", "../seen", "%2e%2e", "..\\seen"] {
        let mut asked = call("DELETE", &format!("http://{address}/teams/{{{{params.t}}}}"));
        asked.params = json!({ "t": t });
        let ran = attempt(asked).await;
        assert_eq!((ran.outcome.ended, ran.outcome.http_status), (Ended::Failed, None), "{t}");
        assert!(ran.error().starts_with("the URL: {{params.t}} would make a step"), "{ran:?}");
    }
}

/// An HTTPS server with this certificate, which shakes hands and no more.
async fn shaking_hands(cert: Vec<u8>, key: &KeyPair) -> u16 {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![CertificateDer::from(cert)], key)
    .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("known").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move { acceptor.accept(stream).await.map(drop) });
        }
    });
    port
}

#[test]
fn faults_of_certificates_are_said_plainly() {
    let folder = tempfile::tempdir().expect("made");
    let file = folder.path().join("ca.pem");
    let file = file.to_str().expect("UTF-8");
    alone(
        "answers::with_bad_certificates",
        &[("SSL_CERT_FILE", file), ("SSL_CERT_DIR", "/no/such")],
    );
}

/// Run by `faults_of_certificates_are_said_plainly` in a process of its own.
#[tokio::test]
async fn with_bad_certificates() {
    use base64::Engine;
    if !is_alone() {
        return;
    }
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(authority.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    std::fs::write(std::env::var("SSL_CERT_FILE").unwrap(), pem).expect("written");
    let ask = |port: u16| attempt(call("GET", &format!("https://localhost:{port}/")));
    for (name, until, own, told) in [
        ("localhost", 2020, false, "it has expired"),
        ("elsewhere.test", 2090, false, "it is for other names"),
        ("localhost", 2090, true, "nobody that this node trusts has signed it"),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        params.distinguished_name.push(DnType::CommonName, "a server of its own");
        let made = if own { params.self_signed(&key) } else { params.signed_by(&key, &authority) };
        let port = shaking_hands(made.unwrap().der().to_vec(), &key).await;
        let ran = ask(port).await;
        let wanted = format!("can't connect to localhost:{port}: invalid peer certificate: {told}");
        assert!(ran.error().starts_with(&wanted), "{name} {until}: {ran:?}");
    }
    // What `openssl req -x509` makes is an authority that signed itself.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "an authority of its own");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let made = params.self_signed(&key).unwrap();
    let ran = ask(shaking_hands(made.der().to_vec(), &key).await).await;
    assert!(ran.error().contains("self-signed") && !ran.error().contains("Other"), "{ran:?}");
    let plain = redirecting().await;
    let ran = ask(plain.port()).await;
    assert!(ran.error().contains("does not speak TLS"), "{ran:?}");
}
