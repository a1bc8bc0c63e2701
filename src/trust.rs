//! Whom this program trusts to be a server when it calls one over TLS: the certificates of the
//! system (`SSL_CERT_FILE` names others), and those of a file that somebody names.
//!
//! Not how the nodes of a cluster know each other: `consensus/transport` has its own authority.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The authorities of the system. Those that can't be read are left out.
pub fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// The authorities of the system and those of a file in PEM form.
///
/// # Errors
/// The file can't be read, or holds no certificate; the text does not name it.
pub fn with_file(file: &Path) -> Result<RootCertStore, String> {
    let mut roots = system();
    let mut found = 0;
    for certificate in CertificateDer::pem_file_iter(file).map_err(|e| e.to_string())? {
        let certificate = certificate.map_err(|e| e.to_string())?;
        roots.add(certificate).map_err(|e| e.to_string())?;
        found += 1;
    }
    match found {
        0 => Err("holds no certificate in PEM form".to_owned()),
        _ => Ok(roots),
    }
}

/// How servers are called over TLS: nobody shows a certificate of their own.
///
/// # Errors
/// The cryptography of this build offers no version of TLS.
pub fn client(roots: RootCertStore) -> Result<ClientConfig, String> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS can't be set up on this node: {e}"))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
