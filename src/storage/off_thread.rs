//! The one way from async code to calls that block on the disk.

use super::Error;

/// Runs `work` on a thread that may block, or here when it does not reach a disk: a simulated
/// node has no threads.
///
/// # Errors
/// The work's own, or [`Error::Engine`] when it panicked.
pub async fn off_thread<T: Send + 'static>(
    blocks: bool,
    op: &'static str,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    if !blocks {
        return work();
    }
    let joined = tokio::task::spawn_blocking(work).await;
    joined.unwrap_or_else(|panic| Err(Error::Engine { op, reason: panic.to_string() }))
}
