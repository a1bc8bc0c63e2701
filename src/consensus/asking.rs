//! The way of a proposal: decided here when this node leads, sent to the leader when not.

use std::time::Duration;

use tokio::runtime::RuntimeFlavor;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::clocks;
use super::forward::Forwarded;
use super::handle::Handle;
use super::proposal::{Intended, Proposal};
use super::proposer::{BATCH_BYTES_MAX, COMMAND_BYTES_MAX, COMMANDS_MAX, Decided, Single};
use super::submit::{Committed, SubmitError};
use crate::machine::needs;
use crate::machine::prepare::prepare;
use crate::machine::{Answer, Command};
use crate::wire::EncodedCommand;

type Answered = oneshot::Receiver<Result<Committed, SubmitError>>;

/// A leader that heard no majority for so long asks for one before it takes a proposal.
const FOLLOWED: Duration = Duration::from_millis(1_500);
/// How long a leader that is cut off waits for the answer to what it took; it may still come true.
const CUT_OFF: Duration = Duration::from_secs(3);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(250);

impl Handle {
    /// Has a proposal committed. The leader stamps the time of a command, and prepares an intent by
    /// its clock. On return it is durable, and applied here. An intent that can't be prepared is
    /// answered with the rejection, once what it was judged on is applied here.
    ///
    /// # Errors
    /// See [`SubmitError`]; ask it whether the command may have been applied.
    pub async fn submit(&self, proposal: impl Into<Proposal>) -> Result<Committed, SubmitError> {
        let proposal = proposal.into();
        if self.running.fatal.is_raised() {
            return Err(SubmitError::Stopping);
        }
        let leads = self.running.leadership.borrow().is_leader;
        let answer = if leads {
            match self.take(&proposal).await? {
                Taken::Refused(committed) => return Ok(committed),
                Taken::Waiting(answer) => answer,
            }
        } else {
            if let Some(refused) = self.too_new(&proposal).await? {
                return Ok(refused);
            }
            let (forwarded, answer) = Forwarded::new(&proposal)?;
            self.running.forward.try_send(forwarded).map_err(refused)?;
            answer
        };
        let committed = self.await_answer(answer).await?;
        self.wait_applied(committed.index).await?;
        Ok(committed)
    }

    /// The refusal of what needs a newer format than the cluster has: a leader of an older version
    /// could not even read it, and would refuse all that was sent with it.
    async fn too_new(&self, proposal: &Proposal) -> Result<Option<Committed>, SubmitError> {
        let judged = || match proposal {
            Proposal::Intent(intended) => needs::check_intent(&self.state(), &intended.intent),
            Proposal::Command(command) => needs::check(&self.state(), &command.op),
        };
        if judged().is_ok() {
            return Ok(None);
        }
        // The cluster may have a newer one than this node has heard of.
        let index = self.read_barrier().await?;
        Ok(judged().err().map(|rejection| Committed { answer: Err(rejection), index }))
    }

    /// Carries out proposals, those of other nodes too, when this node leads: in their order, each
    /// answered by itself.
    pub(super) async fn decide_all(
        &self,
        proposals: Vec<Proposal>,
    ) -> Vec<Result<Committed, SubmitError>> {
        let mut taken: Vec<_> = proposals.iter().map(|proposal| self.decide(proposal)).collect();
        let refused = |taken: &Result<Taken, _>| matches!(taken, Ok(Taken::Refused(_)));
        if taken.iter().any(refused) {
            let confirmed = self.read_barrier().await;
            for (taken, proposal) in
                taken.iter_mut().zip(&proposals).filter(|(taken, _)| refused(taken))
            {
                *taken = confirmed.clone().and_then(|_| self.decide(proposal));
            }
        }
        let mut outcomes = Vec::with_capacity(taken.len());
        for taken in taken {
            outcomes.push(match taken {
                Ok(Taken::Refused(committed)) => Ok(committed),
                Ok(Taken::Waiting(answer)) => self.await_answer(answer).await,
                Err(error) => Err(error),
            });
        }
        outcomes
    }

    /// Takes a proposal in. What can't be prepared is refused only once a majority has confirmed
    /// that this node leads: one that was cut off may refuse what has long been right elsewhere.
    async fn take(&self, proposal: &Proposal) -> Result<Taken, SubmitError> {
        if !self.followed() {
            self.read_barrier().await?;
        }
        match self.decide(proposal)? {
            Taken::Refused(_) => {
                self.read_barrier().await?;
                self.decide(proposal)
            }
            taken => Ok(taken),
        }
    }

    /// Only the leader's clock counts: a node whose clock runs ahead must not push log time on.
    fn decide(&self, proposal: &Proposal) -> Result<Taken, SubmitError> {
        if let Some(refused) = self.no_room_for(proposal) {
            return refused.map(Taken::Refused);
        }
        // By a clock that is wrong nobody leads.
        let now = self.time().ok_or(SubmitError::NoLeader { leader: None })?;
        let command = match proposal {
            Proposal::Command(command) => {
                if let Err(rejection) = needs::check(&self.state(), &command.op) {
                    let index = *self.running.published.applied.borrow();
                    return Ok(Taken::Refused(Committed { answer: Err(rejection), index }));
                }
                Command { at: now, ..command.clone() }
            }
            Proposal::Intent(Intended { intent, actor, request }) => {
                let index = *self.running.published.applied.borrow();
                let state = self.state();
                let prepared = || prepare(&state, intent.clone(), now, actor.clone(), *request);
                let dear = intent.is_dear(&state);
                match if dear { beside(prepared) } else { prepared() } {
                    Ok(command) => command,
                    Err(rejection) => {
                        let answer = Err(rejection);
                        return Ok(Taken::Refused(Committed { answer, index }));
                    }
                }
            }
        };
        let command = encode(command)?;
        let (reply, answer) = oneshot::channel();
        self.running.queues.singles.try_send(Single { command, reply }).map_err(refused)?;
        Ok(Taken::Waiting(answer))
    }

    async fn await_answer(&self, answer: Answered) -> Result<Committed, SubmitError> {
        let answered = timeout(self.running.submit_timeout, answer);
        let outcome = tokio::select! {
            biased;
            outcome = answered => outcome,
            () = self.cut_off() => return Err(SubmitError::Unknown),
        };
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(SubmitError::Unknown),
        }
    }

    /// Resolves once this node has taken itself for the leader for a while, and no majority did.
    async fn cut_off(&self) {
        let mut since = Instant::now();
        while since.elapsed() < CUT_OFF + self.running.pace.slack() {
            sleep(LOOK).await;
            if !self.running.leadership.borrow().is_leader || self.followed() {
                since = Instant::now();
            }
        }
    }

    /// Whether a majority was heard of lately, or this node votes alone.
    fn followed(&self) -> bool {
        let metrics = self.running.raft.metrics();
        let metrics = metrics.borrow();
        let alone = metrics.membership_config.membership().voter_ids().count() <= 1;
        let lately = FOLLOWED + self.running.pace.slack();
        let heard = metrics.millis_since_quorum_ack.map(Duration::from_millis);
        alone || heard.is_some_and(|heard| heard < lately)
    }

    /// Waits until this node has applied the log up to `index`.
    pub(super) async fn wait_applied(&self, index: u64) -> Result<(), SubmitError> {
        let mut applied = self.applied();
        if *applied.borrow() >= index {
            return Ok(());
        }
        let reached = applied.wait_for(|applied| *applied >= index);
        match timeout(self.running.submit_timeout, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(SubmitError::Unknown),
        }
    }

    /// Submits what the leader decided in `term`, in order, as few entries as fit it. The term
    /// is checked before each is appended; the machine's own checks are what makes a late one
    /// harmless. By a clock that is wrong nothing is decided.
    ///
    /// # Errors
    /// See [`SubmitError`]. When several entries were needed, an error says "unknown" if any
    /// of them may have been applied.
    pub async fn propose(
        &self,
        term: u64,
        batch: Vec<Command>,
    ) -> Result<Vec<Answer>, SubmitError> {
        let now = self.time().ok_or(SubmitError::NoLeader { leader: None })?;
        // A clock that was wrong for a moment, and is right again.
        if batch.iter().any(|command| command.at.micros() - now.micros() > clocks::APART_MICROS) {
            return Err(SubmitError::NoLeader { leader: None });
        }
        let mut waiting = Vec::new();
        let mut refusal = None;
        for commands in split(batch)? {
            let (reply, answers) = oneshot::channel();
            let decided = Decided { term, commands, reply };
            match self.running.queues.decided.try_send(decided) {
                Ok(()) => waiting.push(answers),
                Err(error) => {
                    refusal = Some(refused(error));
                    break;
                }
            }
        }
        let mut answers = Vec::new();
        for answer in waiting {
            match timeout(self.running.submit_timeout, answer).await {
                Ok(Ok(Ok(some))) => answers.extend(some),
                Ok(Ok(Err(error))) => refusal = Some(refusal.unwrap_or(error)),
                Ok(Err(_)) | Err(_) => refusal = Some(SubmitError::Unknown),
            }
        }
        match refusal {
            None => Ok(answers),
            Some(_) if !answers.is_empty() => Err(SubmitError::Unknown),
            Some(error) => Err(error),
        }
    }

    /// Returns once this node has applied everything that was committed before the call, on
    /// whichever node: what [`Handle::state`] shows then is up to date. Gives the index.
    ///
    /// # Errors
    /// Nobody leads, or the leader can't reach a majority.
    pub async fn read_barrier(&self) -> Result<u64, SubmitError> {
        let index = self.committed_by_now().await?;
        self.wait_applied(index).await.map_err(|_| SubmitError::Overloaded)?;
        Ok(index)
    }

    /// The index of the last entry that was committed before the call, or a later one.
    pub(super) async fn committed_by_now(&self) -> Result<u64, SubmitError> {
        let (reader, answer) = oneshot::channel();
        self.running.readers.try_send(reader).map_err(refused)?;
        // The barrier bounds its own waiting.
        answer.await.unwrap_or(Err(SubmitError::Stopping))
    }
}

/// Does what may take a while of processor while others go on: a thread takes the place of this
/// one. A simulated node has no threads.
pub fn beside<T>(work: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Handle::try_current().map(|runtime| runtime.runtime_flavor());
    match runtime {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

enum Taken {
    /// It did not come to a command.
    Refused(Committed),
    Waiting(Answered),
}

fn encode(command: Command) -> Result<EncodedCommand, SubmitError> {
    let command = EncodedCommand::new(command).map_err(|e| SubmitError::Encode(e.to_string()))?;
    match command.size() {
        bytes if bytes > COMMAND_BYTES_MAX => {
            Err(SubmitError::TooLarge { bytes, limit: COMMAND_BYTES_MAX })
        }
        _ => Ok(command),
    }
}

/// Cuts a batch into entries.
fn split(batch: Vec<Command>) -> Result<Vec<Vec<EncodedCommand>>, SubmitError> {
    let mut entries: Vec<Vec<EncodedCommand>> = Vec::new();
    let mut bytes = 0;
    for command in batch {
        let command = encode(command)?;
        bytes += command.size();
        match entries.last_mut() {
            Some(entry) if entry.len() < COMMANDS_MAX && bytes <= BATCH_BYTES_MAX => {
                entry.push(command);
            }
            _ => {
                bytes = command.size();
                entries.push(vec![command]);
            }
        }
    }
    Ok(entries)
}

fn refused<T>(error: tokio::sync::mpsc::error::TrySendError<T>) -> SubmitError {
    use tokio::sync::mpsc::error::TrySendError;
    match error {
        TrySendError::Full(_) => SubmitError::Overloaded,
        TrySendError::Closed(_) => SubmitError::Stopping,
    }
}
