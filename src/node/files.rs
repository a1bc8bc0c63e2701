//! How many files this process may have open, and what they are for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::api::CONNECTIONS_MAX;

/// Files that the storage, the log, other nodes and the rest of a node need.
const OWN: u64 = 256;
/// Files of one attempt: its pipes, or its connection.
const PER_SLOT: u64 = 6;
/// Where the system tells no limit.
const NO_LIMIT: u64 = 1 << 20;

/// Raises what is allowed to what may be allowed. Gives the limit in force.
pub(super) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(NO_LIMIT);
    let now = limit.current.unwrap_or(NO_LIMIT);
    if now >= most {
        return now;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum }) {
        Ok(()) => most,
        Err(error) => {
            tracing::warn!(%error, limit = now, "the limit of open files can't be raised");
            now
        }
    }
}

/// Connections of clients that leave enough files for everything else.
pub(super) fn connections(limit: u64, slots: u32) -> usize {
    let reserve = (OWN + u64::from(slots) * PER_SLOT).min(limit / 2);
    usize::try_from(limit - reserve).unwrap_or(usize::MAX).clamp(1, CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_kept_for_what_a_node_must_do() {
        assert_eq!(connections(1_048_576, 4), CONNECTIONS_MAX);
        assert_eq!(connections(1_024, 4), 744);
        assert_eq!(connections(1_024, 10_000), 512, "half of them at least");
        assert_eq!(connections(256, 4), 128);
        assert_eq!(connections(0, 4), 1);
    }
}
