//! Between messages and the types they stand for.

use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};

use super::super::convert::{self, log_id_in, log_id_out, open_entry, seal_entry, vote_out};
use super::super::proposal::Proposal;
use super::super::submit::{Committed, SubmitError};
use super::super::types::{NodeId, TypeConfig, Vote};
use crate::wire::{Error, proto};

type Append = AppendEntriesRequest<TypeConfig>;
type AppendReply = AppendEntriesResponse<NodeId>;

pub(in crate::consensus) fn vote_in(vote: Option<proto::Vote>) -> Result<Vote, Error> {
    vote.as_ref().map(convert::vote_in).ok_or(Error::Missing("vote"))
}

pub(in crate::consensus) fn append_out(request: &Append) -> proto::AppendRequest {
    proto::AppendRequest {
        vote: Some(vote_out(&request.vote)),
        prev: request.prev_log_id.as_ref().map(log_id_out),
        committed: request.leader_commit.as_ref().map(log_id_out),
        entries: request.entries.iter().map(seal_entry).collect(),
    }
}

pub(in crate::consensus) fn append_in(message: proto::AppendRequest) -> Result<Append, Error> {
    Ok(Append {
        vote: vote_in(message.vote)?,
        prev_log_id: message.prev.as_ref().map(log_id_in),
        leader_commit: message.committed.as_ref().map(log_id_in),
        entries: message.entries.into_iter().map(open_entry).collect::<Result<_, _>>()?,
    })
}

pub(in crate::consensus) fn append_reply_out(reply: &AppendReply) -> proto::AppendReply {
    use proto::append_reply::Outcome;
    let (outcome, matching, vote) = match reply {
        AppendEntriesResponse::Success => (Outcome::Success, None, None),
        AppendEntriesResponse::PartialSuccess(matching) => {
            (Outcome::Partial, matching.as_ref().map(log_id_out), None)
        }
        AppendEntriesResponse::Conflict => (Outcome::Conflict, None, None),
        AppendEntriesResponse::HigherVote(vote) => {
            (Outcome::HigherVote, None, Some(vote_out(vote)))
        }
    };
    proto::AppendReply { outcome: outcome.into(), matching, vote }
}

pub(in crate::consensus) fn append_reply_in(
    message: proto::AppendReply,
) -> Result<AppendReply, Error> {
    use proto::append_reply::Outcome;
    Ok(match Outcome::try_from(message.outcome).map_err(|_| Error::Missing("outcome"))? {
        Outcome::Success => AppendReply::Success,
        Outcome::Partial => AppendReply::PartialSuccess(message.matching.as_ref().map(log_id_in)),
        Outcome::Conflict => AppendReply::Conflict,
        Outcome::HigherVote => AppendReply::HigherVote(vote_in(message.vote)?),
    })
}

pub(in crate::consensus) fn vote_request_out(request: &VoteRequest<NodeId>) -> proto::VoteRequest {
    let last_log = request.last_log_id.as_ref().map(log_id_out);
    proto::VoteRequest { vote: Some(vote_out(&request.vote)), last_log }
}

pub(in crate::consensus) fn vote_request_in(
    message: proto::VoteRequest,
) -> Result<VoteRequest<NodeId>, Error> {
    Ok(VoteRequest::new(vote_in(message.vote)?, message.last_log.as_ref().map(log_id_in)))
}

pub(in crate::consensus) fn vote_reply_out(reply: &VoteResponse<NodeId>) -> proto::VoteReply {
    let last_log = reply.last_log_id.as_ref().map(log_id_out);
    proto::VoteReply { vote: Some(vote_out(&reply.vote)), granted: reply.vote_granted, last_log }
}

pub(in crate::consensus) fn vote_reply_in(
    message: proto::VoteReply,
) -> Result<VoteResponse<NodeId>, Error> {
    Ok(VoteResponse {
        vote: vote_in(message.vote)?,
        vote_granted: message.granted,
        last_log_id: message.last_log.as_ref().map(log_id_in),
    })
}

pub(in crate::consensus) fn proposal_out(proposal: &Proposal) -> Result<proto::Proposal, Error> {
    use proto::proposal::What;
    let what = match proposal {
        Proposal::Intent(intended) => What::Intent(rmp_serde::to_vec_named(intended)?.into()),
        Proposal::Command(command) => What::Command(rmp_serde::to_vec_named(command)?.into()),
    };
    Ok(proto::Proposal { what: Some(what) })
}

pub(in crate::consensus) fn proposal_in(message: &proto::Proposal) -> Result<Proposal, Error> {
    use proto::proposal::What;
    let unreadable = |source| Error::Command { position: 0, source };
    match message.what.as_ref().ok_or(Error::Missing("proposal"))? {
        What::Intent(bytes) => {
            rmp_serde::from_slice(bytes).map(Proposal::Intent).map_err(unreadable)
        }
        What::Command(bytes) => {
            rmp_serde::from_slice(bytes).map(Proposal::Command).map_err(unreadable)
        }
    }
}

pub(in crate::consensus) fn outcome_out(outcome: Result<Committed, SubmitError>) -> proto::Outcome {
    use proto::failed::Why;
    use proto::outcome::Outcome as Out;
    let failed = |why: Why, text: &str| proto::Failed {
        why: why.into(),
        text: text.to_owned(),
        ..proto::Failed::default()
    };
    let outcome = match outcome {
        Ok(Committed { answer, index }) => match rmp_serde::to_vec_named(&answer) {
            Ok(answer) => Out::Applied(proto::Applied { index, answer: answer.into() }),
            Err(_) => Out::Failed(failed(Why::Unknown, "")),
        },
        Err(SubmitError::Unknown) => Out::Failed(failed(Why::Unknown, "")),
        Err(SubmitError::NoLeader { .. } | SubmitError::TermMoved { .. }) => {
            Out::Failed(failed(Why::NoLeader, ""))
        }
        Err(SubmitError::Overloaded) => Out::Failed(failed(Why::Overloaded, "")),
        Err(SubmitError::NoRoom) => Out::Failed(failed(Why::NoRoom, "")),
        Err(SubmitError::Stopping) => Out::Failed(failed(Why::Stopping, "")),
        Err(SubmitError::TooLarge { bytes, limit }) => {
            let (bytes, limit) = (bytes as u64, limit as u64);
            Out::Failed(proto::Failed { bytes, limit, ..failed(Why::TooLarge, "") })
        }
        Err(SubmitError::Encode(text)) => Out::Failed(failed(Why::Encode, &text)),
    };
    proto::Outcome { outcome: Some(outcome) }
}

/// What cannot be read may have been applied.
pub(in crate::consensus) fn outcome_in(message: proto::Outcome) -> Result<Committed, SubmitError> {
    use proto::failed::Why;
    use proto::outcome::Outcome as In;
    match message.outcome.ok_or(SubmitError::Unknown)? {
        In::Applied(applied) => {
            let answer = rmp_serde::from_slice(&applied.answer);
            let answer = answer.map_err(|_| SubmitError::Unknown)?;
            Ok(Committed { answer, index: applied.index })
        }
        In::Failed(failed) => Err(match Why::try_from(failed.why) {
            Ok(Why::NoLeader) => SubmitError::NoLeader { leader: None },
            Ok(Why::Overloaded) => SubmitError::Overloaded,
            Ok(Why::NoRoom) => SubmitError::NoRoom,
            // Another node's stop is no stop of this one.
            Ok(Why::Stopping) => SubmitError::NoLeader { leader: None },
            Ok(Why::TooLarge) => {
                SubmitError::TooLarge { bytes: failed.bytes as usize, limit: failed.limit as usize }
            }
            Ok(Why::Encode) => SubmitError::Encode(failed.text),
            Ok(Why::Unknown) | Err(_) => SubmitError::Unknown,
        }),
    }
}
