//! Closed loops: so many clients, each of which asks again once it is answered.

use std::future::Future;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::{Failure, stats};

/// Not counted: connections warm up, queues fill.
const WARM_UP: Duration = Duration::from_millis(700);

/// One client.
pub trait Client: Send + 'static {
    /// The next request, to its answer.
    fn ask(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// What came of it.
pub struct Measured {
    /// Answers a second.
    pub rate: f64,
    /// Microseconds to an answer.
    pub latency: Histogram<u64>,
    /// Requests that were refused or lost.
    pub failed: u64,
    /// The first of their reasons.
    pub reason: Option<String>,
}

/// Lets them ask for so long, after a warm-up.
pub async fn drive<C: Client>(clients: Vec<C>, length: Duration) -> Result<Measured, Failure> {
    let from = Instant::now() + WARM_UP;
    let until = from + length;
    let loops: Vec<_> =
        clients.into_iter().map(|client| tokio::spawn(ask(client, from, until))).collect();
    let (mut latency, mut failed, mut reason) = (stats::histogram(), 0, None);
    for one in loops {
        let (answered, refused, why) = one.await?;
        latency.add(answered)?;
        failed += refused;
        reason = reason.or(why);
    }
    let rate = latency.len() as f64 / length.as_secs_f64();
    Ok(Measured { rate, latency, failed, reason })
}

async fn ask<C: Client>(
    mut client: C,
    from: Instant,
    until: Instant,
) -> (Histogram<u64>, u64, Option<String>) {
    let (mut latency, mut failed, mut reason) = (stats::histogram(), 0, None);
    loop {
        let start = Instant::now();
        if start >= until {
            return (latency, failed, reason);
        }
        let answer = client.ask().await;
        let end = Instant::now();
        match answer {
            Ok(()) if (from..until).contains(&end) => {
                let micros = i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX);
                stats::record(&mut latency, micros);
            }
            Ok(()) => {}
            Err(error) => {
                failed += 1;
                reason.get_or_insert_with(|| error.to_string());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}
