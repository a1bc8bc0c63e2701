//! How late fires start, from the histogram that nodes keep.

use cluster_tests::harness::Client;
use reqwest::Method;

use super::Failure;

/// The buckets so far: upper bound in seconds, and how many.
pub struct Lateness(Vec<(f64, f64)>);

impl Lateness {
    /// What a node tells.
    pub async fn read(client: &Client) -> Result<Self, Failure> {
        let page = client.send(Method::GET, "/metrics", None, None).await?.text;
        let of = |line: &str| {
            let rest = line.strip_prefix("cronapi_fire_lateness_seconds_bucket{le=\"")?;
            let (bound, count) = rest.split_once("\"} ")?;
            Some((bound.parse().unwrap_or(f64::INFINITY), count.trim().parse().ok()?))
        };
        Ok(Lateness(page.lines().filter_map(of).collect()))
    }

    /// Half of the fires since then were no later than the first, 99 % than the second, in
    /// milliseconds.
    pub fn since(&self, before: &Lateness) -> [f64; 2] {
        let counts: Vec<(f64, f64)> = self
            .0
            .iter()
            .zip(&before.0)
            .map(|((bound, now), (_, then))| (*bound, now - then))
            .collect();
        let all = counts.last().map_or(0.0, |last| last.1);
        [0.5, 0.99].map(|share| {
            let found = counts.iter().find(|(_, count)| *count >= all * share);
            found.map_or(f64::INFINITY, |(bound, _)| bound * 1_000.0)
        })
    }
}
