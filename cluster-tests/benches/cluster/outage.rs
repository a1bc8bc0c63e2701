//! What callers and fires notice when the leader goes: watched from before until after.

use std::time::Duration;

use bytes::Bytes;
use cluster_tests::moment::Moment;
use hyper::Method;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::bed::Bed;
use crate::late::{self, Run};
use crate::rest::Line;
use crate::stats::Spread;
use crate::{Failure, jobs};

/// Jobs that fire every second, spread over it: one fire every 5 ms or so.
pub const JOBS: usize = 200;
/// What is looked at before and after.
const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_secs(3);
/// One try of a write.
const TRY_MAX: Duration = Duration::from_secs(5);

/// What lasts longer is told by itself: the aim for the 99th percentile.
const SLOW_MS: f64 = 1_000.0;

/// What was noticed, in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noticed {
    /// From the event to the next decision of a fire.
    pub next_fire: f64,
    /// The longest time between two decisions.
    pub pause: f64,
    /// From due to decided, at most.
    pub late: f64,
    /// The longest write at a node that stays, with its tries.
    pub write: f64,
}

/// Writes at some nodes, one after the other, until told to stop: the longest.
struct Writer {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<Duration>>,
}

impl Writer {
    async fn start(bed: &Bed, nodes: &[usize]) -> Result<Writer, Failure> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = Vec::new();
        for node in nodes {
            let line = bed.line(*node).await?;
            tasks.push(tokio::spawn(write(line, *node, stopped.clone())));
        }
        Ok(Writer { stop, tasks })
    }

    async fn end(self) -> Result<Duration, Failure> {
        self.stop.send_replace(true);
        let mut longest = Duration::ZERO;
        for task in self.tasks {
            longest = longest.max(task.await?);
        }
        Ok(longest)
    }
}

/// Each write is tried until it is acknowledged.
async fn write(mut line: Line, node: usize, stopped: watch::Receiver<bool>) -> Duration {
    let (mut longest, mut count) = (Duration::ZERO, 0_u64);
    while !*stopped.borrow() {
        count += 1;
        let body = format!(r#"{{"description": "{count}"}}"#);
        let (path, begin) = (format!("/jobs/written-{node}"), Instant::now());
        loop {
            let tried = line.done(Method::PUT, &path, Bytes::from(body.clone()));
            if matches!(timeout(TRY_MAX, tried).await, Ok(Ok(_))) {
                break;
            }
            if begin.elapsed() > 4 * TRY_MAX {
                return begin.elapsed();
            }
            sleep(Duration::from_millis(5)).await;
        }
        longest = longest.max(begin.elapsed());
        sleep(Duration::from_millis(5)).await;
    }
    longest
}

/// Starts what fires.
pub async fn prepare(bed: &Bed) -> Result<(), Failure> {
    jobs::apply(&bed.client, (0..JOBS).map(|number| jobs::noop(number, true))).await?;
    sleep(Duration::from_secs(2)).await;
    Ok(())
}

/// Lets `event` happen to the leader, and says what was noticed. It begins where it says.
pub async fn watch(
    bed: &Bed,
    leader: usize,
    event: impl AsyncFnOnce() -> Result<(), Failure>,
) -> Result<Noticed, Failure> {
    let stay: Vec<usize> = (0..bed.cluster.size()).filter(|node| *node != leader).collect();
    let writer = Writer::start(bed, &stay).await?;
    sleep(BEFORE).await;
    let at = Moment::now();
    event().await?;
    sleep(AFTER.saturating_sub(Duration::from_millis(Moment::now().ms_since(at).unsigned_abs())))
        .await;
    let write = writer.end().await?;
    let span = (at.plus_ms(-(BEFORE.as_millis() as i64)), at.plus_ms(AFTER.as_millis() as i64));
    let fired = late::fired(&bed.client, span).await?;
    let noticed = noticed(&fired, at, write)?;
    if noticed.next_fire.max(noticed.pause) > SLOW_MS {
        println!("at {at}, node {leader} led: {noticed:.0?}");
    }
    Ok(noticed)
}

fn noticed(fired: &[Run], at: Moment, write: Duration) -> Result<Noticed, Failure> {
    let ms = |from: Moment, until: Moment| (until.0 - from.0) as f64 / 1_000.0;
    let next = fired.iter().find(|run| run.fired_at > at).ok_or("nothing fires any more")?;
    let pauses = fired.windows(2).map(|two| ms(two[0].fired_at, two[1].fired_at));
    let due = |run: &Run| Some(Moment(run.nominal_time?.0 + jobs::share(&run.job)));
    let late = fired.iter().filter_map(|run| Some(ms(due(run)?, run.fired_at)));
    Ok(Noticed {
        next_fire: ms(at, next.fired_at),
        pause: Spread::of(pauses).most,
        late: Spread::of(late).most,
        write: write.as_secs_f64() * 1_000.0,
    })
}

/// Prints quantiles of each.
pub fn tell(what: &str, all: &[Noticed]) {
    type Pick = fn(&Noticed) -> f64;
    let rows: [(&str, Pick); 4] = [
        ("to the next fire", |one| one.next_fire),
        ("longest time without a fire", |one| one.pause),
        ("latest fire", |one| one.late),
        ("longest write elsewhere", |one| one.write),
    ];
    println!("{what}, {} times, {:>10} {:>9} {:>9}", all.len(), "p50 ms", "p99 ms", "max ms");
    for (name, pick) in rows {
        let mut values: Vec<f64> = all.iter().map(pick).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: usize| values[(values.len() * share / 100).min(values.len() - 1)];
        println!("{name:>32} {:>9.0} {:>9.0} {:>9.0}", at(50), at(99), at(100));
    }
}
