//! A follower whose log is damaged: it never votes with it, and is sent everything anew.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::super::{MemberError, Options, Reach, Role, Tcp, open};
use super::fixture::{NOW_MS, accepted, numbered, numbers};

const PATIENCE: Duration = Duration::from_secs(20);

fn options(path: &Path, listen: &str, join: &[&str]) -> Options {
    let (listen, advertise) = (listen.to_owned(), None);
    Options {
        reach: Some(Reach { transport: Arc::new(Tcp), listen, advertise }),
        join: join.iter().map(|addr| (*addr).to_owned()).collect(),
        ..Options::new(path, NOW_MS)
    }
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, until).await.is_ok(), "{what}");
}

fn segments(path: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(path.join("wal")).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|file| file.extension().is_some_and(|end| end == "log")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_damage_is_sent_everything_by_the_others_under_another_name() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, three] = ["1", "2", "3"].map(|name| dir.path().join(name));
    let first = open(options(&one, "127.0.0.1:0", &[])).await.unwrap();
    let second = open(options(&two, "127.0.0.1:0", &[first.addr()])).await.unwrap();
    let third = open(options(&three, "127.0.0.1:0", &[first.addr()])).await.unwrap();
    for node in [&second, &third] {
        eventually("it votes", || node.status().role == Role::Follower).await;
    }
    for n in 10..40 {
        assert!(accepted(&first.submit(numbered(n)).await.unwrap().answer));
    }
    eventually("it applies all", || numbers(&third.state()).len() == 30).await;
    let refused = first.admit(99, third.addr().to_owned()).await;
    assert!(matches!(refused, Err(MemberError::Refused(_))), "{refused:?}");
    let (addr, gone) = (third.addr().to_owned(), third.node_id());
    third.shutdown().await.unwrap();

    let [segment] = segments(&three).try_into().unwrap();
    let bytes = fs::read(&segment).unwrap();
    let at = bytes.windows(3).position(|window| window == b"n25").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(b"N", at as u64).unwrap();
    let again = || options(&three, &addr, &[first.addr()]);
    let text = open(again()).await.err().unwrap().to_string();
    assert!(text.contains("at byte") && text.contains("--join"), "{text}");

    let anew = open(Options { move_aside_damaged: true, ..again() }).await.unwrap();
    assert_ne!(anew.node_id(), gone);
    eventually("it is sent all", || numbers(&anew.state()) == numbers(&first.state())).await;
    let has_place = || {
        let members = first.members_told();
        let votes = |id| members.iter().any(|member| member.node == id && member.voter);
        votes(anew.node_id()) && members.iter().all(|member| member.node != gone)
    };
    eventually("it has the place of the one that is gone", has_place).await;
    eventually("it knows that it votes", || anew.status().role == Role::Follower).await;
    for node in [first, second, anew] {
        node.shutdown().await.unwrap();
    }
}
