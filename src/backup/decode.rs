//! Reads the bytes of a backup as they come, and gives out nothing that was not checked.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::cipher::Cipher;
use super::{
    Amount, DIGEST_BYTES, Error, FORMAT, FRAME_BYTES_MAX, HEADER_BYTES_MAX, Header, MAGIC, Part,
};
use crate::wire::proto;
use proto::install_part::Part as Sent;

/// What was read.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Comes first.
    Header(Header),
    /// A part, in order.
    Part(Part),
}

/// What is read next.
enum Next {
    Magic,
    Header,
    Frame,
    Digest,
    Nothing,
}

/// Reads a backup: push its bytes, then ask whether that was all.
pub struct Decoder {
    next: Next,
    unread: BytesMut,
    /// Bytes that were in order.
    at: u64,
    digest: Sha256,
    passphrase: Option<String>,
    /// Whether sealed frames are looked into.
    inside: bool,
    header: Bytes,
    cipher: Option<Cipher>,
    amount: Amount,
    /// What the file says that it holds.
    said: Option<Amount>,
    last_key: Bytes,
}

impl Decoder {
    /// Reads a file from its beginning.
    pub fn new(passphrase: Option<&str>) -> Self {
        Self {
            next: Next::Magic,
            unread: BytesMut::new(),
            at: 0,
            digest: Sha256::new(),
            passphrase: passphrase.map(str::to_owned),
            inside: true,
            header: Bytes::new(),
            cipher: None,
            amount: Amount::default(),
            said: None,
            last_key: Bytes::new(),
        }
    }

    /// Checks the outside only of a file that is encrypted and whose passphrase is not known.
    #[must_use]
    pub fn outside_only(mut self) -> Self {
        self.inside = false;
        self
    }

    /// Takes the next bytes, and gives what they complete.
    ///
    /// # Errors
    /// See [`Error`]; nothing can be read after one.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Piece>, Error> {
        self.unread.extend_from_slice(bytes);
        let mut pieces = Vec::new();
        while self.step(&mut pieces)? {}
        Ok(pieces)
    }

    /// Says how much it held, when everything was there.
    ///
    /// # Errors
    /// The file is cut short.
    pub fn finish(self) -> Result<Amount, Error> {
        match self.next {
            Next::Nothing => Ok(self.amount),
            _ => Err(self.damaged("it is cut short: its end is missing")),
        }
    }

    /// Whether something was done that may allow more.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> Result<bool, Error> {
        match self.next {
            Next::Magic => {
                let Some(magic) = self.take(MAGIC.len()) else { return Ok(false) };
                if magic[..] != MAGIC[..] {
                    self.at = 0;
                    return Err(self.damaged("it does not begin as a backup does"));
                }
                self.next = Next::Header;
            }
            Next::Header => {
                let Some(json) = self.frame(HEADER_BYTES_MAX)? else { return Ok(false) };
                let Some(json) = json else { return Err(self.damaged("it has no header")) };
                pieces.push(Piece::Header(self.read_header(json)?));
                self.next = Next::Frame;
            }
            Next::Frame => match self.frame(FRAME_BYTES_MAX)? {
                None => return Ok(false),
                Some(Some(payload)) => pieces.extend(self.read_frame(&payload)?.map(Piece::Part)),
                Some(None) => {
                    if self.inside && self.said.is_none() {
                        return Err(self.damaged("it does not say how much it holds"));
                    }
                    self.next = Next::Digest;
                }
            },
            Next::Digest => {
                if self.unread.len() < DIGEST_BYTES {
                    return Ok(false);
                }
                let told = self.unread.split_to(DIGEST_BYTES);
                if self.digest.clone().finalize()[..] != told[..] {
                    return Err(self.damaged("its digest does not match"));
                }
                self.at += DIGEST_BYTES as u64;
                self.next = Next::Nothing;
            }
            Next::Nothing if self.unread.is_empty() => return Ok(false),
            Next::Nothing => return Err(self.damaged("there is more after its end")),
        }
        Ok(true)
    }

    fn take(&mut self, length: usize) -> Option<Bytes> {
        if self.unread.len() < length {
            return None;
        }
        let taken = self.unread.split_to(length).freeze();
        self.digest.update(&taken);
        self.at += length as u64;
        Some(taken)
    }

    /// The payload of the next frame; `Some(None)`: the mark that ends them.
    fn frame(&mut self, most: usize) -> Result<Option<Option<Bytes>>, Error> {
        let Some(mut length) = self.unread.get(..4) else { return Ok(None) };
        let length = length.get_u32_le() as usize;
        if length == 0 {
            self.take(4);
            return Ok(Some(None));
        }
        if length > most {
            return Err(self.damaged("a frame is too long"));
        }
        let Some(mut checksum) = self.unread.get(4..8) else { return Ok(None) };
        let checksum = checksum.get_u32_le();
        let Some(payload) = self.unread.get(8..8 + length) else { return Ok(None) };
        if crc32fast::hash(payload) != checksum {
            return Err(self.damaged("a checksum does not match"));
        }
        Ok(self.take(8 + length).map(|frame| Some(frame.slice(8..))))
    }

    fn read_header(&mut self, json: Bytes) -> Result<Header, Error> {
        // The version alone is read first: the rest may mean something else in a newer one.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
            #[serde(default)]
            program: String,
        }
        let unreadable = |this: &Self, e: serde_json::Error| this.damaged(&format!("header: {e}"));
        let version: Version = serde_json::from_slice(&json).map_err(|e| unreadable(self, e))?;
        if version.format > FORMAT {
            return Err(Error::Newer { found: version.format, program: version.program });
        }
        let header: Header = serde_json::from_slice(&json).map_err(|e| unreadable(self, e))?;
        if let Some(sealed) = &header.sealed
            && self.inside
        {
            let passphrase = self.passphrase.as_deref().ok_or(Error::PassphraseNeeded)?;
            self.cipher = Some(Cipher::new(sealed, passphrase)?);
        }
        if header.sealed.is_none() && self.passphrase.is_some() {
            return Err(Error::NotSealed);
        }
        self.inside &= header.sealed.is_none() || self.cipher.is_some();
        self.header = json;
        Ok(header)
    }

    fn read_frame(&mut self, payload: &Bytes) -> Result<Option<Part>, Error> {
        if !self.inside {
            return Ok(None);
        }
        let plain = match &mut self.cipher {
            Some(cipher) => Bytes::from(cipher.open(&self.header, payload)?),
            None => payload.clone(),
        };
        if self.said.is_some() {
            return Err(self.damaged("it goes on after what should be its end"));
        }
        let part = proto::InstallPart::decode(plain).map_err(|e| self.damaged(&e.to_string()))?;
        match part.part {
            Some(Sent::Checkpoint(piece)) if self.amount.rows == 0 => {
                self.amount.checkpoint_bytes += piece.len() as u64;
                Ok(Some(Part::Checkpoint(piece)))
            }
            Some(Sent::Rows(rows)) => {
                for row in &rows.rows {
                    if row.key <= self.last_key {
                        return Err(self.damaged("its rows are out of order"));
                    }
                    self.last_key = row.key.clone();
                }
                self.amount.rows += rows.rows.len() as u64;
                Ok(Some(Part::Rows(rows.rows)))
            }
            Some(Sent::End(end)) => {
                let said = Amount { checkpoint_bytes: end.checkpoint_bytes, rows: end.rows };
                if said != self.amount {
                    let text = format!("it says {said:?} and holds {:?}", self.amount);
                    return Err(self.damaged(&text));
                }
                self.said = Some(said);
                Ok(None)
            }
            _ => Err(self.damaged("a part that should not be there")),
        }
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { at: self.at, reason: reason.to_owned() }
    }
}
