use std::sync::Arc;

use super::super::kv::end_of;
use super::super::{Direction, Error, Kv, Limits, MemoryKv, Profile, SledKv, Writes};
use super::both;

fn put(kv: &dyn Kv, keys: &[&str]) {
    let mut writes = Writes::default();
    keys.iter().for_each(|key| writes.put(key.as_bytes().to_vec(), key.as_bytes().to_vec()));
    kv.write(writes).unwrap();
}

#[test]
fn scans_go_both_ways_and_stop_at_their_bounds() {
    let (_dir, kvs) = both(Profile::State);
    for kv in kvs {
        put(kv.as_ref(), &["a", "b", "c", "d"]);
        let names = |from: &str, to: &str, direction, limit| {
            let found = kv.scan(from.as_bytes(), to.as_bytes(), direction, limit).unwrap();
            found.iter().map(|(k, _)| String::from_utf8_lossy(k).into_owned()).collect::<String>()
        };
        assert_eq!(names("b", "d", Direction::Forward, 9), "bc");
        assert_eq!(names("a", "z", Direction::Backward, 2), "dc");
        assert_eq!(names("a", "z", Direction::Forward, 0), "");
        assert_eq!(names("c", "a", Direction::Forward, 9), "", "an inverted range is empty");
        assert_eq!(kv.keys(b"b", b"z", 2).unwrap(), [b"b", b"c"]);
    }
}

#[test]
fn values_over_the_bound_are_an_error_and_nothing_is_written() {
    for profile in [Profile::Log, Profile::State] {
        let (_dir, kvs) = both(profile);
        for kv in kvs {
            let mut writes = Writes::default();
            writes.put(b"fits".to_vec(), vec![0; profile.limits().value]);
            writes.put(b"too large".to_vec(), vec![0; profile.limits().value + 1]);
            assert!(matches!(kv.write(writes), Err(Error::TooLarge { what: "a value", .. })));
            assert!(kv.get(b"fits").unwrap().is_none());
        }
    }
}

#[test]
fn values_at_the_bound_stay_out_of_the_unsynced_files() {
    for profile in [Profile::Log, Profile::State] {
        let (_dir, kvs) = both(profile);
        for kv in kvs {
            for n in 0..150_u32 {
                let mut writes = Writes::default();
                // Not compressible, and not alike.
                let byte = |i: u32| (i.wrapping_mul(2_654_435_761) ^ n.wrapping_mul(97)) as u8;
                let value: Vec<u8> = (0..profile.limits().value as u32).map(byte).collect();
                writes.put(n.to_be_bytes().to_vec(), value);
                kv.write(writes).unwrap();
                kv.flush_durable().unwrap();
            }
            kv.health().unwrap();
        }
    }
}

#[test]
fn a_crash_in_memory_keeps_what_was_flushed() {
    let kv = MemoryKv::new(Limits::STATE);
    put(&kv, &["kept"]);
    kv.flush_durable().unwrap();
    put(&kv, &["lost"]);
    kv.crash();
    assert!(kv.get(b"kept").unwrap().is_some() && kv.get(b"lost").unwrap().is_none());
}

#[test]
fn the_end_of_a_prefix_lies_above_all_its_keys() {
    assert_eq!(end_of(b"ab"), b"ac");
    assert_eq!(end_of(&[7, 0xff, 0xff]), [8]);
    assert!(end_of(&[0xff]) > vec![0xff; 900]);
}

#[test]
fn a_file_that_the_engine_never_syncs_is_noticed_and_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let open = || SledKv::open(dir.path(), Profile::State, Arc::new(())).unwrap();
    let kv = open();
    // A tree node holds several values; this many large ones under long keys overflow it.
    for n in 0..64_u8 {
        let mut writes = Writes::default();
        let mut key = vec![0; 1000];
        key.push(n);
        writes.put(key, vec![n; 6 * 1024]);
        kv.write(writes).unwrap();
        kv.flush_durable().unwrap();
    }
    kv.health().unwrap();
    std::fs::create_dir_all(dir.path().join("blobs")).unwrap();
    std::fs::write(dir.path().join("blobs/12345"), b"strange").unwrap();
    assert!(kv.health().is_err());
    kv.flush_durable().unwrap();
    drop(kv);
    assert_eq!(open().keys(&[0], &[1], usize::MAX).unwrap().len(), 64);
}
