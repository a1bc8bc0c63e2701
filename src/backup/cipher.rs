//! Sealed frames.

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

use super::{Error, Sealed};

const CIPHER: &str = "xchacha20-poly1305";
const KDF: &str = "argon2id";
/// A passphrase stands against guessing on other machines, for years: more than a login costs.
const MEMORY_KIB: u32 = 64 * 1024;
const PASSES: u32 = 3;
/// What a header may ask for: it is read before it is authenticated.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 16;

/// Seals and opens the frames of one file, in their order.
pub(super) struct Cipher {
    aead: XChaCha20Poly1305,
    nonce: [u8; NONCE_BYTES],
    frame: u64,
}

impl Sealed {
    /// How a new file is sealed.
    pub(super) fn new() -> Result<Self, Error> {
        let mut random = [0_u8; SALT_BYTES + NONCE_BYTES];
        getrandom::fill(&mut random).map_err(|e| Error::Crypto(e.to_string()))?;
        let (salt, nonce) = random.split_at(SALT_BYTES);
        Ok(Self {
            cipher: CIPHER.to_owned(),
            kdf: KDF.to_owned(),
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            salt: hex(salt),
            nonce: hex(nonce),
        })
    }
}

impl Cipher {
    /// For a file that is sealed so. Takes about a quarter of a second.
    pub fn new(sealed: &Sealed, passphrase: &str) -> Result<Self, Error> {
        let told = |what: &str| Error::Crypto(format!("its header names an unknown {what}"));
        if sealed.cipher != CIPHER || sealed.kdf != KDF {
            return Err(told("cipher"));
        }
        if sealed.memory_kib > MEMORY_KIB_MAX || sealed.passes > PASSES_MAX {
            return Err(Error::Crypto("its header asks for too much work".to_owned()));
        }
        let salt: [u8; SALT_BYTES] = unhex(&sealed.salt).ok_or_else(|| told("salt"))?;
        let nonce = unhex(&sealed.nonce).ok_or_else(|| told("nonce"))?;
        let failed = |e: argon2::Error| Error::Crypto(e.to_string());
        let params = Params::new(sealed.memory_kib, sealed.passes, 1, None).map_err(failed)?;
        let mut key = [0_u8; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut key)
            .map_err(failed)?;
        let aead = XChaCha20Poly1305::new(&Key::from(key));
        Ok(Self { aead, nonce, frame: 0 })
    }

    fn next(&mut self) -> XNonce {
        let mut nonce = [0_u8; 24];
        nonce[..NONCE_BYTES].copy_from_slice(&self.nonce);
        nonce[NONCE_BYTES..].copy_from_slice(&self.frame.to_le_bytes());
        self.frame += 1;
        XNonce::from(nonce)
    }

    pub fn seal(&mut self, header: &[u8], frame: &[u8]) -> Result<Vec<u8>, Error> {
        let nonce = self.next();
        let payload = Payload { msg: frame, aad: header };
        let sealed = self.aead.encrypt(&nonce, payload);
        sealed.map_err(|_| Error::Crypto("the cipher refused a frame".to_owned()))
    }

    pub fn open(&mut self, header: &[u8], frame: &[u8]) -> Result<Vec<u8>, Error> {
        let number = self.frame;
        let nonce = self.next();
        let payload = Payload { msg: frame, aad: header };
        self.aead.decrypt(&nonce, payload).map_err(|_| Error::PassphraseWrong(number))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0_u8; N];
    if !text.is_ascii() || text.len() != 2 * N {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}
