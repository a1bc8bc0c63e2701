//! Structured logs on standard error: text for a terminal, JSON lines otherwise.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging; a second call changes nothing.
///
/// # Errors
/// The filter can't be read.
pub fn start(filter: &str, json: Option<bool>) -> Result<(), String> {
    // The consensus library tells its every step; what matters of it is told by us.
    let whole = format!("openraft=warn,sled=warn,{filter}");
    let filter = EnvFilter::try_new(&whole).map_err(|error| format!("log filter: {error}"))?;
    let terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // An error means that a logger is there already, as in tests.
    let _ = if json.unwrap_or(!terminal) {
        builder.json().flatten_event(true).with_current_span(false).try_init()
    } else {
        builder.with_ansi(terminal).with_target(false).try_init()
    };
    Ok(())
}
