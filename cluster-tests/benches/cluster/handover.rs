//! The leader goes in order: it is told to stop, or to let another lead.

use std::time::Duration;

use hyper::Method;
use tokio::time::sleep;

use crate::bed::Bed;
use crate::outage::{self, Noticed};
use crate::{Failure, Scale};

/// Between two.
const REST: Duration = Duration::from_millis(500);

/// Stops by signal, hand-overs by request, and nothing at all for comparison.
pub async fn run(scale: Scale) -> Result<(), Failure> {
    let times = scale.pick(5, 50);
    let bed = Bed::start(scale).await?;
    outage::prepare(&bed).await?;
    let mut quiet: Vec<Noticed> = Vec::new();
    for _ in 0..scale.pick(3, 10) {
        let leader = bed.leader().await?;
        quiet.push(outage::watch(&bed, leader, async || Ok(())).await?);
    }
    outage::tell("nothing", &quiet);
    let mut stops = Vec::new();
    for _ in 0..times {
        let leader = bed.leader().await?;
        let stop = async || {
            bed.cluster.terminate(leader).await;
            Ok(())
        };
        stops.push(outage::watch(&bed, leader, stop).await?);
        bed.cluster.up(leader).await;
        bed.whole().await?;
        sleep(REST).await;
    }
    outage::tell("SIGTERM to the leader", &stops);
    let mut passed = Vec::new();
    for _ in 0..times {
        let leader = bed.leader().await?;
        let mut line = bed.line(leader).await?;
        let pass = async || {
            line.done(Method::POST, "/cluster/transfer", "{}".into()).await?;
            Ok(())
        };
        passed.push(outage::watch(&bed, leader, pass).await?);
        sleep(REST).await;
    }
    outage::tell("POST /cluster/transfer", &passed);
    for fault in bed.cluster.faults() {
        println!("{fault}");
    }
    bed.end().await;
    Ok(())
}
