//! HTTPS: certificates from files, which are read again when they change. A connection keeps
//! the one that it began with.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

/// HTTP/2, as clients and we call it when they agree on one (ALPN).
pub(super) const HTTP_2: &[u8] = b"h2";
/// A client has this long to agree on TLS.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The first byte of a TLS connection: a handshake record.
const HANDSHAKE: u8 = 22;
/// What somebody is told who speaks HTTP to a port of HTTPS.
const PLAIN: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain\r\nContent-Length: 43\r\n\r\n\
    This port takes HTTPS: use https:// for it\n";

/// Where certificates are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The node's certificate and those that lead to its authority, PEM.
    pub cert: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Authorities, PEM: who connects must show a certificate of one of them.
    pub client_ca: Option<PathBuf>,
}

/// Why certificates can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{}: {detail}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
}

/// The certificates in force. Cheap to clone.
#[derive(Clone)]
pub struct Certificates(Arc<Inner>);

struct Inner {
    files: CertificateFiles,
    current: ArcSwap<Loaded>,
}

struct Loaded {
    config: Arc<ServerConfig>,
    /// Seconds since 1970.
    until: i64,
    digest: [u8; 32],
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificates").field(&self.0.files).finish()
    }
}

/// What the files hold.
struct Texts {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

async fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    let failed = |source| CertificateError::Read { path: path.to_owned(), source };
    tokio::fs::read(path).await.map_err(failed)
}

impl Texts {
    async fn of(files: &CertificateFiles) -> Result<Texts, CertificateError> {
        let client_ca = match &files.client_ca {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        Ok(Texts { cert: read(&files.cert).await?, key: read(&files.key).await?, client_ca })
    }

    fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for text in [&self.cert, &self.key].into_iter().chain(&self.client_ca) {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
        hasher.finalize().into()
    }

    fn load(&self, files: &CertificateFiles) -> Result<Loaded, CertificateError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = |error: rustls::Error| fault(&files.key, error);
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(tls)?;
        let builder = match (&files.client_ca, &self.client_ca) {
            (Some(path), Some(text)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(path, text)? {
                    roots.add(authority).map_err(|error| fault(path, error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|e| fault(path, e))?)
            }
            _ => builder.with_no_client_auth(),
        };
        let chain = certificates(&files.cert, &self.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| fault(&files.key, "holds no private key as PEM"))?;
        let until = until(&files.cert, &chain)?;
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let cert = files.cert.display();
                fault(&files.key, format!("is not the key of the certificate in {cert}"))
            }
            other => fault(&files.cert, other),
        })?;
        config.alpn_protocols = vec![HTTP_2.to_vec(), b"http/1.1".to_vec()];
        Ok(Loaded { config: Arc::new(config), until, digest: self.digest() })
    }
}

fn fault(path: &Path, detail: impl fmt::Display) -> CertificateError {
    CertificateError::Content { path: path.to_owned(), detail: detail.to_string() }
}

fn certificates(
    path: &Path,
    text: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let found = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| fault(path, format!("is not PEM: {error}")))?;
    if found.is_empty() {
        return Err(fault(path, "holds no certificate as PEM"));
    }
    Ok(found)
}

/// When the first of a chain expires, in seconds since 1970.
fn until(path: &Path, chain: &[CertificateDer<'_>]) -> Result<i64, CertificateError> {
    let ends = chain.iter().map(|one| {
        let (_, read) = X509Certificate::from_der(one)
            .map_err(|error| fault(path, format!("holds what is no certificate: {error}")))?;
        Ok(read.validity().not_after.timestamp())
    });
    let ends = ends.collect::<Result<Vec<_>, CertificateError>>()?;
    ends.into_iter().min().ok_or_else(|| fault(path, "holds no certificate as PEM"))
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// One can't be read, or does not hold what it should.
    pub async fn load(files: CertificateFiles) -> Result<Self, CertificateError> {
        let loaded = Texts::of(&files).await?.load(&files)?;
        Ok(Certificates(Arc::new(Inner { files, current: ArcSwap::from_pointee(loaded) })))
    }

    /// Reads the files again, for connections from here on; false: they have not changed.
    ///
    /// # Errors
    /// They can't be used; what was in force stays.
    pub async fn reload(&self) -> Result<bool, CertificateError> {
        let texts = Texts::of(&self.0.files).await?;
        if texts.digest() == self.0.current.load().digest {
            return Ok(false);
        }
        self.0.current.store(Arc::new(texts.load(&self.0.files)?));
        Ok(true)
    }

    /// When the certificate in force, or one above it, expires: seconds since 1970.
    pub fn until(&self) -> i64 {
        self.0.current.load().until
    }

    /// Agrees on TLS with whoever opened `stream`.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.0.current.load().config.clone());
        let agreed = async move {
            let mut first = [0];
            let mut stream = stream;
            if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
                // What stays unread would take the answer away with it.
                let _ = stream.read(&mut [0; 8 * 1024]).await;
                let _ = stream.write_all(PLAIN).await;
                let _ = stream.shutdown().await;
                return Err(io::Error::other("it speaks no TLS"));
            }
            acceptor.accept(stream).await
        };
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, agreed).await {
            Ok(done) => done,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no agreement on TLS in time")),
        }
    }
}
