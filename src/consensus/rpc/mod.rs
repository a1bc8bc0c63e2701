//! What nodes say to each other: gRPC over the transport, both ends.
//!
//! Owns: connections to peers and when they are given up, the metadata that keeps strangers
//! out, deadlines, and the translation between messages and the library's types. Does not own:
//! what is done with a call (`raft`, the proposer, `membership`).
//!
//! Invariants:
//! - Every call names the cluster and the node it is meant for; the other end refuses what is not
//!   meant for it. Only `Hello` and `Join` come before that.
//! - Every call has a deadline, and a line that stops answering is replaced: after a partition the
//!   old connection may hang long after the network is well again.
//! - A failed call says whether the other end may have seen it.
//!
//! To add a call: the message in `proto/cronapi/v1/cluster.proto`, its server in `server.rs`,
//! its client where it is used, through [`Peers::call`].

mod client;
#[cfg(test)]
pub(super) mod deaf;
mod messages;
mod server;

use std::time::Duration;

pub(super) use client::{CallError, Lane, Peers};
pub(super) use messages::{
    append_in, append_out, append_reply_in, append_reply_out, outcome_in, outcome_out, proposal_in,
    proposal_out, vote_in, vote_reply_in, vote_reply_out, vote_request_in, vote_request_out,
};
pub(super) use server::serve;

/// Metadata: the cluster a call is meant for.
const CLUSTER: &str = "cronapi-cluster";
/// Metadata: the node a call is meant for.
const TO: &str = "cronapi-to";

/// One message, at most. The log's entries come in messages of about 1 MiB.
const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// HTTP/2 flow control: room for several messages on their way.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// How long nothing may come over a connection before the other end is asked whether it still
/// stands, and how long its answer may take: a client asks while calls are under way, a server
/// always. What may be on its way before the answer is the window of two streams, 8 MiB, so a
/// link has to carry 0.8 MB/s.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(10));
