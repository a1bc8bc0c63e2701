//! What speaks to the world outside: the ways in which channels tell people, and the sinks that
//! events go to; and heartbeats to monitors elsewhere, of the cluster (`outward`) and of jobs
//! (`beats`).
//!
//! Owns: how a message becomes a mail, a request, a card ([`Courier`]), and what a receiver's
//! answer means; how events become lines of a file and entries of a stream (`sinks`). Does not
//! own: which messages there are and when they are tried again (the state, and who holds the duty
//! of the channel), what they say (`model::notice`), connections and the addresses that may be
//! reached (`executor::runner`).
//!
//! ```text
//! ChannelSpec ─> Opened (secrets filled in) ─┬─> mail ───────────────────────> SMTP
//!                    Message ─> Text ────────┴─> slack, teams, webhook, … ─> HTTP, guarded
//! ```
//!
//! Invariants: a message is delivered or given up within `DELIVERY_TIMEOUT`; no redirect is
//! followed; of an answer only the beginning is read; no secret is in a [`Fault`]; a document is
//! built of values, never of text.
//!
//! Why it is so: docs/adr/0028-messages-to-channels.md.
//!
//! Browsers are told in `push`: what an open page would say, for those whose page is closed.
//!
//! To add a type of channel: a variant of `ChannelType`, its fields in
//! `model/kind/channel/check.rs`, a file here with its document, an arm in
//! `deliver.rs`, a section in docs/notifications.md, its rules in tests/runners/channels.rs.

mod beats;
mod call;
#[cfg(any(feature = "redis", feature = "postgres", feature = "mongodb"))]
mod connect;
mod deliver;
mod held;
mod hold;
mod hook;
mod kept;
#[cfg(feature = "redis")]
mod locks;
mod mail;
mod ntfy;
mod opened;
mod outgoing;
mod outward;
mod pagerduty;
mod parts;
mod post;
mod push;
#[cfg(feature = "redis")]
mod redis;
mod request;
mod sinks;
mod slack;
mod teams;
mod tell;
mod triggers;

pub use beats::keep_heartbeats;
pub use call::Fault;
pub use deliver::{Courier, Delivered};
pub use kept::{Kept, Unreadable, kept_after, position_of};
#[cfg(feature = "redis")]
pub use locks::RedisLocks;
pub use opened::Opened;
pub use outward::{OutwardParts, tell_outside};
pub use parts::DutyParts;
pub use post::{PostParts, post};
pub use push::{Places as PushPlaces, keep_pushes, new_key, opened_key, resealed_key, send_test};
pub use sinks::keep_sinks;
pub use triggers::keep_triggers;
