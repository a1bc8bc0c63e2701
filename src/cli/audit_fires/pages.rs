//! Lists, a page at a time.

use std::collections::VecDeque;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::exit::Failure;
use super::client::Client;

/// A list that is read as far as it is wanted.
pub(super) struct Pages<'a, T> {
    client: &'a Client,
    place: usize,
    query: String,
    cursor: Option<String>,
    over: bool,
    ready: VecDeque<T>,
}

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<'a, T: DeserializeOwned> Pages<'a, T> {
    /// The list at `query`, which has a `?`, of the node at `place`.
    pub(super) fn new(client: &'a Client, place: usize, query: &str) -> Self {
        Self {
            client,
            place,
            query: query.to_owned(),
            cursor: None,
            over: false,
            ready: VecDeque::new(),
        }
    }

    /// The next page; none: that was the last.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<T>>, Failure> {
        if self.over {
            return Ok(None);
        }
        let path = match &self.cursor {
            Some(cursor) => format!("{}&cursor={cursor}", self.query),
            None => self.query.clone(),
        };
        let page: Page<T> = self.client.get(self.place, &path).await?;
        self.over = page.next_cursor.is_none();
        self.cursor = page.next_cursor;
        Ok(Some(page.items))
    }

    /// Whether the page before was the last.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// The next item, which stays.
    pub(super) async fn peek(&mut self) -> Result<Option<&T>, Failure> {
        while self.ready.is_empty() {
            match self.page().await? {
                Some(page) => self.ready.extend(page),
                None => return Ok(None),
            }
        }
        Ok(self.ready.front())
    }

    /// The next item.
    pub(super) async fn next(&mut self) -> Result<Option<T>, Failure> {
        self.peek().await?;
        Ok(self.ready.pop_front())
    }

    /// The next item that counts.
    pub(super) async fn next_that(
        &mut self,
        counts: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, Failure> {
        while let Some(item) = self.next().await? {
            if counts(&item) {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// All the rest, for lists that are known to be short.
    pub(super) async fn all(mut self) -> Result<Vec<T>, Failure> {
        let mut all = Vec::from(std::mem::take(&mut self.ready));
        while let Some(page) = self.page().await? {
            all.extend(page);
        }
        Ok(all)
    }
}
