//! Why a node ends.

use std::net::SocketAddr;

use super::bootstrap;
use crate::api::CertificateError;
use crate::consensus;
use crate::metrics;

/// Why a node could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {source}; is another process there? see {flag}")]
    Listen {
        /// The setting.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Nothing can be counted.
    #[error(transparent)]
    Metrics(#[from] metrics::Error),
    /// The data directory or the log can't be opened.
    #[error(transparent)]
    Open(#[from] consensus::OpenError),
    /// The certificates of REST can't be used.
    #[error("--tls-cert, --tls-key, --tls-client-ca: {0}")]
    Certificates(#[from] CertificateError),
    /// The cluster's key can't be used.
    #[error("CRONAPI_CLUSTER_KEY {0}")]
    Key(String),
    /// What is to keep jobs apart can't be had.
    #[error("CRONAPI_ISOLATION, CRONAPI_JOB_USER: {0}")]
    Isolation(String),
    /// The login provider can't be used.
    #[error("oidc in the configuration file: {0}")]
    Oidc(String),
    /// The cluster could not be set up.
    #[error(transparent)]
    Bootstrap(#[from] bootstrap::Error),
    /// This boot could not be announced.
    #[error("this node could not join: {0}")]
    Join(String),
    /// Something of the operating system.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The storage failed: nothing is acknowledged any more.
    #[error("stopped, because {0}")]
    Fatal(String),
    /// The stop was not orderly; what was acknowledged is durable all the same.
    #[error(transparent)]
    Shutdown(#[from] consensus::ShutdownError),
}
