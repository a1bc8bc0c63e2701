//! Faults, at times drawn from a seed.
//!
//! To add one: a variant of [`Fault`], its place in `draw`, and what it does in `inflict`.

use std::time::Duration;

use tokio::time::sleep;

use crate::harness::Cluster;
use crate::moment::Moment;
use crate::random::Random;

/// What is done to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Killed, and started again after a while.
    Kill {
        /// Down for so long.
        down: Duration,
    },
    /// Killed, started, killed `after` so long whether it was ready or not, started.
    KillTwice {
        /// From the second start to the second kill.
        after: Duration,
    },
    /// Asked to stop, and started again after a while.
    Restart {
        /// Down for so long.
        down: Duration,
    },
}

/// A fault and its time, counted from the begin of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// From the begin.
    pub at: Duration,
    /// To which node, from 0.
    pub node: usize,
    /// What.
    pub fault: Fault,
}

/// How many kills and orderly restarts.
#[derive(Clone, Copy, Debug)]
pub struct Dose {
    /// Kills; one in three is twice in a row.
    pub kills: usize,
    /// Orderly restarts.
    pub restarts: usize,
}

/// Faults over `length`, spread so that each has its part of it.
pub fn draw(seed: u64, dose: Dose, length: Duration) -> Vec<Planned> {
    let mut random = Random::new(seed, "faults");
    let whole = dose.kills + dose.restarts;
    let mut kinds: Vec<bool> = (0..whole).map(|at| at < dose.kills).collect();
    for at in (1..whole).rev() {
        let other = usize::try_from(random.within(0, at as u64)).unwrap_or(0);
        kinds.swap(at, other);
    }
    let part = length / u32::try_from(whole.max(1)).unwrap_or(1);
    let mut plan = Vec::new();
    let mut kills = 0;
    for (at, is_kill) in (0_u32..).zip(kinds) {
        let share = f64::from(u32::try_from(random.within(10, 60)).unwrap_or(10)) / 100.0;
        let fault = if is_kill {
            kills += 1;
            kill(&mut random, kills)
        } else {
            Fault::Restart { down: Duration::from_millis(random.within(0, 2_000)) }
        };
        plan.push(Planned { at: part * at + part.mul_f64(share), node: 0, fault });
    }
    plan
}

fn kill(random: &mut Random, number: usize) -> Fault {
    match number % 4 {
        // Long enough for times to be missed, which lateness of up to 5 s is not.
        1 => Fault::Kill { down: Duration::from_millis(random.within(6_500, 9_000)) },
        2 => Fault::Kill { down: Duration::ZERO },
        3 => Fault::KillTwice { after: Duration::from_millis(random.within(5, 400)) },
        _ => Fault::Kill { down: Duration::from_millis(random.within(50, 4_000)) },
    }
}

/// Inflicts the faults in their order; gives how many.
///
/// # Panics
/// A node does not come back: there is nothing to check then.
pub async fn run(cluster: Cluster, plan: Vec<Planned>, begin: Moment, talk: bool) -> usize {
    for planned in &plan {
        let at = i64::try_from(planned.at.as_millis()).unwrap_or(i64::MAX);
        // The time of the fault, not a wait for something.
        sleep(begin.plus_ms(at).ahead()).await;
        if talk {
            println!("{:>6.1} s  {:?}", planned.at.as_secs_f64(), planned.fault);
        }
        inflict(&cluster, *planned).await;
    }
    plan.len()
}

async fn inflict(cluster: &Cluster, planned: Planned) {
    let node = planned.node;
    match planned.fault {
        Fault::Kill { down } => {
            cluster.kill(node).await;
            sleep(down).await;
        }
        Fault::KillTwice { after } => {
            cluster.kill(node).await;
            cluster.up_and_kill(node, after).await;
        }
        Fault::Restart { down } => {
            cluster.terminate(node).await;
            sleep(down).await;
        }
    }
    cluster.up(node).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_order_within_the_run_and_follow_the_seed() {
        let dose = Dose { kills: 9, restarts: 2 };
        let length = Duration::from_secs(600);
        let plan = draw(3, dose, length);
        assert_eq!(plan, draw(3, dose, length));
        assert_eq!(plan.len(), 11);
        assert!(plan.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert!(plan.iter().all(|planned| planned.at < length));
        let restarts = plan.iter().filter(|p| matches!(p.fault, Fault::Restart { .. })).count();
        assert_eq!(restarts, 2);
    }
}
