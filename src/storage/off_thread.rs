//! The one way from async code to what blocks on the disk.

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

/// Drops something whose end reaches a disk.
pub(super) fn drop_off_thread(blocks: bool, value: impl Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) if blocks => drop(runtime.spawn_blocking(move || drop(value))),
        _ => drop(value),
    }
}
