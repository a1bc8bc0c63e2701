//! Answers that come packed, asked for or not: gzip and deflate.

use std::io::{self, Write};

use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::Response;

/// Bytes unpacked at a time: they may become a thousand times as many.
pub(super) const SLICE: usize = 1024;

/// What makes the text of the bytes of an answer.
pub(super) enum Unpack {
    /// They are the text.
    Plain,
    /// `gzip`.
    Gzip(MultiGzDecoder<Vec<u8>>),
    /// `deflate`, before its first byte: servers mean one of two things by it.
    Deflate,
    /// `deflate` as RFC 9110 has it.
    Zlib(ZlibDecoder<Vec<u8>>),
    /// `deflate` as some servers have it.
    Raw(DeflateDecoder<Vec<u8>>),
}

impl Unpack {
    /// By `Content-Encoding`.
    ///
    /// # Errors
    /// Its value, when it is not known.
    pub(super) fn of(response: &Response) -> Result<Self, String> {
        let mut given = response.headers().get_all("content-encoding").iter();
        let Some(encoding) = given.next() else { return Ok(Unpack::Plain) };
        let text = String::from_utf8_lossy(encoding.as_bytes()).trim().to_ascii_lowercase();
        match text.as_str() {
            _ if given.next().is_some() => Err("several encodings".to_owned()),
            "" | "identity" => Ok(Unpack::Plain),
            "gzip" | "x-gzip" => Ok(Unpack::Gzip(MultiGzDecoder::new(Vec::new()))),
            "deflate" => Ok(Unpack::Deflate),
            _ => Err(text),
        }
    }

    /// The text of the next bytes.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        if let (Unpack::Deflate, Some(first)) = (&*self, bytes.first()) {
            // The method of zlib's head is 8, its window at most 7.
            let zlib = first & 0x0f == 8 && first >> 4 <= 7;
            *self = if zlib {
                Unpack::Zlib(ZlibDecoder::new(Vec::new()))
            } else {
                Unpack::Raw(DeflateDecoder::new(Vec::new()))
            };
        }
        match self {
            Unpack::Plain | Unpack::Deflate => Ok(bytes.to_vec()),
            Unpack::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Unpack::Zlib(decoder) => {
                write_on(decoder, bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Unpack::Raw(decoder) => {
                write_on(decoder, bytes)?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }

    /// What was held back, once the answer is over and had a body.
    pub(super) fn finish(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Unpack::Plain | Unpack::Deflate => Ok(Vec::new()),
            Unpack::Gzip(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Unpack::Zlib(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
            Unpack::Raw(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()))
            }
        }
    }
}

/// Writes until the decoder has seen its end; what comes after it is nothing.
fn write_on(decoder: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match decoder.write(bytes)? {
            0 => return Ok(()),
            taken => bytes = &bytes[taken..],
        }
    }
    Ok(())
}
