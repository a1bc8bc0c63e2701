use std::fs;
use std::io::Write;

use super::super::{Checkpoints, Error, Source};

fn publish(checkpoints: &Checkpoints, name: &str, body: &[u8]) -> Source {
    let write = |out: &mut dyn Write| out.write_all(body);
    checkpoints.publish(name, b"head", write).unwrap()
}

fn read(source: &Source) -> Result<Vec<u8>, Error> {
    source.read(|head, body| {
        assert_eq!(head.as_ref(), b"head");
        let mut bytes = Vec::new();
        body.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    })
}

#[test]
fn the_newest_two_are_kept_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    for checkpoints in [Checkpoints::in_memory(), Checkpoints::open(dir.path()).unwrap()] {
        let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i / 7) as u8).collect();
        for (name, length) in [("1", 0), ("2", 1), ("3", 3_000_000)] {
            assert_eq!(
                read(&publish(&checkpoints, name, &body[..length])).unwrap(),
                body[..length]
            );
        }
        let names: Vec<_> = checkpoints.list().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["3", "2"]);
        checkpoints.set_aside("3").unwrap();
        assert_eq!(checkpoints.list().unwrap().len(), 1);
    }
}

#[test]
fn no_change_to_a_file_goes_unseen() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(dir.path()).unwrap();
    let source = publish(&checkpoints, "1", b"a body of some length");
    let Source::File(path) = &source else { panic!("not a file") };
    let good = fs::read(path).unwrap();
    for at in 0..good.len() {
        let mut spoilt = good.clone();
        spoilt[at] ^= 0x40;
        fs::write(path, spoilt).unwrap();
        assert!(read(&source).is_err(), "byte {at}");
        fs::write(path, &good[..at]).unwrap();
        assert!(read(&source).is_err(), "cut at {at}");
    }
    fs::write(path, &good).unwrap();
    read(&source).unwrap();
    // A reader that stops early is told of what it left.
    assert!(source.read(|_, _| Ok(())).is_err());
}

#[test]
fn a_failed_write_publishes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::open(dir.path()).unwrap();
    publish(&checkpoints, "1", b"first");
    let failing = |_: &mut dyn Write| Err(std::io::Error::other("on purpose"));
    assert!(checkpoints.publish("2", b"head", failing).is_err());
    assert_eq!(checkpoints.list().unwrap().len(), 1);
}
