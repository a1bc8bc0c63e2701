//! Makes the bytes of a backup, piece by piece.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use sha2::{Digest, Sha256};

use super::cipher::Cipher;
use super::{Amount, Error, Header, MAGIC, Part, Sealed};
use crate::wire::proto;
use proto::install_part::Part as Sent;

/// Makes the bytes of a backup: begin, give it every part, end. Nothing is written here.
pub struct Encoder {
    digest: Sha256,
    header: Bytes,
    cipher: Option<Cipher>,
    amount: Amount,
}

impl Encoder {
    /// Begins a file; the first bytes of it come back too.
    ///
    /// # Errors
    /// It can't be encrypted.
    pub fn begin(header: &Header, passphrase: Option<&str>) -> Result<(Self, Bytes), Error> {
        let mut header = header.clone();
        header.sealed = passphrase.map(|_| Sealed::new()).transpose()?;
        let cipher = match (&header.sealed, passphrase) {
            (Some(sealed), Some(passphrase)) => Some(Cipher::new(sealed, passphrase)?),
            _ => None,
        };
        let json = serde_json::to_vec(&header).map_err(|e| Error::Crypto(e.to_string()))?;
        let header = Bytes::from(json);
        let mut encoder = Self { digest: Sha256::new(), header, cipher, amount: Amount::default() };
        let mut first = BytesMut::from(&MAGIC[..]);
        put_frame(&mut first, &encoder.header.clone());
        let first = encoder.counted(first);
        Ok((encoder, first))
    }

    /// The bytes of a part.
    ///
    /// # Errors
    /// It can't be encrypted.
    pub fn part(&mut self, part: Part) -> Result<Bytes, Error> {
        let sent = match part {
            Part::Checkpoint(piece) => {
                self.amount.checkpoint_bytes += piece.len() as u64;
                Sent::Checkpoint(piece)
            }
            Part::Rows(rows) => {
                self.amount.rows += rows.len() as u64;
                Sent::Rows(proto::HistoryRows { rows })
            }
        };
        self.frame(sent)
    }

    /// The last bytes.
    ///
    /// # Errors
    /// They can't be encrypted.
    pub fn end(mut self) -> Result<Bytes, Error> {
        let Amount { checkpoint_bytes, rows } = self.amount;
        let amount = self.frame(Sent::End(proto::InstallEnd { checkpoint_bytes, rows }))?;
        let mut last = BytesMut::from(&amount[..]);
        let mark = 0_u32.to_le_bytes();
        self.digest.update(mark);
        last.put_slice(&mark);
        last.put_slice(&self.digest.finalize());
        Ok(last.freeze())
    }

    fn frame(&mut self, sent: Sent) -> Result<Bytes, Error> {
        let plain = proto::InstallPart { part: Some(sent) }.encode_to_vec();
        let payload = match &mut self.cipher {
            Some(cipher) => cipher.seal(&self.header, &plain)?,
            None => plain,
        };
        let mut bytes = BytesMut::with_capacity(8 + payload.len());
        put_frame(&mut bytes, &payload);
        Ok(self.counted(bytes))
    }

    fn counted(&mut self, bytes: BytesMut) -> Bytes {
        self.digest.update(&bytes);
        bytes.freeze()
    }
}

fn put_frame(bytes: &mut BytesMut, payload: &[u8]) {
    bytes.put_u32_le(payload.len() as u32);
    bytes.put_u32_le(crc32fast::hash(payload));
    bytes.put_slice(payload);
}
