//! Bytes of version 1: what was once written must be read by every later version.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::{CommittedLeaderId, EntryPayload};

use super::super::convert::{self, Head};
use super::super::types::{Entry, LogId, Membership, Node, SnapshotMeta, StoredMembership, Vote};

const VOTE: &str = "010807104d1801";
const LOG_ID: &str = "010803104d182a";
const BLANK: &str = "010a060803104d182a1200";
const MEMBERSHIP: &str = "010a060803104d182a22210a030a014d0a040a024d4e12080804120474683a3912060\
                          84d1202613a1202084e";
const HEAD: &str = "010a060803104d182a12060803104d18071a210a030a014d0a040a024d4e120808041204746\
                    83a391206084d1202613a1202084e2203612d622801";

fn hex(bytes: &Bytes) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn log_id(index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(3, 77), index)
}

fn membership() -> Membership {
    let configs = vec![BTreeSet::from([77]), BTreeSet::from([77, 78])];
    let node = |addr: &str| Node { addr: addr.to_owned() };
    let nodes = BTreeMap::from([(4, node("th:9")), (77, node("a:")), (78, Node::default())]);
    Membership::new(configs, nodes)
}

#[test]
fn the_vote_and_the_marks_keep_their_bytes() {
    let vote = Vote::new_committed(7, 77);
    assert_eq!(hex(&convert::seal_vote(&vote)), VOTE);
    assert_eq!(convert::open_vote(bytes(VOTE)).unwrap(), vote);
    assert_eq!(hex(&convert::seal_log_id(&log_id(42))), LOG_ID);
    assert_eq!(convert::open_log_id(bytes(LOG_ID)).unwrap(), log_id(42));
}

#[test]
fn entries_keep_their_bytes() {
    let blank = Entry { log_id: log_id(42), payload: EntryPayload::Blank };
    assert_eq!(hex(&convert::seal_entry(&blank)), BLANK);
    assert_eq!(convert::open_entry(bytes(BLANK)).unwrap().log_id, log_id(42));
    let payload = EntryPayload::Membership(membership());
    let entry = Entry { log_id: log_id(42), payload };
    assert_eq!(hex(&convert::seal_entry(&entry)), MEMBERSHIP);
    let back = convert::open_entry(bytes(MEMBERSHIP)).unwrap();
    let EntryPayload::Membership(back) = back.payload else { panic!("another payload") };
    assert_eq!(back, membership());
}

#[test]
fn the_head_of_a_checkpoint_keeps_its_bytes() {
    let meta = SnapshotMeta {
        last_log_id: Some(log_id(42)),
        last_membership: StoredMembership::new(Some(log_id(7)), membership()),
        snapshot_id: "a-b".to_owned(),
    };
    let head = Head { meta, installed: true, generation: 0 };
    assert_eq!(hex(&convert::seal_head(&head)), HEAD);
    assert_eq!(convert::open_head(bytes(HEAD)).unwrap(), head);
    let later = Head { generation: 300, ..head };
    assert_eq!(hex(&convert::seal_head(&later)), format!("{HEAD}30ac02"));
    assert_eq!(convert::open_head(bytes(&format!("{HEAD}30ac02"))).unwrap(), later);
}
