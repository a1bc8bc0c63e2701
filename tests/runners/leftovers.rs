//! Children of an earlier boot.

use std::process::{Child, Command, Stdio};

use cronapi::executor::runner::reap_leftovers;

use crate::bench::*;

/// A sleeping process with a boot tag. It is the test's own child, so it stays a zombie
/// until waited for, and its number stays its own.
fn sleeper(tag: &str) -> Child {
    let mut command = Command::new("sleep");
    command.arg("1000").env("CRONAPI_BOOT", tag).stdin(Stdio::null());
    command.spawn().expect("started")
}

#[tokio::test]
async fn only_children_of_earlier_boots_of_this_node_are_killed() {
    let tag = format!("leftovers{}", std::process::id());
    let stale = [sleeper(&format!("{tag}/1")), sleeper(&format!("{tag}/2"))];
    let others = [
        sleeper(&format!("{tag}/3")),
        sleeper(&format!("{tag}b/1")),
        sleeper(&format!("x{tag}/1")),
        sleeper(&tag),
    ];
    let killed = reap_leftovers(&tag, &format!("{tag}/3"));
    assert_eq!(killed, 2);
    for mut child in stale {
        gone(child.id()).await;
        child.wait().expect("ended");
    }
    for mut child in others {
        assert!(is_running(child.id()));
        child.kill().expect("killed");
        child.wait().expect("ended");
    }
    assert_eq!(reap_leftovers(&tag, &format!("{tag}/3")), 0);
}

#[tokio::test]
async fn grandchildren_carry_the_tag() {
    let mut asked = shell("sh -c 'echo $$; exec sleep 1000'");
    asked.context.boot_tag = format!("grand{}/1", std::process::id());
    let mut running = start(asked);
    running.until("\n").await;
    let pid: u32 = running.out().trim().parse().expect("a number");
    let killed = reap_leftovers(&format!("grand{}", std::process::id()), "grand/2");
    assert!(killed >= 1, "{killed}");
    gone(pid).await;
    running.end().await;
}
