//! The audit as a file: every record in order, with the chain, to be verified elsewhere.

use super::audit::{BLOCKS, PREFIX, records_of};
use crate::machine::chain::hex;
use crate::machine::history::audit_key;
use crate::model::AuditRecord;
use crate::service::caller::{Action, Target};
use crate::service::{Caller, Error, Service};
use crate::storage::{Direction, Scan};

/// An export under way.
pub struct AuditExport {
    service: Service,
    scan: Scan,
    /// The next record, and the last that is exported.
    next: u64,
    last: u64,
    head: String,
}

impl Service {
    /// The records from number `from` to the newest of now, oldest first.
    ///
    /// # Errors
    /// `Forbidden` to all but an admin.
    pub async fn audit_export(&self, c: &Caller, from: u64) -> Result<AuditExport, Error> {
        c.permit(Action::ReadAudit, Target::Cluster)?;
        let from = from.max(1);
        let state = self.consensus().state();
        let (last, head) = (state.counters.audit, hex(&state.audit_hash));
        drop(state);
        let mut scan = Scan::prefix(PREFIX, Direction::Forward, BLOCKS);
        // The block that holds the first one is named after a record at or before it.
        let before = Scan {
            to: audit_key(from.saturating_add(1)),
            limit: 1,
            ..Scan::prefix(PREFIX, Direction::Backward, 1)
        };
        if let Some((key, _)) = self.consensus().history().scan(before).await?.into_iter().next() {
            scan.from = key;
        }
        Ok(AuditExport { service: self.clone(), scan, next: from, last, head })
    }
}

impl AuditExport {
    /// Hash of the last record that will be exported, in hexadecimal.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The next lines: a record each, as JSON, ending in its hash. None: that was all.
    ///
    /// # Errors
    /// A record is missing, or the history can't be read.
    pub async fn lines(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.next > self.last {
            return Ok(None);
        }
        let blocks = self.service.consensus().history().scan(self.scan.clone()).await?;
        let mut lines = Vec::new();
        for block in &blocks {
            for record in records_of(block)? {
                if (self.next..=self.last).contains(&record.seq) {
                    line(&record, &mut lines)?;
                    self.next = record.seq + 1;
                }
            }
        }
        match blocks.last() {
            Some((key, _)) => self.scan = self.scan.clone().after(key),
            None => return Err(Error::Internal(format!("audit record {} is missing", self.next))),
        }
        Ok(Some(lines))
    }
}

fn line(record: &AuditRecord, lines: &mut Vec<u8>) -> Result<(), Error> {
    let failed = |error| Error::Internal(format!("an audit record is no JSON: {error}"));
    serde_json::to_writer(&mut *lines, record).map_err(failed)?;
    lines.push(b'\n');
    Ok(())
}
