//! Nodes come and go; old history leaves.

use std::sync::Arc;

use serde_json::json;

use crate::machine::command::{End, TrimKey};
use crate::machine::event_rows::event_key;
use crate::machine::history::{
    backfilled_key, feed_key, flow_key, incident_key, ledger_key, notice_key, output_key, run_key,
    version_key,
};
use crate::machine::reply::{Answer, Rejection, Reply};
use crate::machine::state::{FORMAT_OF_KINDS, Node, Offers};
use crate::model::placement::Labels;
use crate::model::{BootId, NodeId, RunId, RunStatus};

use super::Cx;

/// Boots of a node that are remembered beside the present one.
const FORMER_MAX: usize = 8;

impl Cx<'_> {
    /// A boot of a node is up: whatever its earlier boots had died with them. `places` are
    /// its addresses: for other nodes, and of its REST interface.
    pub(super) fn node_up(
        &mut self,
        id: NodeId,
        boot: BootId,
        places: [&str; 2],
        slots: u32,
        labels: &Labels,
    ) -> Answer {
        let before = self.s.nodes.get(&id).cloned();
        // A late copy of an earlier boot's word must not take the place of the present one.
        if before.as_ref().is_some_and(|node| node.former.contains(&boot)) {
            return Err(Rejection::Stale);
        }
        let lost: Vec<RunId> = self
            .s
            .placed_on(id)
            .filter(|open| open.held().is_some_and(|(_, held)| held != boot))
            .map(|open| open.run.id)
            .collect();
        let [address, api] = places.map(str::to_string);
        let (mut up_since, labels) = (self.at, labels.clone());
        let (mut busy, mut former) = (0, Vec::new());
        // A new boot says so itself when it offers something else: until then nothing is dropped.
        let offers = before.as_ref().map_or_else(Offers::default, |node| node.offers);
        if let Some(before) = &before {
            (busy, former) = (before.busy, before.former.clone());
            if before.boot == boot {
                up_since = before.up_since;
            } else {
                former.push(before.boot);
                former.drain(..former.len().saturating_sub(FORMER_MAX));
            }
        }
        if before.as_ref().is_some_and(|node| node.boot != boot) {
            self.free_duties(id);
        }
        let node = Node {
            id,
            boot,
            address,
            api,
            slots,
            busy,
            labels,
            offers,
            former,
            up_since,
            accepting: true,
            lost: false,
        };
        self.s.nodes.insert(id, Arc::new(node));
        for run in lost {
            self.lose(run, "its node was restarted while it ran");
        }
        self.event_because("node.up", None, None, Some(&format!("node {id}")));
        self.tell_node_back(id);
        Ok(Reply::Done)
    }

    /// A boot of a node says what it can do, and what it was started with.
    pub(super) fn node_offers(&mut self, id: NodeId, boot: BootId, offers: Offers) -> Answer {
        let node = self.s.nodes.get_mut(&id).ok_or(Rejection::Stale)?;
        if node.boot != boot || node.offers == offers {
            return Err(Rejection::Stale);
        }
        let redis = offers.redis && !node.offers.redis;
        Arc::make_mut(node).offers = offers;
        if redis {
            self.define_redis_sink();
        }
        self.free_duties_if(id, |state, key| {
            state.nodes.get(&id).is_none_or(|node| !state.can_do(key, node))
        });
        Ok(Reply::Done)
    }

    pub(super) fn lose(&mut self, id: RunId, why: &str) {
        let end = End {
            status: RunStatus::Lost,
            started_at: None,
            finished_at: self.at,
            exit_code: None,
            signal: None,
            http_status: None,
            error: Some(why.to_string()),
            result: None,
            usage: None,
            retry_after: None,
            output: Vec::new(),
        };
        self.conclude(id, &end);
    }

    pub(super) fn node_draining(&mut self, id: NodeId, boot: BootId) -> Answer {
        let node = self.s.nodes.get_mut(&id).ok_or(Rejection::Stale)?;
        if node.boot != boot {
            return Err(Rejection::Stale);
        }
        Arc::make_mut(node).accepting = false;
        self.event_because("node.draining", None, None, Some(&format!("node {id}")));
        self.free_duties(id);
        Ok(Reply::Done)
    }

    /// A boot of a node was not heard of in time. It may still run what it has, so only
    /// fences tell its late reports from those of the attempts that follow.
    pub(super) fn node_lost(&mut self, id: NodeId, boot: BootId) -> Answer {
        let has_any = self.s.placed_on(id).next().is_some();
        let node = self.s.nodes.get_mut(&id).ok_or(Rejection::Stale)?;
        if node.boot != boot || !(node.accepting || has_any) {
            return Err(Rejection::Stale);
        }
        let node = Arc::make_mut(node);
        (node.accepting, node.lost) = (false, true);
        self.lose_all(id, "its node was not heard of in time");
        self.event_because("node.lost", None, None, Some(&format!("node {id}")));
        self.tell_node_lost(id, "it was not heard of in time");
        self.free_duties(id);
        Ok(Reply::Done)
    }

    /// A node is no longer a member.
    pub(super) fn node_removed(&mut self, id: NodeId) -> Answer {
        let node = self.s.nodes.get_mut(&id).ok_or_else(|| Rejection::no_node(id))?;
        let change = json!({"address": {"before": node.address, "after": null}});
        Arc::make_mut(node).accepting = false;
        self.lose_all(id, "its node was removed from the cluster");
        self.s.nodes.remove(&id);
        self.event_because("node.removed", None, None, Some(&format!("node {id}")));
        self.node_leaves_incidents(id);
        self.free_duties(id);
        self.audit("node.remove", &format!("node {id}"), change);
        Ok(Reply::Done)
    }

    pub(super) fn lose_all(&mut self, id: NodeId, why: &str) {
        let open: Vec<RunId> = self.s.placed_on(id).map(|open| open.run.id).collect();
        for run in open {
            self.lose(run, why);
        }
    }

    pub(super) fn raise_format(&mut self, to: u32) -> Answer {
        if to <= self.s.format() {
            return Err(Rejection::Stale);
        }
        self.write_format(to);
        self.event_because("cluster.format", None, None, Some(&format!("format {to}")));
        Ok(Reply::Done)
    }

    /// From here on this format is written.
    pub(super) fn write_format(&mut self, to: u32) {
        let before = self.s.format();
        self.s.format = to.max(self.s.format);
        self.order_by_lane(before);
        if before < FORMAT_OF_KINDS && self.s.format() >= FORMAT_OF_KINDS {
            self.adopt_queues();
        }
    }

    pub(super) fn trim(&mut self, keys: &[TrimKey]) -> Answer {
        for key in keys {
            match key {
                TrimKey::Run { id, outputs, ledger } => {
                    self.out.remove(run_key(*id));
                    let job = id.job_no();
                    if self.s.task_numbers.of_job.contains_key(&job) {
                        self.out.remove(flow_key(*id));
                    }
                    let known =
                        self.s.jobs.contains_key(&job) || self.s.graves.by_no.contains_key(&job);
                    if let Some(row) = ledger.as_deref().filter(|_| known) {
                        self.out.put(ledger_key(job, row.nominal_time), row);
                    }
                    self.edit_live(job, |live| live.kept = live.kept.saturating_sub(1));
                    self.trim_output(*id, outputs);
                }
                TrimKey::Backfilled { runs } => {
                    runs.iter().for_each(|id| self.out.remove(backfilled_key(*id)));
                }
                TrimKey::Output { id, rows } => self.trim_output(*id, rows),
                TrimKey::Ledger { no, nominal } => self.out.remove(ledger_key(*no, *nominal)),
                TrimKey::Version { no, version } => self.out.remove(version_key(*no, *version)),
                TrimKey::Events { rows, from, first } => self.trim_events(rows, *from, *first),
                TrimKey::Alerts { notices, incidents } => self.trim_alerts(notices, incidents),
                TrimKey::Feed { first } => self.out.remove(feed_key(*first)),
                TrimKey::Forget { no } => {
                    if self.s.graves.forget(*no) {
                        self.s.deleted.insert(*no);
                    }
                }
                TrimKey::Gone { no } => {
                    self.s.deleted.remove(no);
                    if let Some(tasks) = self.s.task_numbers.of_job.remove(no) {
                        self.s.task_numbers.jobs.remove(&tasks);
                    }
                }
            }
        }
        Ok(Reply::Done)
    }

    /// Before the entry `from` no event is there any more, nor one with a number below `first`.
    fn trim_events(&mut self, rows: &[(u64, u32)], from: u64, first: u64) {
        for place in rows {
            self.out.remove(event_key(*place));
        }
        let events = &mut self.s.events;
        events.from = events.from.max(from);
        events.first = events.first.max(first.min(events.last + 1));
    }

    fn trim_alerts(&mut self, notices: &[u64], incidents: &[u64]) {
        for seq in notices {
            self.out.remove(notice_key(*seq));
            self.s.outbox.dead.remove(seq);
        }
        for id in incidents {
            self.out.remove(incident_key(*id));
        }
        let less = |kept: &mut u64, gone: usize| *kept = kept.saturating_sub(gone as u64);
        less(&mut self.s.outbox.kept, notices.len());
        less(&mut self.s.alerts.kept, incidents.len());
    }

    fn trim_output(&mut self, id: RunId, rows: &[(u32, u32)]) {
        for (attempt, first) in rows {
            self.out.remove(output_key(id, *attempt, *first));
        }
    }
}
