//! A slow disk makes all of it slow: it deposes no leader, and an election ends.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster_tests::harness::cluster::Shape;
use cluster_tests::harness::{Cluster, Sandbox};

use super::watched::Watched;

/// How long no election may be seen.
const WATCHED: Duration = Duration::from_secs(20);
/// What an election and a write may take where disks are quick.
const QUICK: Duration = Duration::from_secs(5);
/// And how many times a sync. A write of the engine syncs more than once.
const SYNCS: u32 = 50;

async fn slow(sandbox: &Sandbox, pauses_ms: &[u64]) {
    let shape = Shape { shim: true, ..Shape::loopback(3) };
    let cluster = Cluster::make(sandbox, shape).expect("loopback and a C compiler are there");
    let watched = Watched::start(cluster).await;
    let cluster = &watched.cluster;
    for pause in pauses_ms.iter().copied().map(Duration::from_millis) {
        for node in cluster.indexes() {
            cluster.set_sync_pause(node, pause).await;
        }
        let write = watched.no_election(WATCHED, &format!("{pause:?} more a sync")).await;
        let took = watched.fail_over().await;
        println!("{pause:?} more a sync: a write took {write:?} at most, the fail-over {took:?}");
        assert!(took < QUICK + SYNCS * pause, "{pause:?} more a sync: it took {took:?}");
        cluster.heal().await;
    }
}

#[tokio::test]
async fn a_sync_of_60_and_120_ms_deposes_no_leader_and_hinders_no_election() {
    slow(&Sandbox::new(), &[60, 120]).await;
}

#[tokio::test]
async fn a_sync_of_250_and_500_ms_deposes_no_leader_and_hinders_no_election() {
    slow(&Sandbox::new(), &[250, 500]).await;
}

/// Writes and syncs big files beside the nodes until it is dropped.
struct Neighbour(Child);

/// Megabytes of a file; it is written again and again.
const MEGABYTES: u32 = 300;

impl Neighbour {
    fn moves_in(sandbox: &Sandbox) -> Neighbour {
        let file = sandbox.path().join("neighbour").display().to_string();
        let again = r#"while :; do dd if=/dev/zero of="$0" bs=1M count="$1" conv=fsync; done"#;
        let mut command = Command::new("timeout");
        command.args(["60", "/bin/sh", "-c", again, &file, &MEGABYTES.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // Found and ended with the sandbox, whatever becomes of the test.
        command.env("TMPDIR", sandbox.tmp());
        Neighbour(command.spawn().expect("coreutils are there"))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // An error says that it has ended; its child goes with the sandbox.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_neighbour_that_keeps_the_disk_busy_deposes_no_leader() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::make(&sandbox, Shape::loopback(3)).expect("loopback is everywhere");
    let watched = Watched::start(cluster).await;
    let neighbour = Neighbour::moves_in(&sandbox);
    let write = watched.no_election(WATCHED, "beside a busy neighbour").await;
    println!("beside a busy neighbour: a write took {write:?} at most");
    drop(neighbour);
}
