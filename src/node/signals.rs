//! SIGTERM and SIGINT: the first asks for an orderly stop, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves at the first SIGTERM or SIGINT; a second one ends the process with status 130.
///
/// # Errors
/// Signals can't be caught.
pub async fn stop_asked() -> std::io::Result<&'static str> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    };
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        tracing::error!("asked a second time: ending at once; what is acknowledged is durable");
        std::process::exit(130);
    });
    Ok(name)
}
