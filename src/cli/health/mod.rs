//! Asks this machine's own node whether it can serve: for health checks in an image without curl.
//!
//! Owns: the question, over HTTP or HTTPS, and what the exit status says of the answer. Does not
//! own: what makes a node able to serve (`service::ready`).
//!
//! A check runs every few seconds, so it is one question over a socket, with no runtime.
//!
//! To add a way to ask: an arm in [`ask`].

mod tls;

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::Duration;

use crate::api::CertificateFiles;
use crate::cli::exit::Code;
use crate::node::Config;

/// For each of connecting, asking and listening.
const PATIENCE: Duration = Duration::from_secs(2);
/// The answer's first line, and more than enough of it.
const ANSWER_BYTES_MAX: u64 = 256;

/// What `cronapi health` is given.
#[derive(clap::Args)]
pub(super) struct Options {
    /// Address of the node, `https://` before it if it speaks that [default: where a node with
    /// this environment listens]
    #[arg(long, value_name = "[https://]HOST:PORT")]
    address: Option<String>,
    /// Ask whether the process answers at all, not whether it can serve
    #[arg(long)]
    live: bool,
}

pub(super) fn run(options: &Options) -> ExitCode {
    let (listen, files) = match Config::rest(&|name| std::env::var(name).ok()) {
        Ok(rest) => rest,
        Err(faults) => {
            faults.iter().for_each(|fault| eprintln!("cronapi: {fault}"));
            return ExitCode::from(crate::cli::config::EX_CONFIG);
        }
    };
    let address = options.address.clone().unwrap_or_else(|| dialled(listen).to_string());
    let (https, address) = match address.split_once("://") {
        Some((scheme, address)) => (scheme == "https", address.to_owned()),
        None => (files.is_some(), address),
    };
    let path = if options.live { "/livez" } else { "/readyz" };
    let scheme = if https { "https" } else { "http" };
    match ask(&address, path, https.then_some(files.as_ref())) {
        Ok(200) => {
            // Nobody may be listening, and the node is well all the same.
            let _ = writeln!(io::stdout(), "ok");
            ExitCode::SUCCESS
        }
        Ok(status) => {
            eprintln!(
                "cronapi: {scheme}://{address}{path} answers {status}; the node's log says why"
            );
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("cronapi: {scheme}://{address}{path}: {error}");
            ExitCode::from(Code::Unavailable as u8)
        }
    }
}

/// Whether the node at that address can serve, over HTTP.
pub(super) fn is_ready(address: &str) -> bool {
    ask(address, "/readyz", None).is_ok_and(|status| status == 200)
}

/// What listens everywhere is asked on the loopback address.
fn dialled(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

/// To the first address behind a name that takes it.
fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for found in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&found, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The status of the answer; `https` has what the node itself has for that.
fn ask(address: &str, path: &str, https: Option<Option<&CertificateFiles>>) -> io::Result<u16> {
    let mut stream = connect(address)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = match https {
        Some(files) => answer(rustls::Stream::new(&mut tls::client(files)?, &mut stream), &request),
        None => answer(stream, &request),
    };
    status(&answer?).ok_or_else(|| io::Error::other("what answers there does not speak HTTP"))
}

/// The first line of the answer, at least, if there is one.
fn answer(mut stream: impl Read + Write, request: &str) -> io::Result<Vec<u8>> {
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    let mut stream = stream.take(ANSWER_BYTES_MAX);
    while !answer.contains(&b'\n') {
        let mut part = [0; ANSWER_BYTES_MAX as usize];
        match stream.read(&mut part)? {
            0 => break,
            bytes => answer.extend_from_slice(&part[..bytes]),
        }
    }
    Ok(answer)
}

/// Of an answer's first line.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one connection with `text`, in two parts, and gives what was asked.
    fn server(text: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 512];
            let bytes = stream.read(&mut asked).unwrap();
            let (first, rest) = text.split_at(text.len().min(5));
            stream.write_all(first.as_bytes()).unwrap();
            stream.flush().unwrap();
            stream.write_all(rest.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..bytes]).into_owned()
        });
        (address, asked)
    }

    #[test]
    fn the_status_of_the_answer_is_told() {
        for (text, status) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200),
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", 503),
        ] {
            let (address, asked) = server(text);
            assert_eq!(ask(&address, "/readyz", None).unwrap(), status);
            let asked = asked.join().unwrap();
            assert!(asked.starts_with("GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:"), "{asked}");
        }
    }

    #[test]
    fn what_does_not_speak_http_is_no_answer() {
        for text in ["SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1\r\n", ""] {
            let (address, _asked) = server(text);
            assert!(ask(&address, "/readyz", None).is_err(), "{text:?}");
        }
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for nobody in [closed.to_string().as_str(), "no-such-name.invalid:80", "no port"] {
            assert!(ask(nobody, "/readyz", None).is_err(), "{nobody}");
        }
    }

    #[test]
    fn what_listens_everywhere_is_asked_on_the_loopback_address() {
        for (listen, asked) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8000", "[::1]:8000"),
            ("10.1.2.3:80", "10.1.2.3:80"),
        ] {
            let listen: SocketAddr = listen.parse().unwrap();
            assert_eq!(dialled(listen).to_string(), asked);
        }
    }
}
