//! The leader is killed, again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::bed::Bed;
use crate::outage::{self, Noticed};
use crate::{Failure, Scale};

/// Between two kills, once the node is back and has caught up.
const REST: Duration = Duration::from_millis(500);

/// Kills the leader, lets the others go on, and starts it again.
pub async fn run(scale: Scale) -> Result<(), Failure> {
    let kills = scale.pick(5, 100);
    let bed = Bed::start(scale).await?;
    outage::prepare(&bed).await?;
    let mut all: Vec<Noticed> = Vec::new();
    let mut back = Vec::new();
    for _ in 0..kills {
        let leader = bed.leader().await?;
        let kill = async || {
            bed.cluster.kill(leader).await;
            Ok(())
        };
        all.push(outage::watch(&bed, leader, kill).await?);
        let begin = Instant::now();
        bed.cluster.up(leader).await;
        bed.whole().await?;
        back.push(begin.elapsed().as_secs_f64());
        sleep(REST).await;
    }
    outage::tell("kill -9 of the leader", &all);
    let back = crate::stats::Spread::of(back);
    println!("back and caught up after {:.2} s, at most {:.2} s", back.median, back.most);
    bed.end().await;
    Ok(())
}
