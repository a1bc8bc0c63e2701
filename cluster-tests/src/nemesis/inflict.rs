//! Faults are done, and undone.

use std::time::Duration;

use tokio::time::sleep;

use super::fault::{Fault, Planned, Who};
use crate::harness::Cluster;
use crate::harness::lab::Link;
use crate::moment::Moment;

/// Inflicts the faults in their order, each until it is over.
///
/// # Panics
/// A node does not come back: there is nothing to check then.
pub async fn run(cluster: Cluster, plan: Vec<Planned>, begin: Moment, talk: bool) {
    for planned in &plan {
        let at = i64::try_from(planned.at.as_millis()).unwrap_or(i64::MAX);
        // The time of the fault, not a wait for something.
        sleep(begin.plus_ms(at).ahead()).await;
        let from = Moment::now();
        if talk {
            println!("{from}  {planned}");
        }
        let told = inflict(&cluster, planned).await;
        let until = Moment::now();
        if talk {
            println!("{until}           healed{told}");
        }
        cluster.disturbed(format!("{planned}{told}"), from, until);
    }
}

/// The number of a node that was named.
async fn resolve(cluster: &Cluster, who: Who) -> usize {
    match who {
        Who::Node(node) => node,
        Who::Leader(otherwise) => cluster.leader().await.unwrap_or(otherwise),
    }
}

/// Gives what the plan did not know: which node it was.
async fn inflict(cluster: &Cluster, planned: &Planned) -> String {
    let lasts = planned.lasts;
    match &planned.fault {
        Fault::Kill(who) | Fault::KillTwice { who, .. } | Fault::Stop(who) => {
            let node = resolve(cluster, *who).await;
            end_and_start(cluster, node, planned).await;
            format!(": node {node}")
        }
        Fault::Freeze(who) => {
            let node = resolve(cluster, *who).await;
            cluster.freeze(node, true).await;
            sleep(lasts).await;
            cluster.freeze(node, false).await;
            format!(": node {node}")
        }
        Fault::Clock { who, seconds } => {
            let node = resolve(cluster, *who).await;
            cluster.set_clock(node, *seconds).await;
            sleep(lasts).await;
            cluster.set_clock(node, 0).await;
            format!(": node {node}")
        }
        Fault::DiskFull(who) => {
            let node = resolve(cluster, *who).await;
            cluster.fill_disk(node, true).await;
            sleep(lasts).await;
            cluster.fill_disk(node, false).await;
            let gave_up = !cluster.runs(node).await;
            // What gave up is started by whoever looks after it.
            cluster.up(node).await;
            format!(": node {node}{}", if gave_up { ", which ended" } else { "" })
        }
        Fault::SlowSync { who, ms } => {
            let node = resolve(cluster, *who).await;
            cluster.set_sync_pause(node, Duration::from_millis((*ms).into())).await;
            sleep(lasts).await;
            cluster.set_sync_pause(node, Duration::ZERO).await;
            format!(": node {node}")
        }
        Fault::Rolling => {
            for node in 0..cluster.size() {
                cluster.terminate(node).await;
                cluster.up(node).await;
                cluster.wait_whole().await;
            }
            String::new()
        }
        Fault::Transfer => match cluster.transfer().await {
            Ok(()) => String::new(),
            Err(error) => format!(": {error}"),
        },
        Fault::Replace(_) | Fault::Wipe(_) | Fault::Grow => membership(cluster, planned).await,
        _ => links(cluster, planned).await,
    }
}

async fn end_and_start(cluster: &Cluster, node: usize, planned: &Planned) {
    match planned.fault {
        Fault::Stop(_) => cluster.terminate(node).await,
        _ => cluster.kill(node).await,
    }
    if let Fault::KillTwice { after, .. } = planned.fault {
        cluster.up_and_kill(node, after).await;
    } else {
        sleep(planned.lasts).await;
    }
    cluster.up(node).await;
}

async fn links(cluster: &Cluster, planned: &Planned) -> String {
    let lab = cluster.lab();
    let every = |link: Link| {
        for from in 0..cluster.size() {
            for to in (0..cluster.size()).filter(|to| *to != from) {
                lab.set(from, to, link)?;
            }
        }
        Ok(())
    };
    let mut told = String::new();
    let done = match &planned.fault {
        Fault::Isolate(who) => {
            let node = resolve(cluster, *who).await;
            told = format!(": node {node}");
            lab.isolate(node)
        }
        Fault::Part(side) => lab.part(side),
        Fault::OneWay { from, to } => {
            let from = resolve(cluster, *from).await;
            let to = if *to == from { (from + 1) % cluster.size() } else { *to };
            told = format!(": from {from} to {to}");
            lab.set(from, to, Link { cut: true, ..Link::default() })
        }
        Fault::Loss { percent } => every(Link { loss_percent: *percent, ..Link::default() }),
        Fault::Delay { ms, jitter_ms } => {
            every(Link { delay_ms: *ms, jitter_ms: *jitter_ms, ..Link::default() })
        }
        other => Err(format!("{other:?} is not done to links")),
    };
    done.expect("a lab that was made can be used");
    sleep(planned.lasts).await;
    lab.heal().expect("a lab that was made can be used");
    told
}

/// # Panics
/// The cluster refuses, or a new node does not become a member.
async fn membership(cluster: &Cluster, planned: &Planned) -> String {
    let node = match planned.fault {
        Fault::Replace(node) | Fault::Wipe(node) => node,
        _ => cluster.size(),
    };
    let id_of = async || {
        let members = cluster.members().await;
        members.into_iter().find(|(_, at)| *at == node).map(|(id, _)| id)
    };
    match planned.fault {
        Fault::Grow => {
            cluster.up(node).await;
            cluster.wait_whole().await;
            sleep(planned.lasts).await;
            let member = id_of().await;
            cluster.terminate(node).await;
            if let Some(member) = member {
                cluster.remove(&member).await.expect("a member may leave");
            }
            cluster.wipe(node).await;
        }
        _ => {
            let member = id_of().await;
            cluster.kill(node).await;
            if let (Fault::Replace(_), Some(member)) = (&planned.fault, &member) {
                cluster.remove(member).await.expect("a member may leave");
            }
            sleep(planned.lasts).await;
            cluster.wipe(node).await;
            cluster.up(node).await;
            cluster.wait_whole().await;
        }
    }
    format!(": node {node}")
}
