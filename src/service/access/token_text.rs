//! The text of a long-lived API token: `crn_<id>_<secret>_<crc32>`, all in hexadecimal.
//! The prefix and the checksum let scanners of leaked secrets find one without asking.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::service::Error;

/// What every API token begins with.
pub(super) const PREFIX: &str = "crn_";

/// A token's identity and the hash of its secret, as they are kept.
pub(super) struct Presented {
    /// Which one it claims to be.
    pub id: Uuid,
    hash: [u8; 32],
}

impl Presented {
    /// Whether the secret is the one of `kept`, in constant time.
    pub(super) fn fits(&self, kept: &[u8; 32]) -> bool {
        self.hash.ct_eq(kept).into()
    }
}

/// Makes the text of a new token, and the hash to keep.
pub(super) fn make(id: Uuid) -> Result<(String, [u8; 32]), Error> {
    let mut secret = [0u8; 32];
    getrandom::fill(&mut secret).map_err(|e| Error::Internal(format!("tokens: {e}")))?;
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let body = format!("{PREFIX}{}_{secret}", id.simple());
    let text = format!("{body}_{:08x}", crc32fast::hash(body.as_bytes()));
    Ok((text, Sha256::digest(secret.as_bytes()).into()))
}

/// Reads the text of a token; none: it is not well formed.
pub(super) fn read(text: &str) -> Option<Presented> {
    let (body, sum) = text.rsplit_once('_')?;
    if sum != format!("{:08x}", crc32fast::hash(body.as_bytes())) {
        return None;
    }
    let (id, secret) = body.strip_prefix(PREFIX)?.split_once('_')?;
    if id.len() != 32 || secret.len() != 64 {
        return None;
    }
    let id = Uuid::try_parse(id).ok()?;
    Some(Presented { id, hash: Sha256::digest(secret.as_bytes()).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_a_changed_one_does_not() {
        let id = Uuid::from_u128(0xfeed);
        let (text, hash) = make(id).unwrap();
        let presented = read(&text).unwrap();
        assert_eq!(presented.id, id);
        assert!(presented.fits(&hash));
        assert!(!presented.fits(&[0; 32]));
        for at in [5, 40, text.len() - 1] {
            let mut other = text.clone().into_bytes();
            other[at] = if other[at] == b'0' { b'1' } else { b'0' };
            assert!(read(std::str::from_utf8(&other).unwrap()).is_none(), "{at}");
        }
        for bad in ["", "crn_", "crn__", "crn_a_b_c", "x"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
