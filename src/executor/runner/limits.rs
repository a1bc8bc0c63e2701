//! Every bound of the runners, with its reason.

use std::time::Duration;

/// Output kept of one attempt when its job does not say (contract section 5).
pub const OUTPUT_BYTES_MAX_DEFAULT: usize = 1024 * 1024;

/// Largest JSON result of one attempt, in bytes of its text, when nothing else is said.
pub const RESULT_BYTES_MAX_DEFAULT: usize = 32 * 1024;

/// Largest chunk and largest batch of output.
pub(super) const BATCH_BYTES_MAX: usize = 16 * 1024;

/// How long output may wait for company before its batch is sent.
pub(super) const BATCH_AGE_MAX: Duration = Duration::from_millis(500);

/// The same for the first output of an attempt: somebody may be watching it start.
pub(super) const FIRST_BATCH_AGE_MAX: Duration = Duration::from_millis(50);

/// Output of one stream that arrives this close together shares a chunk and its timestamp.
pub(super) const SAME_CHUNK_MICROS: i64 = 5_000;

/// Chunks in each of the two kept halves: bounds the memory of an attempt that prints one
/// byte a line on alternating streams, where a chunk weighs more than what it holds.
pub(super) const CHUNKS_PER_HALF_MAX: usize = 16 * 1024;

/// One read from a pipe; also the usual capacity of a pipe.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// After the process ended: silence on its pipes after which those who still hold them are
/// taken for strays and killed.
pub(super) const STRAY_QUIET: Duration = Duration::from_millis(250);

/// After the process ended: strays are killed by then even when they keep writing.
pub(super) const STRAY_MAX: Duration = Duration::from_secs(2);

/// After the strays were killed: what they left in the pipes is read for this long.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(100);

/// How often a stopped group is looked at once its leader has gone.
pub(super) const GROUP_POLL: Duration = Duration::from_millis(25);

/// Larger parameters are left out of the environment: Linux refuses one string of more than
/// 128 KiB, and then nothing would start. They are always on stdin.
pub(super) const PARAMS_ENV_BYTES_MAX: usize = 100 * 1024;

/// Linux: MAX_ARG_STRLEN, the largest single argument or environment string.
pub(super) const ARGUMENT_BYTES_MAX: usize = 128 * 1024 - 1;

/// Longest error sentence, in characters.
pub(super) const ERROR_CHARS_MAX: usize = 2_000;

/// Redirects followed in one HTTP attempt.
pub(super) const REDIRECTS_MAX: usize = 5;

/// Time to reach an HTTP server, per address.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A syntax check that takes longer than this says nothing about the code.
pub(super) const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Processes looked at for one memory sample of an attempt.
pub(super) const SAMPLED_PROCESSES_MAX: usize = 64;

/// How often memory and processes of an attempt are looked at whose job bounds them.
pub(super) const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// Processes of an attempt unless the node says otherwise.
pub const PROCESSES_MAX_DEFAULT: u32 = 1_024;

/// Written to `oom_score_adj` of every child: when memory runs out, it goes before the daemon.
pub(super) const OOM_SCORE: &str = "500";
