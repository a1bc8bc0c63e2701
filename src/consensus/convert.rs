//! Between the consensus library's types and the messages that are stored: the library's own
//! layout never reaches the disk, so it may change with the library.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use openraft::{CommittedLeaderId, EntryPayload, LeaderId};

use super::types::{Entry, LogId, Membership, Node, Payload, SnapshotMeta, StoredMembership, Vote};
use crate::wire::{self, Batch, Error, proto};

pub(super) fn log_id_out(id: &LogId) -> proto::LogId {
    let leader = &id.leader_id;
    proto::LogId { term: leader.term, node: leader.node_id, index: id.index }
}

pub(super) fn log_id_in(id: &proto::LogId) -> LogId {
    LogId::new(CommittedLeaderId::new(id.term, id.node), id.index)
}

/// Encodes a log id as a record of its own.
pub(super) fn seal_log_id(id: &LogId) -> Bytes {
    wire::seal(&log_id_out(id))
}

/// Decodes what [`seal_log_id`] wrote.
pub(super) fn open_log_id(record: Bytes) -> Result<LogId, Error> {
    wire::open::<proto::LogId>(record).map(|id| log_id_in(&id))
}

/// The index in what [`seal_log_id`] wrote.
pub(super) fn index_of(record: Bytes) -> Result<u64, String> {
    open_log_id(record).map(|id| id.index).map_err(|error| error.to_string())
}

pub(super) fn vote_out(vote: &Vote) -> proto::Vote {
    let LeaderId { term, node_id: node } = vote.leader_id;
    proto::Vote { term, node, committed: vote.committed }
}

pub(super) fn vote_in(vote: &proto::Vote) -> Vote {
    match vote.committed {
        true => Vote::new_committed(vote.term, vote.node),
        false => Vote::new(vote.term, vote.node),
    }
}

/// Encodes a vote.
pub(super) fn seal_vote(vote: &Vote) -> Bytes {
    wire::seal(&vote_out(vote))
}

/// Decodes a vote.
pub(super) fn open_vote(record: Bytes) -> Result<Vote, Error> {
    wire::open::<proto::Vote>(record).map(|vote| vote_in(&vote))
}

fn membership_out(membership: &Membership) -> proto::Membership {
    let configs = membership.get_joint_config().iter();
    let nodes = membership.nodes();
    proto::Membership {
        configs: configs.map(|ids| proto::Voters { ids: ids.iter().copied().collect() }).collect(),
        nodes: nodes.map(|(id, node)| proto::Member { id: *id, addr: node.addr.clone() }).collect(),
    }
}

fn membership_in(message: proto::Membership) -> Membership {
    let set = |voters: proto::Voters| voters.ids.into_iter().collect::<BTreeSet<_>>();
    let configs = message.configs.into_iter().map(set).collect();
    let node = |member: proto::Member| (member.id, Node { addr: member.addr });
    let nodes: BTreeMap<_, _> = message.nodes.into_iter().map(node).collect();
    Membership::new(configs, nodes)
}

/// Encodes an entry of the log.
pub(super) fn seal_entry(entry: &Entry) -> Bytes {
    use proto::entry::Payload as Out;
    let payload = match &entry.payload {
        EntryPayload::Blank => Out::Blank(proto::Blank {}),
        EntryPayload::Normal(payload) => Out::Batch(payload.batch.encoded().clone()),
        EntryPayload::Membership(membership) => Out::Membership(membership_out(membership)),
    };
    wire::seal(&proto::Entry { log_id: Some(log_id_out(&entry.log_id)), payload: Some(payload) })
}

/// Decodes an entry of the log, down to its commands.
pub(super) fn open_entry(record: Bytes) -> Result<Entry, Error> {
    use proto::entry::Payload as In;
    let entry: proto::Entry = wire::open(record)?;
    let payload = match entry.payload.ok_or(Error::Missing("payload"))? {
        In::Blank(_) => EntryPayload::Blank,
        In::Batch(encoded) => EntryPayload::Normal(Payload::new(Batch::decode(encoded)?)),
        In::Membership(membership) => EntryPayload::Membership(membership_in(membership)),
    };
    let log_id = entry.log_id.as_ref().ok_or(Error::Missing("log id"))?;
    Ok(Entry { log_id: log_id_in(log_id), payload })
}

/// What stands before the machine in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub meta: SnapshotMeta,
    /// It came from a leader.
    pub installed: bool,
    /// Where this node keeps the history that goes with it.
    pub generation: u32,
}

/// Encodes a checkpoint's head.
pub(super) fn seal_head(head: &Head) -> Bytes {
    wire::seal(&head_out(head))
}

/// Decodes a checkpoint's head.
pub(super) fn open_head(record: Bytes) -> Result<Head, Error> {
    head_in(wire::open(record)?)
}

pub(super) fn head_out(head: &Head) -> proto::CheckpointMeta {
    let Head { meta, installed, generation } = head;
    proto::CheckpointMeta {
        last_applied: meta.last_log_id.as_ref().map(log_id_out),
        membership_at: meta.last_membership.log_id().as_ref().map(log_id_out),
        membership: Some(membership_out(meta.last_membership.membership())),
        snapshot_id: meta.snapshot_id.clone(),
        installed: *installed,
        history_generation: *generation,
    }
}

pub(super) fn head_in(head: proto::CheckpointMeta) -> Result<Head, Error> {
    let membership = head.membership.ok_or(Error::Missing("membership"))?;
    let at = head.membership_at.as_ref().map(log_id_in);
    let meta = SnapshotMeta {
        last_log_id: head.last_applied.as_ref().map(log_id_in),
        last_membership: StoredMembership::new(at, membership_in(membership)),
        snapshot_id: head.snapshot_id,
    };
    Ok(Head { meta, installed: head.installed, generation: head.history_generation })
}
