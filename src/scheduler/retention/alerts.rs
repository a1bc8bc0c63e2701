//! Notices and incidents that are over: the oldest go once they are too many, or too old.

use crate::machine::command::TrimKey;
use crate::machine::history::{IncidentRow, NoticeRow, unpack};
use crate::model::{Timestamp, limits};
use crate::storage::{Direction, Error, Scan};

use super::super::Term;
use super::{ROWS_MAX, trim};

/// Removes what may go.
pub(super) async fn round(duties: &Term) -> Result<(), Error> {
    loop {
        let state = duties.consensus.state();
        let (notices, incidents) = (state.outbox.kept, state.alerts.kept);
        drop(state);
        let horizon = duties.clock.now().minus(limits::ALERTS_AGE_MAX);
        let notices = excess(duties, b"n", notices, horizon, |value| {
            let row: NoticeRow = unpack(value).ok()?;
            Some((row.notice.seq, row.at))
        });
        let notices = notices.await?;
        let incidents = excess(duties, b"i", incidents, horizon, |value| {
            let row: IncidentRow = unpack(value).ok()?;
            Some((row.incident.id, row.at))
        });
        let incidents = incidents.await?;
        let more = notices.len() == ROWS_MAX || incidents.len() == ROWS_MAX;
        if notices.is_empty() && incidents.is_empty() {
            return Ok(());
        }
        let key = TrimKey::Alerts { notices, incidents };
        if !trim(duties, vec![key]).await || !more {
            return Ok(());
        }
    }
}

/// The numbers of the oldest rows, as far as they may go.
async fn excess(
    duties: &Term,
    prefix: &[u8],
    kept: u64,
    horizon: Timestamp,
    read: impl Fn(&[u8]) -> Option<(u64, Timestamp)>,
) -> Result<Vec<u64>, Error> {
    let surplus = kept.saturating_sub(limits::ALERTS_KEPT_MAX) as usize;
    let scan = Scan::prefix(prefix, Direction::Forward, ROWS_MAX);
    let rows = duties.consensus.history().scan(scan).await?;
    let rows = rows.iter().filter_map(|(_, value)| read(value)).enumerate();
    let old = rows.filter(|(at, (_, ended))| *at < surplus || *ended < horizon);
    Ok(old.map(|(_, (number, _))| number).collect())
}
