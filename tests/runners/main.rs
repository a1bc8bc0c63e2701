//! The rules of the runners, shown with real processes, a real interpreter and a real HTTP
//! server. Nothing here sleeps for a result: tests wait for output, files and ends.

#[path = "../shared/skip.rs"]
mod skip;

mod answers;
mod bench;
mod channels;
mod http;
mod isolation;
mod leftovers;
mod output;
mod processes;
mod python;
mod scrubbing;
mod secrets;
mod shell;
