//! The ledger of a job: what became of each nominal time, newest first.

use super::{Caller, Error, Page, Paging, Service};
use crate::model::{LedgerRow, Timestamp};

impl Service {
    /// The outcomes of the nominal times from `from` to `to` (both inclusive), newest
    /// first. A pause under way is a row of its own, without an end.
    ///
    /// # Errors
    /// `NotFound`, `Malformed`.
    pub async fn ledger(
        &self,
        c: &Caller,
        name: &str,
        from: Option<Timestamp>,
        to: Option<Timestamp>,
        p: Paging,
    ) -> Result<Page<LedgerRow>, Error> {
        let _ = (c, name, from, to, p);
        Err(Error::Internal(String::new()))
    }
}
