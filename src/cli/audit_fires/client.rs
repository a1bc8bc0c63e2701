//! Questions to the nodes, each known by its place in the list.

use serde::de::DeserializeOwned;

use super::super::client::Client as Asking;
use super::super::exit::{Code, Failure};

/// Asks one node or another.
pub(super) struct Client {
    asking: Asking,
}

impl Client {
    pub(super) fn new(asking: Asking) -> Self {
        Client { asking }
    }

    /// How many nodes there are to ask.
    pub(super) fn places(&self) -> usize {
        self.asking.servers().len()
    }

    pub(super) fn name(&self, place: usize) -> &str {
        &self.asking.servers()[place]
    }

    /// What a node answers to `path`, a query included.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        place: usize,
        path: &str,
    ) -> Result<T, Failure> {
        let answer = self.asking.fetch_from(place, path).await?;
        serde_json::from_value(answer).map_err(|error| {
            let text = format!("an answer that can't be read: {error}");
            Failure::new(Code::Unavailable, text).of(&format!("{}{path}", self.name(place)))
        })
    }
}
