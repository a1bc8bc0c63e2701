//! Browsers whose page is closed are told of troubles: Web Push.
//!
//! Owns: what a push says (`words`), how it is encrypted and signed (`envelope`: RFC 8030, 8188,
//! 8291, 8292), which push services may be reached (`places`), and who sends (`sender`). Does not
//! own: which notices there are (`machine::apply::push`).
//!
//! ```text
//! State.pushes.waiting ─> ready ─> words ─> envelope ─> push service ─> the browser's worker
//!                                                  └─> PushStep::Done{fence}
//! ```
//!
//! Invariants: of one subscription one push is under way at a time, in order; whether its user may
//! still see the job is looked up before each; a service outside of `places` is never asked; no
//! address, which is a key to write there, is in a log or an error.
//!
//! Why it is so: docs/adr/0044-pushes.md.
//!
//! To add a push service that browsers have: its host in `places.rs`, and in docs/notifications.md.

mod envelope;
mod key;
mod places;
mod sender;
mod words;

pub use key::{new_key, opened_key, resealed_key};
pub use places::Places;
pub use sender::{keep_pushes, send_test};
