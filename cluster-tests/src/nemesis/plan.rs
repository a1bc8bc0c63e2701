//! A plan follows from a seed.

use std::time::Duration;

use super::fault::{Fault, Kind, Planned, Who};
use crate::random::Random;

/// `count` faults of the kinds over `length`, spread so that each has its part of it and the
/// cluster has some of the part to itself. Each kind has its turn; their order is drawn.
pub fn draw(
    seed: u64,
    kinds: &[Kind],
    count: usize,
    nodes: usize,
    length: Duration,
) -> Vec<Planned> {
    let mut random = Random::new(seed, "faults");
    let mut turns: Vec<Kind> = kinds.iter().copied().cycle().take(count).collect();
    for at in (1..turns.len()).rev() {
        turns.swap(at, index(&mut random, at + 1));
    }
    let part = length / u32::try_from(count.max(1)).unwrap_or(1);
    let mut plan = Vec::new();
    let mut kills = 0;
    for (at, kind) in (0_u32..).zip(turns) {
        let begin = f64::from(u32::try_from(random.within(5, 30)).unwrap_or(5)) / 100.0;
        let share = f64::from(u32::try_from(random.within(20, 45)).unwrap_or(20)) / 100.0;
        let mut lasts = part.mul_f64(share);
        if matches!(kind, Kind::Kill | Kind::Stop) {
            kills += 1;
            lasts = down(&mut random, kills, lasts);
        }
        let fault = fault(&mut random, kind, nodes, kills);
        plan.push(Planned { at: part * at + part.mul_f64(begin), lasts, fault });
    }
    plan
}

fn index(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.within(0, count as u64 - 1)).unwrap_or(0)
}

/// How long a node stays down: from nothing to long enough for times to be missed, which
/// lateness of up to 5 s is not.
fn down(random: &mut Random, number: usize, most: Duration) -> Duration {
    let millis = match number % 4 {
        1 => random.within(6_500, 9_000),
        2 => 0,
        _ => random.within(50, 4_000),
    };
    Duration::from_millis(millis).min(most.max(Duration::from_secs(9)))
}

/// The leader, every other time: most faults of others go unnoticed.
fn who(random: &mut Random, nodes: usize) -> Who {
    let node = index(random, nodes);
    if random.chance(50) { Who::Leader(node) } else { Who::Node(node) }
}

fn fault(random: &mut Random, kind: Kind, nodes: usize, kills: usize) -> Fault {
    let who = who(random, nodes);
    let node = index(random, nodes);
    match kind {
        Kind::Kill if kills % 4 == 3 => {
            Fault::KillTwice { who, after: Duration::from_millis(random.within(5, 400)) }
        }
        Kind::Kill => Fault::Kill(who),
        Kind::Stop => Fault::Stop(who),
        Kind::Freeze => Fault::Freeze(who),
        Kind::Leader => Fault::Isolate(Who::Leader(node)),
        Kind::Halves => Fault::Part(side(random, nodes)),
        Kind::OneWay => Fault::OneWay { from: who, to: node },
        Kind::Loss => Fault::Loss { percent: u8::try_from(random.within(5, 35)).unwrap_or(5) },
        Kind::Delay => {
            let mut ms = |low, high| u16::try_from(random.within(low, high)).unwrap_or(20);
            Fault::Delay { ms: ms(20, 150), jitter_ms: ms(0, 100) }
        }
        Kind::Clock => Fault::Clock { who, seconds: *random.of(&[-3_600, 3_600]) },
        Kind::DiskFull => Fault::DiskFull(who),
        Kind::SlowSync => {
            Fault::SlowSync { who, ms: u16::try_from(random.within(30, 300)).unwrap_or(30) }
        }
        Kind::Churn => match random.within(0, 2) {
            0 => Fault::Grow,
            1 => Fault::Replace(node),
            _ => Fault::Wipe(node),
        },
        Kind::Rolling => Fault::Rolling,
        Kind::Transfer => Fault::Transfer,
    }
}

/// Some of the nodes, neither none nor all.
fn side(random: &mut Random, nodes: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..nodes).collect();
    let count = 1 + index(random, nodes.saturating_sub(1).max(1));
    let mut side: Vec<usize> =
        (0..count).map(|_| left.swap_remove(index(random, left.len()))).collect();
    side.sort_unstable();
    side
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_in_order_within_the_run_and_follow_the_seed() {
        let length = Duration::from_secs(600);
        let plan = draw(3, &Kind::MIX, 26, 3, length);
        assert_eq!(plan, draw(3, &Kind::MIX, 26, 3, length));
        assert_ne!(plan, draw(4, &Kind::MIX, 26, 3, length));
        assert_eq!(plan.len(), 26);
        assert!(plan.windows(2).all(|pair| pair[0].at < pair[1].at));
        assert!(plan.iter().all(|planned| planned.at < length));
        let rolling = plan.iter().filter(|planned| planned.fault == Fault::Rolling).count();
        assert_eq!(rolling, 2, "each kind has its turn");
    }

    #[test]
    fn a_side_is_neither_empty_nor_all() {
        let mut random = Random::new(1, "sides");
        for nodes in 2..=7 {
            for _ in 0..100 {
                let side = side(&mut random, nodes);
                assert!(!side.is_empty() && side.len() < nodes, "{side:?} of {nodes}");
                assert!(side.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }
    }
}
