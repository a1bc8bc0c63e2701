//! Reading the audit, and proving that nothing was taken out of it.

use serde::Serialize;

use crate::machine::chain::{Walk, hex};
use crate::machine::history::{audit_key, block_first, unpack};
use crate::model::{AuditRecord, Timestamp};
use crate::service::caller::{Action, Target};
use crate::service::paging::Question;
use crate::service::{Caller, Error, Page, Paging, Service};
use crate::storage::{Direction, Pair, Scan};

/// What the keys of the audit begin with.
pub(super) const PREFIX: &[u8] = b"a";
/// Blocks read at a time.
pub(super) const BLOCKS: usize = 64;
/// Records looked at for one page; past it the page ends short, with a cursor.
const LOOKED_AT_MAX: usize = 20_000;

/// Which records are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this actor.
    pub actor: Option<String>,
    /// This action, or, ending in `*`, all that begin so.
    pub action: Option<String>,
    /// About this target.
    pub target: Option<String>,
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

impl AuditFilter {
    fn wants(&self, record: &AuditRecord) -> bool {
        let is = |wanted: &Option<String>, text: &str| wanted.as_ref().is_none_or(|w| w == text);
        let action = match &self.action {
            Some(action) => match action.strip_suffix('*') {
                Some(start) => record.action.starts_with(start),
                None => record.action == *action,
            },
            None => true,
        };
        action
            && is(&self.actor, &record.actor)
            && is(&self.target, &record.target)
            && self.from.is_none_or(|from| record.at >= from)
            && self.to.is_none_or(|to| record.at < to)
    }
}

/// What a walk along the chain found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AuditVerdict {
    /// Every record is there and as it was written.
    pub intact: bool,
    /// Records that were checked and found good, from the first on.
    pub records: u64,
    /// Place of the first record that is missing or changed; null: there is none.
    #[schema(required)]
    pub broken_at: Option<u64>,
    /// What is wrong there, in a sentence; null: nothing is.
    #[schema(required)]
    pub detail: Option<String>,
    /// Hash of the last record that was found good, in hexadecimal. Kept elsewhere, it
    /// proves later that nothing before it was changed.
    pub head: String,
}

fn verdict(walk: &Walk, fault: Option<String>) -> AuditVerdict {
    AuditVerdict {
        intact: fault.is_none(),
        records: walk.expected - 1,
        broken_at: fault.is_some().then_some(walk.expected),
        detail: fault,
        head: hex(&walk.hash),
    }
}

pub(super) fn records_of(block: &Pair) -> Result<Vec<AuditRecord>, Error> {
    Ok(unpack(&block.1)?)
}

impl Service {
    /// The audit, newest first. A page may be short when many records were looked at.
    ///
    /// # Errors
    /// `Forbidden` to all but an admin, `Malformed`.
    pub async fn audit(
        &self,
        c: &Caller,
        f: AuditFilter,
        p: Paging,
    ) -> Result<Page<AuditRecord>, Error> {
        c.permit(Action::ReadAudit, Target::Cluster)?;
        let question = Question::new(&("audit", &f));
        let limit = p.limit()?;
        let mut before: u64 = question.after(&p)?.unwrap_or(u64::MAX);
        let (mut items, mut looked_at) = (Vec::new(), 0);
        loop {
            let blocks = self.blocks_before(before).await?;
            if blocks.is_empty() {
                return Ok(Page { items, next_cursor: None });
            }
            for block in &blocks {
                let records = records_of(block)?;
                let upto = before;
                for record in records.into_iter().rev().filter(|record| record.seq < upto) {
                    (before, looked_at) = (record.seq, looked_at + 1);
                    if f.wants(&record) {
                        items.push(record);
                    }
                    if items.len() == limit || looked_at == LOOKED_AT_MAX {
                        let next_cursor = if before > 1 { question.cursor(&before) } else { None };
                        return Ok(Page { items, next_cursor });
                    }
                }
                // The block whose records were all seen must not be found again.
                before = before.min(block_first(&block.0).unwrap_or(before));
            }
        }
    }

    /// Blocks that hold records before `seq`, the newest first.
    async fn blocks_before(&self, seq: u64) -> Result<Vec<Pair>, Error> {
        let scan = Scan {
            from: PREFIX.to_vec(),
            to: audit_key(seq),
            direction: Direction::Backward,
            limit: BLOCKS,
        };
        Ok(self.consensus().history().scan(scan).await?)
    }

    /// Walks the chain from its first record to the newest of now.
    ///
    /// # Errors
    /// `Forbidden` to all but an admin.
    pub async fn audit_verify(&self, c: &Caller) -> Result<AuditVerdict, Error> {
        c.permit(Action::ReadAudit, Target::Cluster)?;
        let state = self.consensus().state();
        let (last, head) = (state.counters.audit, state.audit_hash);
        drop(state);
        let mut walk = Walk::default();
        let mut scan = Scan::prefix(PREFIX, Direction::Forward, BLOCKS);
        'walk: loop {
            let blocks = self.consensus().history().scan(scan.clone()).await?;
            let Some(end) = blocks.last().map(|block| block.0.clone()) else { break };
            for block in &blocks {
                for record in records_of(block)? {
                    if walk.expected > last {
                        break 'walk;
                    }
                    if let Err(fault) = walk.step(&record) {
                        return Ok(verdict(&walk, Some(fault)));
                    }
                }
            }
            scan = scan.after(&end);
        }
        Ok(verdict(&walk, walk.ends(last, &head).err()))
    }
}
