use std::fs;
use std::path::Path;

use super::super::{DataDirectory, DirectoryError, Identity};

fn write(path: &Path, wal: bool) -> (Identity, Vec<u8>) {
    let mut identity = Identity::generate(7).unwrap();
    (identity.cluster_id, identity.wal) = (Identity::new_cluster_id().unwrap(), wal);
    drop(DataDirectory::open(path, &identity).unwrap());
    (identity, fs::read(path.join("FORMAT")).unwrap())
}

#[test]
fn a_flip_of_any_bit_of_the_identity_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (identity, sound) = write(dir.path(), true);
    assert_eq!(DataDirectory::look(dir.path()).unwrap(), Some(identity));
    let json: serde_json::Value = serde_json::from_slice(&sound).unwrap();
    assert!(json["check"].is_string() && json["node_id"].is_u64(), "{json}");
    for bit in 0..sound.len() * 8 {
        let mut bytes = sound.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(dir.path().join("FORMAT"), &bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let refused = DataDirectory::look(dir.path());
        assert!(matches!(refused, Err(DirectoryError::Damaged { .. })), "bit {bit}: {text}");
    }
    for length in 0..sound.len() {
        fs::write(dir.path().join("FORMAT"), &sound[..length]).unwrap();
        assert!(DataDirectory::look(dir.path()).is_err(), "cut to {length} bytes");
    }
}

#[test]
fn a_directory_from_before_the_checksum_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let old = r#"{"format": 4, "cluster_id": "c", "node_id": 77, "created_ms": 1}"#;
    fs::write(dir.path().join("FORMAT"), old).unwrap();
    let identity = DataDirectory::look(dir.path()).unwrap().unwrap();
    assert_eq!((identity.node_id, identity.wal), (77, false));
    fs::write(dir.path().join("FORMAT"), old.replace('4', "5")).unwrap();
    let text = DataDirectory::look(dir.path()).unwrap_err().to_string();
    assert!(text.contains("checksum is missing"), "{text}");
}
