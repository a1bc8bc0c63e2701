//! SIGTERM and SIGINT: the first asks for an orderly stop, the second ends at once.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask for a stop. From the time it is made they end nothing by themselves.
pub struct Stop {
    term: Signal,
    int: Signal,
}

impl Stop {
    /// Catches them from now on.
    ///
    /// # Errors
    /// Signals can't be caught.
    pub fn catch() -> std::io::Result<Stop> {
        Ok(Stop { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the first SIGTERM or SIGINT; a second one ends the process with status 130.
    pub async fn asked(mut self) -> &'static str {
        let name = tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        };
        tokio::spawn(async move {
            tokio::select! {
                _ = self.term.recv() => {}
                _ = self.int.recv() => {}
            }
            tracing::error!("asked a second time: ending at once; what is acknowledged is durable");
            std::process::exit(130);
        });
        name
    }
}
