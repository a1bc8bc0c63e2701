//! One connection to a node, kept alive: less is spent on it than a general client would.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::Failure;

/// A connection, as one user.
pub struct Line {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    token: HeaderValue,
}

impl Line {
    /// Connects to the node at a URL.
    pub async fn open(url: &str, token: &str) -> Result<Line, Failure> {
        let address = url.strip_prefix("http://").ok_or("a URL without http://")?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Its end is seen by whoever asks next.
        tokio::spawn(async move { drop(connection.await) });
        let host = HeaderValue::from_str(address)?;
        Ok(Line { sender, host, token: HeaderValue::from_str(&format!("Bearer {token}"))? })
    }

    /// One request.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failure> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(headers) = request.headers_mut() {
            headers.insert(HOST, self.host.clone());
            headers.insert(AUTHORIZATION, self.token.clone());
            if !body.is_empty() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
        }
        self.sender.ready().await?;
        let answer = self.sender.send_request(request.body(Full::new(body))?).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    /// One request that is due to succeed.
    pub async fn done(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Bytes, Failure> {
        let what = format!("{method} {path}");
        let (status, answer) = self.send(method, path, body).await?;
        if status.is_success() {
            return Ok(answer);
        }
        Err(format!("{what}: {status} {}", String::from_utf8_lossy(&answer)).into())
    }
}
