//! A stream cut into frames, each with a checksum, so damage is found before it is believed.
//!
//! Magic (8 bytes), then frames of length and CRC-32 (4 bytes each, little-endian) and payload;
//! a frame of length 0, whose checksum covers the count of payload bytes, ends it.

use std::io::{self, Read, Write};

const MAGIC: &[u8; 8] = b"CRNAPCP1";
/// Payload bytes in a frame.
const FRAME_BYTES: usize = 1024 * 1024;

/// Writes frames; call [`FrameWriter::finish`], or readers will find the stream cut short.
pub(super) struct FrameWriter<W: Write> {
    inner: W,
    frame: Vec<u8>,
    total: u64,
}

impl<W: Write> FrameWriter<W> {
    pub fn begin(mut inner: W) -> io::Result<Self> {
        inner.write_all(MAGIC)?;
        Ok(Self { inner, frame: Vec::with_capacity(FRAME_BYTES), total: 0 })
    }

    pub fn finish(mut self) -> io::Result<W> {
        self.end_frame()?;
        let checksum = crc32fast::hash(&self.total.to_le_bytes());
        self.inner.write_all(&0_u32.to_le_bytes())?;
        self.inner.write_all(&checksum.to_le_bytes())?;
        self.inner.flush()?;
        Ok(self.inner)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        if self.frame.is_empty() {
            return Ok(());
        }
        self.inner.write_all(&(self.frame.len() as u32).to_le_bytes())?;
        self.inner.write_all(&crc32fast::hash(&self.frame).to_le_bytes())?;
        self.inner.write_all(&self.frame)?;
        self.total += self.frame.len() as u64;
        self.frame.clear();
        Ok(())
    }
}

impl<W: Write> Write for FrameWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(FRAME_BYTES - self.frame.len());
        self.frame.extend_from_slice(&bytes[..taken]);
        if self.frame.len() == FRAME_BYTES {
            self.end_frame()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads frames, giving out no byte whose checksum it has not seen.
pub(super) struct FrameReader<R: Read> {
    inner: R,
    frame: Vec<u8>,
    at: usize,
    total: u64,
    ended: bool,
}

impl<R: Read> FrameReader<R> {
    pub fn begin(mut inner: R) -> io::Result<Self> {
        let mut magic = [0; 8];
        inner.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(damaged("it does not begin as a checkpoint does"));
        }
        Ok(Self { inner, frame: Vec::new(), at: 0, total: 0, ended: false })
    }

    /// Checks that everything was read, down to the end mark.
    pub fn finish(mut self) -> io::Result<()> {
        let mut more = [0];
        if self.read(&mut more)? != 0 {
            return Err(damaged("there is more than was expected"));
        }
        Ok(())
    }

    fn next_frame(&mut self) -> io::Result<()> {
        let length = self.read_u32()? as usize;
        let checksum = self.read_u32()?;
        if length == 0 {
            if checksum != crc32fast::hash(&self.total.to_le_bytes()) {
                return Err(damaged("its end does not match"));
            }
            self.ended = true;
            return Ok(());
        }
        if length > FRAME_BYTES {
            return Err(damaged("a frame is too long"));
        }
        self.frame.resize(length, 0);
        self.inner.read_exact(&mut self.frame)?;
        if crc32fast::hash(&self.frame) != checksum {
            return Err(damaged("a checksum does not match"));
        }
        self.at = 0;
        self.total += length as u64;
        Ok(())
    }

    fn read_u32(&mut self) -> io::Result<u32> {
        let mut bytes = [0; 4];
        self.inner.read_exact(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }
}

impl<R: Read> Read for FrameReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.frame.len() && !self.ended && !into.is_empty() {
            self.frame.clear();
            self.at = 0;
            self.next_frame()?;
        }
        let taken = into.len().min(self.frame.len() - self.at);
        into[..taken].copy_from_slice(&self.frame[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    fn whole(payload: &[u8]) -> Vec<u8> {
        let mut writer = FrameWriter::begin(Vec::new()).unwrap();
        writer.write_all(payload).unwrap();
        writer.finish().unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut reader = FrameReader::begin(bytes)?;
        let mut all = Vec::new();
        reader.read_to_end(&mut all)?;
        reader.finish()?;
        Ok(all)
    }

    proptest! {
        #[test]
        fn a_stream_that_was_bent_is_refused(
            payload in prop::collection::vec(any::<u8>(), 0..3_000),
            at: Index,
            flip in 1_u8..,
            cut: bool,
        ) {
            let right = whole(&payload);
            prop_assert_eq!(read(&right).unwrap(), payload.clone());
            let mut bent = right.clone();
            let at = at.index(bent.len());
            if cut { bent.truncate(at) } else { bent[at] ^= flip }
            prop_assert!(read(&bent).is_err());
        }

        #[test]
        fn bytes_at_random_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut begun = MAGIC.to_vec();
            begun.extend_from_slice(&bytes);
            prop_assert!(read(&bytes).is_err() || bytes.starts_with(MAGIC));
            let _ = read(&begun);
        }
    }
}
