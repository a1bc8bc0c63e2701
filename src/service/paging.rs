//! Pages of a list. A cursor is opaque to callers: the sort key of the last item and a
//! hash of what was asked, so that it can't be carried over to another question.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::error::Error;
use crate::model::limits::{PAGE_DEFAULT, PAGE_MAX};

/// What part of a list is wanted.
#[derive(Clone, Debug)]
pub struct Paging {
    /// Items at most, 1 to 1,000.
    pub limit: usize,
    /// Where the page before ended; none: from the start.
    pub cursor: Option<String>,
}

impl Default for Paging {
    fn default() -> Self {
        Paging { limit: PAGE_DEFAULT, cursor: None }
    }
}

/// A part of a list.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// In the order of the list.
    pub items: Vec<T>,
    /// For the page after; none: this is the last. A page may be short, even empty, and
    /// still have one: then looking further takes another request.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A bound on what is read at a time. Tests have a small one, to see what happens at it.
pub(super) const fn bound(usual: usize, in_tests: usize) -> usize {
    if cfg!(test) { in_tests } else { usual }
}

/// Bytes of a cursor's text, at most.
const CURSOR_LEN_MAX: usize = 1_024;

/// What a list was asked, for its cursors.
pub(super) struct Question([u8; 8]);

impl Question {
    /// `asked` is the name of the list and everything that decides what is in it and in
    /// which order.
    pub fn new(asked: &impl std::fmt::Debug) -> Self {
        let digest: [u8; 32] = Sha256::digest(format!("{asked:?}").as_bytes()).into();
        let mut short = [0; 8];
        short.copy_from_slice(&digest[..8]);
        Question(short)
    }

    /// The key that `paging` goes on after.
    pub fn after<K: DeserializeOwned>(&self, paging: &Paging) -> Result<Option<K>, Error> {
        let Some(text) = &paging.cursor else { return Ok(None) };
        let refuse = |why: &str| {
            Error::Malformed(format!("the cursor {why}; take next_cursor as it was given"))
        };
        if text.len() > CURSOR_LEN_MAX {
            return Err(refuse("is not one of ours"));
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refuse("is not one of ours"))?;
        let (asked, rest) = bytes.split_at_checked(8).ok_or_else(|| refuse("is cut"))?;
        if asked != self.0 {
            return Err(refuse("belongs to other filters, another order or another list"));
        }
        rmp_serde::from_slice(rest).map(Some).map_err(|_| refuse("is damaged"))
    }

    /// A page of `items`, which are one more than fit when there are more.
    pub fn page<T, K: Serialize>(
        &self,
        mut items: Vec<T>,
        limit: usize,
        key: impl Fn(&T) -> K,
    ) -> Page<T> {
        let more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.and_then(|last| self.cursor(&key(last)));
        Page { items, next_cursor }
    }

    /// The cursor that goes on after `key`.
    pub fn cursor<K: Serialize>(&self, key: &K) -> Option<String> {
        let mut bytes = self.0.to_vec();
        bytes.extend(rmp_serde::to_vec(key).ok()?);
        Some(URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl Paging {
    /// The limit, checked.
    pub(super) fn limit(&self) -> Result<usize, Error> {
        if (1..=PAGE_MAX).contains(&self.limit) {
            return Ok(self.limit);
        }
        Err(Error::Malformed(format!("limit must be from 1 to {PAGE_MAX}")))
    }
}
