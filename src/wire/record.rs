//! The version byte before every stored message.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use super::Error;

/// The format written today; anything up to it can be read.
const VERSION: u8 = 1;

/// Encodes a message behind its version byte.
pub fn seal(message: &impl Message) -> Bytes {
    let mut bytes = BytesMut::with_capacity(1 + message.encoded_len());
    bytes.put_u8(VERSION);
    // Writing to growable memory can't fail for want of room, the only error there is.
    let written = message.encode(&mut bytes);
    debug_assert!(written.is_ok());
    bytes.freeze()
}

/// Decodes what [`seal`] wrote, in this version of the program or an older one.
///
/// # Errors
/// The record is empty, newer than this program, or malformed.
pub fn open<M: Message + Default>(record: Bytes) -> Result<M, Error> {
    match record.first() {
        None => Err(Error::Empty),
        Some(&found) if found == 0 || found > VERSION => {
            let (found, newest) = (u32::from(found), u32::from(VERSION));
            Err(Error::Version { what: "record", found, newest })
        }
        Some(_) => Ok(M::decode(record.slice(1..))?),
    }
}

#[cfg(test)]
mod tests {
    use super::super::proto;
    use super::*;

    #[test]
    fn a_sealed_record_opens() {
        let vote = proto::Vote { term: 7, node: 9, committed: true };
        let back: proto::Vote = open(seal(&vote)).unwrap();
        assert_eq!(vote, back);
    }

    #[test]
    fn newer_and_empty_records_are_refused() {
        let newer = Bytes::from_static(&[VERSION + 1, 8, 7]);
        assert!(matches!(open::<proto::Vote>(newer), Err(Error::Version { found: 2, .. })));
        assert!(matches!(open::<proto::Vote>(Bytes::new()), Err(Error::Empty)));
    }
}
