use bytes::Bytes;

use super::{Amount, Decoder, Encoder, Error, Header, Part, Piece};
use crate::wire::proto::HistoryRow;

fn row(n: u8) -> HistoryRow {
    HistoryRow { key: vec![n].into(), value: vec![n; 3].into() }
}

fn parts() -> Vec<Part> {
    vec![
        Part::Checkpoint(Bytes::from_static(b"half a checkpoint ")),
        Part::Checkpoint(Bytes::from_static(b"and the rest")),
        Part::Rows(vec![row(1), row(2)]),
        Part::Rows(vec![row(3)]),
    ]
}

fn header() -> Header {
    Header::new("here".to_owned(), 7, 42)
}

fn file(passphrase: Option<&str>) -> Vec<u8> {
    let (mut encoder, first) = Encoder::begin(&header(), passphrase).unwrap();
    let mut bytes = first.to_vec();
    for part in parts() {
        bytes.extend(encoder.part(part).unwrap());
    }
    bytes.extend(encoder.end().unwrap());
    bytes
}

fn read(bytes: &[u8], passphrase: Option<&str>, step: usize) -> Result<Vec<Piece>, Error> {
    let mut decoder = Decoder::new(passphrase);
    let mut pieces = Vec::new();
    for chunk in bytes.chunks(step) {
        pieces.extend(decoder.push(chunk)?);
    }
    let amount = decoder.finish()?;
    assert_eq!(amount, Amount { checkpoint_bytes: 30, rows: 3 });
    Ok(pieces)
}

#[test]
fn what_was_written_is_read_whatever_the_pieces() {
    for passphrase in [None, Some("a long passphrase")] {
        let bytes = file(passphrase);
        for step in [1, 7, bytes.len()] {
            if passphrase.is_some() && step == 7 {
                continue;
            }
            let mut pieces = read(&bytes, passphrase, step).unwrap().into_iter();
            let Some(Piece::Header(read)) = pieces.next() else { panic!("no header") };
            assert_eq!(Header { sealed: None, ..read.clone() }, header());
            assert_eq!(read.sealed.is_some(), passphrase.is_some());
            assert!(pieces.eq(parts().into_iter().map(Piece::Part)));
        }
    }
}

#[test]
fn no_byte_can_be_changed_and_none_left_out() {
    let bytes = file(None);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(read(&changed, None, usize::MAX).is_err(), "byte {at} was changed");
        assert!(read(&bytes[..at], None, usize::MAX).is_err(), "cut at byte {at}");
    }
    let more = [&bytes[..], b"x"].concat();
    assert!(read(&more, None, usize::MAX).is_err());
}

#[test]
fn a_sealed_file_shows_nothing_and_takes_its_passphrase_only() {
    let bytes = file(Some("right"));
    assert!(!bytes.windows(10).any(|window| window == b"checkpoint"));
    assert!(matches!(read(&bytes, None, usize::MAX), Err(Error::PassphraseNeeded)));
    assert!(matches!(read(&bytes, Some("wrong"), usize::MAX), Err(Error::PassphraseWrong(0))));
    let plain = file(None);
    assert!(matches!(read(&plain, Some("right"), usize::MAX), Err(Error::NotSealed)), "put there");
    let mut outside = Decoder::new(None).outside_only();
    assert_eq!(outside.push(&bytes).unwrap().len(), 1, "its header, and nothing else");
    outside.finish().unwrap();
}

#[test]
fn a_newer_file_is_refused_as_such() {
    let newer = Header { format: 2, program: "9.9".to_owned(), ..header() };
    let (encoder, first) = Encoder::begin(&newer, None).unwrap();
    let bytes = [&first[..], &encoder.end().unwrap()].concat();
    let refused = read(&bytes, None, usize::MAX).unwrap_err();
    assert!(refused.to_string().contains("9.9"), "{refused}");
}
