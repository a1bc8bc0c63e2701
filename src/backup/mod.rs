//! The form of a backup: one file that holds a cluster at one index.
//!
//! Owns: the bytes of the file, its checksums, its encryption. Does not own: how a consistent
//! picture is had from a running node (`consensus`), nor what is made of it (`offline`).
//!
//! ```text
//! "CRNAPBK1"
//! header   length (4 bytes), CRC-32 (4 bytes), JSON: see Header
//! frames   length, CRC-32, payload: an InstallPart of cluster.proto,
//!          first pieces of the checkpoint, then rows of the history, then how much it was
//! end      length 0, and the SHA-256 of everything before it
//! ```
//!
//! All numbers are little-endian. With a passphrase each payload is sealed with
//! XChaCha20-Poly1305 under a key that argon2id makes of it: the nonce is 16 bytes of the header
//! and the number of the frame, and the header is authenticated with each frame.
//!
//! Invariants:
//! - No piece is given out whose checksum was not seen; a file without its end is not believed.
//! - A file of a newer format is refused as such, before anything else of it is read.
//!
//! To add something: a field of [`Header`] with a default, or a variant of `InstallPart`; when an
//! older program must not restore it, a higher [`FORMAT`].

mod cipher;
mod decode;
mod encode;
mod header;

#[cfg(test)]
mod tests;

pub use decode::{Decoder, Piece};
pub use encode::Encoder;
pub use header::{Counts, Header, Sealed};

use crate::wire::proto;

/// The format written today; anything up to it can be read.
pub const FORMAT: u32 = 1;

const MAGIC: &[u8; 8] = b"CRNAPBK1";
/// Bytes of the header, at most.
const HEADER_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a frame, at most; those that are written have about 1 MiB.
const FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of the digest at the end.
const DIGEST_BYTES: usize = 32;

/// A part of what a backup holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// A piece of the checkpoint.
    Checkpoint(bytes::Bytes),
    /// Rows of the history, in order.
    Rows(Vec<proto::HistoryRow>),
}

/// How much a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Bytes of the checkpoint.
    pub checkpoint_bytes: u64,
    /// Rows of the history.
    pub rows: u64,
}

/// Why a backup can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no backup, or not as it was written.
    #[error("the backup is damaged at byte {at}: {reason}; take another, or use an older one")]
    Damaged {
        /// How many bytes of it were in order.
        at: u64,
        /// What is wrong there.
        reason: String,
    },
    /// A newer version of the program wrote it.
    #[error(
        "the backup has format {found}, and this version of CronAPI reads up to {FORMAT}: use the \
         version that took it ({program})"
    )]
    Newer {
        /// Its format.
        found: u32,
        /// The version that wrote it.
        program: String,
    },
    /// It is encrypted.
    #[error("the backup is encrypted: give --passphrase-file or CRONAPI_BACKUP_PASSPHRASE")]
    PassphraseNeeded,
    /// It is not encrypted, and a passphrase was given.
    #[error(
        "a passphrase was given, but the backup is not encrypted: somebody may have put it in the \
         place of one that was; read it without the passphrase if that is what you expect"
    )]
    NotSealed,
    /// The passphrase is another, or what it covers was changed.
    #[error("the passphrase is not the one that the backup was taken with, or frame {0} is forged")]
    PassphraseWrong(u64),
    /// The system gave no random bytes, or too little memory.
    #[error("the backup can't be encrypted: {0}")]
    Crypto(String),
}
