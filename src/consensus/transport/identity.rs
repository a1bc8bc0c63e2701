//! From the cluster's key to certificates: who holds the key can prove it, and nobody else.
//!
//! ```text
//! key text ── argon2id ──> 32 bytes ── HKDF-SHA-256, "ed25519 authority" ──> seed
//! seed = the private key of the cluster's authority, the same on every node
//! authority ── signs ──> certificate of a random key of this process, kept in memory only
//! ```
//!
//! The key never crosses the wire, nor does anything from which it can be computed. What a peer
//! without the key does get to see is a signature by the authority, and with it a guess can be
//! tested: argon2id makes each guess as dear as one at a password, and a key should be random
//! all the same. Salt and labels tie the result to this purpose and version; the same key text
//! used elsewhere gives nothing away here.
//!
//! Certificates are for no longer than this process, so they don't expire by date: both sides
//! check them at a fixed time, and a node whose clock is wrong can still talk.

use std::sync::Arc;
use std::time::Duration;

use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer};
use rcgen::{KeyPair, KeyUsagePurpose, PKCS_ED25519, date_time_ymd};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sha2::Sha256;

use crate::model::limits::CLUSTER_KEY_LEN_MIN;

/// The name in every node's certificate: what counts is the authority, not the host.
pub(super) const NAME: &str = "node.cronapi.internal";
/// What both sides must speak; another version of the derivation gets another name.
const PROTOCOL: &[u8] = b"cronapi-cluster/1";
/// What a client speaks that was shown another key: the server may hold two.
const OTHER_KEY: &[u8] = b"cronapi-cluster/1 other key";

/// Salt of the stretching: fixed, since all nodes must come to the same.
const SALT: &[u8] = b"cronapi cluster key, version 1";
/// Purpose of the seed.
const AUTHORITY: &[u8] = b"ed25519 authority";
/// PKCS #8 around an Ed25519 seed (RFC 8410, section 7).
const PKCS8: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Why a key gives no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It could be guessed.
    #[error("the cluster's key has {0} characters; at least {CLUSTER_KEY_LEN_MIN} are needed")]
    KeyTooShort(usize),
    /// The key could not be stretched.
    #[error("the cluster's key can't be stretched: {0}")]
    Stretch(argon2::Error),
    /// No certificate could be made.
    #[error("no certificate could be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// TLS could not be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// Certificates could not be checked.
    #[error("certificates can't be checked: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// What a process shows to peers, and what it asks of them.
pub(super) struct Identity {
    /// How to connect, one after the other, while the peer's certificate is of another key.
    pub(super) clients: Vec<Arc<ClientConfig>>,
    pub(super) server: Arc<ServerConfig>,
}

impl Identity {
    /// An identity of this process in the cluster that has `key`, and had `old` until now. It
    /// takes some 50 ms a key.
    ///
    /// While the key is replaced, node by node, three kinds of node talk to each other: those
    /// that have the old one only, both, or the new one only. Who has both believes both, and
    /// shows what the other side believes: as a client it tries one after the other, as a
    /// server it shows the new one, and the old one to a client that comes back to ask for it.
    pub(super) fn of(key: &str, old: Option<&str>) -> Result<Self, IdentityError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let own = Proof::of(key)?;
        let old = old.map(Proof::of).transpose()?;

        let mut roots = RootCertStore::empty();
        for proof in [&own].into_iter().chain(&old) {
            roots.add(proof.authority.clone())?;
        }
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let shown = Shown {
            own: own.certified(&provider)?,
            other: old.as_ref().map(|old| old.certified(&provider)).transpose()?,
        };
        let mut server = ServerConfig::builder_with_details(provider.clone(), Arc::new(Then))
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(clients.build()?)
            .with_cert_resolver(Arc::new(shown));
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        server.alpn_protocols.extend(old.is_some().then(|| OTHER_KEY.to_vec()));
        // Every stream is proved anew.
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});

        let second = match &old {
            Some(old) => old.client(&provider, PROTOCOL)?,
            None => own.client(&provider, OTHER_KEY)?,
        };
        let clients = vec![own.client(&provider, PROTOCOL)?, second];
        Ok(Self { clients, server: Arc::new(server) })
    }
}

/// A certificate of this process by the authority of one key.
struct Proof {
    authority: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
    private: PrivateKeyDer<'static>,
}

impl Proof {
    fn of(key: &str) -> Result<Self, IdentityError> {
        let authority = Authority::of(key)?;
        let (leaf, private) = authority.issue()?;
        Ok(Self { authority: authority.certificate, leaf, private })
    }

    fn certified(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, IdentityError> {
        let (chain, key) = (vec![self.leaf.clone()], self.private.clone_key());
        Ok(Arc::new(CertifiedKey::from_der(chain, key, provider)?))
    }

    /// Shows the key to servers that have it, and believes those only.
    fn client(
        &self,
        provider: &Arc<CryptoProvider>,
        protocol: &[u8],
    ) -> Result<Arc<ClientConfig>, IdentityError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        let servers = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
        let mut client = ClientConfig::builder_with_details(provider.clone(), Arc::new(Then))
            .with_protocol_versions(&[&TLS13])?
            .with_webpki_verifier(servers.build()?)
            .with_client_auth_cert(vec![self.leaf.clone()], self.private.clone_key())?;
        client.alpn_protocols = vec![protocol.to_vec()];
        client.resumption = Resumption::disabled();
        Ok(Arc::new(client))
    }
}

/// What a server shows.
#[derive(Debug)]
struct Shown {
    own: Arc<CertifiedKey>,
    other: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asks = hello.alpn().is_some_and(|mut all| all.any(|protocol| protocol == OTHER_KEY));
        let other = self.other.as_ref().filter(|_| asks);
        Some(Arc::clone(other.unwrap_or(&self.own)))
    }
}

/// The cluster's authority: the same on every node, never sent.
struct Authority {
    params: CertificateParams,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    fn of(key: &str) -> Result<Self, IdentityError> {
        let pkcs8 = [PKCS8.as_slice(), &seed(key)?].concat();
        let pkcs8 = PrivatePkcs8KeyDer::from(pkcs8.as_slice());
        let key = KeyPair::from_pkcs8_der_and_sign_algo(&pkcs8, &PKCS_ED25519)?;
        let mut params = params("CronAPI cluster", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key)?.into();
        Ok(Self { params, key, certificate })
    }

    /// A certificate for a new random key.
    fn issue(&self) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        let mut params = params("CronAPI node", vec![NAME.to_owned()])?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::from_params(&self.params, &self.key);
        let certificate = params.signed_by(&key, &issuer)?;
        Ok((certificate.into(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
    }
}

fn params(name: &str, names: Vec<String>) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(1975, 1, 1);
    params.not_after = date_time_ymd(4096, 1, 1);
    Ok(params)
}

/// The private key of the authority: argon2id (19 MiB, two passes, one lane, as for
/// passwords), then HKDF-SHA-256 (RFC 5869) of one block.
fn seed(key: &str) -> Result<[u8; 32], IdentityError> {
    let length = key.chars().count();
    if length < CLUSTER_KEY_LEN_MIN {
        return Err(IdentityError::KeyTooShort(length));
    }
    let params = Params::new(19 * 1024, 2, 1, Some(32)).map_err(IdentityError::Stretch)?;
    let mut stretched = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(key.as_bytes(), SALT, &mut stretched)
        .map_err(IdentityError::Stretch)?;
    let extracted = hmac(SALT, &[&stretched]);
    Ok(hmac(&extracted, &[AUTHORITY, &[1]]))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length: there is no other error.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("any length") };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The time at which certificates are checked, whatever the clock shows.
#[derive(Debug)]
struct Then;

impl TimeProvider for Then {
    fn current_time(&self) -> Option<UnixTime> {
        // The year 2000.
        Some(UnixTime::since_unix_epoch(Duration::from_secs(946_684_800)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derivation_stays_what_it_is() {
        // Nodes of two versions must come to the same: a new derivation is a new PROTOCOL.
        let seed = seed("correct horse battery staple").unwrap();
        let hex: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "2b0362835a4e6fe9446e9a99b36b8dac4cb2d52c6f911311991a6e6045c9ce64");
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        assert!(matches!(seed("fifteen letters"), Err(IdentityError::KeyTooShort(15))));
        assert!(seed("sixteen letters!").is_ok());
    }
}
