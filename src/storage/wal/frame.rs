//! The header of a group: what makes its length, its place and its body trusted.

use bytes::{Buf, BufMut};

/// Bytes of a group's header.
pub(super) const HEADER: usize = 48;
/// Groups begin at multiples of this.
pub(super) const ALIGN: usize = 8;
/// A body larger than this is no body.
const BODY_MAX: u32 = 1024 * 1024 * 1024;
const MAGIC: u32 = u32::from_le_bytes(*b"\xc7GRP");

/// A group's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Bytes of its body.
    pub length: u32,
    /// Which log it is of: a number that was drawn when that log began.
    pub log: u64,
    /// Its number; each is one more than the one before.
    pub number: u64,
    /// The last group that was durable when this one was written.
    pub synced: u64,
    /// The checksum of the header of the group before.
    pub before: u32,
    /// The checksum of its body.
    pub body: u32,
}

impl Group {
    /// Writes the header to the beginning of `to`; gives its checksum.
    pub fn write(&self, to: &mut [u8]) -> u32 {
        let Some(mut out) = to.get_mut(..HEADER) else { return 0 };
        out.put_u32_le(MAGIC);
        out.put_u32_le(self.length);
        out.put_u64_le(self.log);
        out.put_u64_le(self.number);
        out.put_u64_le(self.synced);
        out.put_u32_le(self.before);
        out.put_u32_le(self.body);
        out.put_u32_le(0);
        let checksum = crc32fast::hash(to.get(..HEADER - 4).unwrap_or_default());
        if let Some(mut out) = to.get_mut(HEADER - 4..HEADER) {
            out.put_u32_le(checksum);
        }
        checksum
    }

    /// Reads a header and its checksum; none: it is not one, or damaged.
    pub fn read(from: &[u8]) -> Option<(Self, u32)> {
        let mut from = from.get(..HEADER)?;
        if from.get(..4)? != MAGIC.to_le_bytes() {
            return None;
        }
        let checksum = crc32fast::hash(from.get(..HEADER - 4)?);
        from.advance(4);
        let (length, log, number, synced) =
            (from.get_u32_le(), from.get_u64_le(), from.get_u64_le(), from.get_u64_le());
        let (before, body) = (from.get_u32_le(), from.get_u32_le());
        let reserved = from.get_u32_le();
        let sound = checksum == from.get_u32_le() && length <= BODY_MAX && reserved == 0;
        sound.then_some((Self { length, log, number, synced, before, body }, checksum))
    }

    /// Bytes of the whole group, with what it is filled up with.
    pub fn span(&self) -> u64 {
        padded(HEADER + self.length as usize) as u64
    }
}

/// The next multiple of [`ALIGN`].
pub(super) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}

/// The last group that was durable, as the groups of log `log` in `bytes` say which can be read,
/// wherever they begin.
pub(super) fn proven(bytes: &[u8], log: u64) -> Option<u64> {
    let mut last = None;
    for at in (0..bytes.len()).step_by(ALIGN) {
        let Some(here) = bytes.get(at..) else { break };
        if here.starts_with(&MAGIC.to_le_bytes())
            && let Some((group, _)) = Group::read(here)
            && group.log == log
        {
            last = last.max(Some(group.synced));
        }
    }
    last
}
