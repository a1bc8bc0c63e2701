//! Jobs of every kind, drawn from a seed.

use super::{Definition, Fails, Overlap, Policy, Retry, Work};
use crate::nominal::Schedule;
use crate::random::Random;

/// What may be done to a job during the run follows from what others expect of it: jobs that
/// begin so are edited, paused, deleted and triggered; the rest is left alone.
pub const LOOSE: &str = "loose-";

/// `count` jobs.
pub fn mixed(seed: u64, count: usize) -> Vec<Definition> {
    let mut random = Random::new(seed, "jobs");
    let mut jobs = Vec::new();
    // Chains, gates and joins: one of each in every twenty.
    for at in 0..count.div_ceil(20) {
        jobs.extend(linked(&mut random, at));
    }
    let mut at = 0;
    while jobs.len() < count {
        jobs.push(loose(&mut random, at));
        at += 1;
    }
    jobs
}

fn schedule(random: &mut Random) -> Schedule {
    match random.within(0, 9) {
        0..=5 => Schedule::Every(random.within(1, 10).cast_signed()),
        6..=8 => Schedule::Seconds(*random.of(&[1, 2, 3, 4, 5])),
        _ => Schedule::Minutes(1),
    }
}

fn work(random: &mut Random) -> Work {
    match random.within(0, 9) {
        0 => Work::Python,
        1..=3 => Work::Http,
        _ => Work::Shell,
    }
}

/// How far apart two nominal times are, in milliseconds.
fn period_ms(schedule: Schedule) -> i64 {
    match schedule {
        Schedule::Every(n) | Schedule::Seconds(n) => n * 1_000,
        Schedule::Minutes(n) => n * 60_000,
    }
}

/// A job that stands alone.
pub fn loose(random: &mut Random, at: usize) -> Definition {
    let schedule = schedule(random);
    let overlap = *random.of(&[
        Overlap::Allow,
        Overlap::Skip,
        Overlap::QueueOne,
        Overlap::QueueAll,
        Overlap::CancelRunning,
    ]);
    // A third lasts longer than its period, so that overlap policies have something to do;
    // a queue without bound must be able to catch up.
    let share = match (overlap, random.within(0, 2)) {
        (Overlap::QueueAll, _) => random.within(10, 60),
        (_, 0) => random.within(110, 180),
        _ => random.within(0, 70),
    };
    let lasts_ms = (period_ms(schedule) * share.cast_signed() / 100).min(9_000);
    let allow_some = overlap == Overlap::Allow && random.chance(30);
    let fails = match random.within(0, 9) {
        // Retries would hold up its queue for longer than it can catch up.
        _ if overlap == Overlap::QueueAll => Fails::UpTo(0),
        0 => Fails::UpTo(1),
        1 => Fails::UpTo(2),
        2 => Fails::Always,
        _ => Fails::UpTo(0),
    };
    let max_attempts = u32::try_from(random.within(2, 4)).unwrap_or(2);
    let retry = random.chance(50).then(|| Retry { max_attempts, lost: random.chance(50) });
    Definition {
        schedule: Some(schedule),
        work: work(random),
        lasts_ms,
        fails,
        overlap,
        max_concurrent: allow_some.then_some(2),
        jitter_s: if random.chance(15) { random.within(1, 2).cast_signed() } else { 0 },
        timeout_ms: random.chance(10).then_some(1_500),
        misfire: *random.of(&[Policy::Latest, Policy::All, Policy::Skip]),
        window_s: *random.of(&[3, 7, 20, 3_600]),
        retry,
        priority: *random.of(&[-50, 0, 0, 50]),
        // Whoever waits there holds up nothing but himself.
        queue: (overlap == Overlap::Skip && at % 3 == 1).then(|| QUEUE.to_string()),
        ..Definition::new(&format!("{LOOSE}{at:03}"))
    }
}

/// The queue that some of the jobs name, and its rates.
pub const QUEUE: &str = "narrow";
/// Starts in a window, and its length in milliseconds.
pub const RATES: [(usize, i64); 2] = [(6, 2_000), (20, 10_000)];

/// A source with followers, a gated job and a join: ten jobs that hang together.
fn linked(random: &mut Random, at: usize) -> Vec<Definition> {
    let name = |part: &str| format!("linked-{at:02}-{part}");
    let every = |random: &mut Random, low, high| {
        Some(Schedule::Every(random.within(low, high).cast_signed()))
    };
    let follower =
        |part: &str, overlap| Definition { overlap, lasts_ms: 50, ..Definition::new(&name(part)) };
    vec![
        Definition {
            schedule: every(random, 2, 5),
            lasts_ms: 200,
            on_success: vec![name("first"), name("second")],
            on_failure: vec![name("never")],
            on_finish: vec![name("always")],
            work: work(random),
            retry: Some(Retry { max_attempts: 2, lost: false }),
            ..Definition::new(&name("source"))
        },
        Definition {
            schedule: every(random, 3, 6),
            lasts_ms: 100,
            fails: Fails::Always,
            on_success: vec![name("never")],
            on_failure: vec![name("mourner")],
            ..Definition::new(&name("failing"))
        },
        Definition { on_success: vec![name("third")], ..follower("first", Overlap::QueueAll) },
        follower("second", Overlap::Skip),
        follower("third", Overlap::Allow),
        follower("always", Overlap::QueueOne),
        follower("never", Overlap::Allow),
        follower("mourner", Overlap::QueueAll),
        Definition {
            dependencies: vec![name("source"), name("third")],
            ..follower("join", Overlap::QueueAll)
        },
        Definition {
            schedule: every(random, 1, 4),
            dependencies: vec![name("join")],
            lasts_ms: 100,
            ..Definition::new(&name("gated"))
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_jobs_and_names_are_unique() {
        let jobs = mixed(7, 60);
        assert_eq!(jobs, mixed(7, 60));
        let names: std::collections::BTreeSet<_> = jobs.iter().map(|job| &job.name).collect();
        assert_eq!((jobs.len(), names.len()), (60, 60));
        assert_ne!(jobs, mixed(8, 60));
    }
}
