//! Certificates of REST that stay fresh: looked at now and then, and at SIGHUP.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::api::Certificates;
use crate::metrics::Metrics;

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(10);

/// Reads the files again for as long as the node runs. What can't be used is told, once for
/// each way in which it can't, and changes nothing.
pub async fn keep_fresh(certificates: Certificates, metrics: Arc<Metrics>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return tracing::error!("SIGHUP can't be caught: new certificates count at a restart");
    };
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        let asked = tokio::select! {
            _ = tick.tick() => false,
            _ = hangup.recv() => true,
        };
        let read = certificates.reload().await;
        metrics.parts.certificate(certificates.until());
        match read {
            Ok(changed) => {
                told = None;
                if changed || asked {
                    tracing::info!(changed, "certificates were read again");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if asked || told.as_ref() != Some(&error) {
                    tracing::warn!(%error, "new certificates can't be used; the old ones stay");
                }
                told = Some(error);
            }
        }
    }
}
