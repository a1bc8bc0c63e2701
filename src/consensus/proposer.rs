//! Turns many commands into few entries, and one entry's answers back into many.
//!
//! The library writes and flushes one entry at a time. While up to two are under way, commands
//! gather in the queue; whatever has gathered becomes the next entry. There is no timer: the
//! flush is the window (ADR 0004).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::error::ClientWriteError;
use openraft::raft::ClientWriteResult;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::sleep;

use super::leadership::Leadership;
use super::submit::{Committed, SubmitError};
use super::types::{Payload, Raft, TypeConfig};
use crate::machine::Answer;
use crate::wire::{Batch, EncodedCommand};

/// Commands in one entry.
pub(super) const COMMANDS_MAX: usize = 1024;
/// Bytes of commands in one entry, unless a single command is larger.
pub(super) const BATCH_BYTES_MAX: usize = 60 * 1024;
/// Bytes of a single command: it becomes an entry alone, stored in parts.
pub(super) const COMMAND_BYTES_MAX: usize = 200 * 1024;
/// Entries under way. One is flushed while the next fills.
const DEPTH: usize = 2;
/// Commands waiting; more are refused.
const QUEUE: usize = 16 * 1024;
/// The leader's own batches waiting.
const LEADER_QUEUE: usize = 256;

/// An entry of a leader that was deposed is overwritten or committed by the next one, mostly
/// within this.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A command that waits for its answer.
pub(super) struct Single {
    pub command: EncodedCommand,
    pub reply: oneshot::Sender<Result<Committed, SubmitError>>,
}

/// Commands that the leader decided together: an entry of their own.
pub(super) struct Decided {
    pub term: u64,
    pub commands: Vec<EncodedCommand>,
    pub reply: oneshot::Sender<Result<Vec<Answer>, SubmitError>>,
}

/// Where commands enter. Cheap to clone.
#[derive(Clone)]
pub(super) struct Queues {
    pub singles: mpsc::Sender<Single>,
    /// Served first: a fire never waits for a crowd of callers.
    pub decided: mpsc::Sender<Decided>,
}

/// Holds the proposer back while leadership is handed over.
pub(super) struct Pause(watch::Sender<bool>);

/// Ends the pause when it is dropped.
pub(super) struct Paused<'a>(&'a Pause);

impl Pause {
    pub fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// None: it is paused already.
    pub fn begin(&self) -> Option<Paused<'_>> {
        let begun = self.0.send_if_modified(|paused| !std::mem::replace(paused, true));
        // Not made before it is known: dropped, it would end the pause of the other one.
        if begun { Some(Paused(self)) } else { None }
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.0.send_replace(false);
    }
}

/// The only writer of entries.
pub(super) struct Proposer {
    raft: Raft,
    leadership: watch::Receiver<Leadership>,
    singles: mpsc::Receiver<Single>,
    decided: mpsc::Receiver<Decided>,
    /// Taken from the queue, but too large for the entry before.
    held: Option<Single>,
    depth: Arc<Semaphore>,
    paused: watch::Receiver<bool>,
}

enum Next {
    Singles(Vec<Single>),
    Decided(Decided),
}

impl Proposer {
    pub fn new(
        raft: Raft,
        leadership: watch::Receiver<Leadership>,
        pause: &Pause,
    ) -> (Self, Queues) {
        let (singles_in, singles) = mpsc::channel(QUEUE);
        let (decided_in, decided) = mpsc::channel(LEADER_QUEUE);
        let depth = Arc::new(Semaphore::new(DEPTH));
        let paused = pause.0.subscribe();
        let proposer = Self { raft, leadership, singles, decided, held: None, depth, paused };
        (proposer, Queues { singles: singles_in, decided: decided_in })
    }

    /// Runs until `stop` turns true and the queues are empty, and every answer is given.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let Ok(permit) = Arc::clone(&self.depth).acquire_owned().await else {
                return;
            };
            let next = tokio::select! {
                biased;
                next = self.next() => next,
                // Only once nothing is waiting: what was accepted is answered.
                _ = stop.wait_for(|stop| *stop) => break,
            };
            // Bounded: a handing over ends, well or not. An error: nobody can pause any more.
            let _ = self.paused.wait_for(|paused| !*paused).await;
            match next {
                Next::Singles(singles) => self.send_singles(singles, permit).await,
                Next::Decided(decided) => self.send_decided(decided, permit).await,
            }
        }
        // Nothing is sent any more; what is under way still answers.
        self.singles.close();
        self.decided.close();
        while let Ok(late) = self.singles.try_recv() {
            refuse(late.reply, SubmitError::Stopping);
        }
        while let Ok(late) = self.decided.try_recv() {
            refuse(late.reply, SubmitError::Stopping);
        }
        let _all = self.depth.acquire_many(DEPTH as u32).await;
    }

    async fn next(&mut self) -> Next {
        if let Some(held) = self.held.take() {
            return Next::Singles(self.fill(held));
        }
        tokio::select! {
            biased;
            Some(decided) = self.decided.recv() => Next::Decided(decided),
            Some(single) = self.singles.recv() => Next::Singles(self.fill(single)),
            else => std::future::pending().await,
        }
    }

    /// Adds what else is waiting, as far as it fits.
    fn fill(&mut self, first: Single) -> Vec<Single> {
        let mut bytes = first.command.size();
        let mut batch = vec![first];
        while batch.len() < COMMANDS_MAX
            && bytes < BATCH_BYTES_MAX
            && let Ok(single) = self.singles.try_recv()
        {
            bytes += single.command.size();
            if bytes > BATCH_BYTES_MAX {
                self.held = Some(single);
                break;
            }
            batch.push(single);
        }
        batch
    }

    async fn send_singles(&self, singles: Vec<Single>, permit: OwnedSemaphorePermit) {
        // Who gave up was told that it is unknown. A leader that was cut off for a while must not
        // carry out afterwards what was decided on long before, and nobody waits for.
        let awaited = singles.into_iter().filter(|single| !single.reply.is_closed());
        let (commands, replies): (Vec<_>, Vec<_>) =
            awaited.map(|single| (single.command, single.reply)).unzip();
        if commands.is_empty() {
            return;
        }
        self.send(commands, permit, move |outcome| match outcome {
            Ok((answers, index)) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // The caller may have given up; the command is applied all the same.
                    let _ = reply.send(Ok(Committed { answer, index }));
                }
            }
            Err(error) => replies.into_iter().for_each(|reply| refuse(reply, error.clone())),
        })
        .await;
    }

    async fn send_decided(&self, decided: Decided, permit: OwnedSemaphorePermit) {
        let Decided { term: expected, commands, reply } = decided;
        let Leadership { term: current, leader, is_leader } = *self.leadership.borrow();
        if !is_leader {
            return refuse(reply, SubmitError::NoLeader { leader });
        }
        if current != expected {
            return refuse(reply, SubmitError::TermMoved { expected, current });
        }
        self.send(commands, permit, move |outcome| {
            let _ = reply.send(outcome.map(|(answers, _)| answers));
        })
        .await;
    }

    /// Hands one entry to the library and lets `finish` have its outcome. Entries keep the order
    /// of these calls; only the waiting happens elsewhere.
    async fn send(
        &self,
        commands: Vec<EncodedCommand>,
        permit: OwnedSemaphorePermit,
        finish: impl FnOnce(Result<(Vec<Answer>, u64), SubmitError>) + Send + 'static,
    ) {
        let count = commands.len();
        let payload = Payload::new(Batch::new(commands));
        let appended = payload.appended();
        let term = self.leadership.borrow().term;
        let receiver = match self.raft.client_write_ff(payload).await {
            Ok(receiver) => receiver,
            Err(_) => return finish(Err(SubmitError::Stopping)),
        };
        let deposed = deposed(self.leadership.clone(), term);
        tokio::spawn(async move {
            let outcome = tokio::select! {
                biased;
                outcome = receiver => match outcome {
                    Ok(outcome) => judge(outcome, count, &appended),
                    Err(_) if appended.load(Ordering::Acquire) => Err(SubmitError::Unknown),
                    Err(_) => Err(SubmitError::Stopping),
                },
                () = deposed => Err(SubmitError::Unknown),
            };
            finish(outcome);
            drop(permit);
        });
    }
}

/// Resolves a while after this node stopped leading in `term`. The library forgets whom it owes
/// an answer when a checkpoint of the next leader covers the entry: whoever waits for that waits
/// for ever, and when this node leads again nothing would be proposed any more.
async fn deposed(mut leadership: watch::Receiver<Leadership>, term: u64) {
    // An error means that the node stops: the library answers, or its end is seen.
    if leadership.wait_for(|now| !now.is_leader || now.term != term).await.is_err() {
        return std::future::pending().await;
    }
    sleep(ANSWERED_WITHIN).await;
}

/// Reads the library's outcome. Its "forward to the leader" is also what an entry gets that was
/// appended here and then overwritten by a new leader, and that may live on elsewhere.
fn judge(
    outcome: ClientWriteResult<TypeConfig>,
    count: usize,
    appended: &AtomicBool,
) -> Result<(Vec<Answer>, u64), SubmitError> {
    match outcome {
        Ok(done) if done.data.0.len() == count => Ok((done.data.0, done.log_id.index)),
        Ok(_) => Err(SubmitError::Unknown),
        Err(_) if appended.load(Ordering::Acquire) => Err(SubmitError::Unknown),
        Err(ClientWriteError::ForwardToLeader(to)) => {
            Err(SubmitError::NoLeader { leader: to.leader_id })
        }
        Err(ClientWriteError::ChangeMembershipError(_)) => Err(SubmitError::Unknown),
    }
}

fn refuse<T>(reply: oneshot::Sender<Result<T, SubmitError>>, error: SubmitError) {
    let _ = reply.send(Err(error));
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_pause_that_is_refused_does_not_end_the_one_that_goes_on() {
        let pause = Pause::new();
        let first = pause.begin();
        assert!(first.is_some() && pause.begin().is_none());
        assert!(*pause.0.borrow(), "it goes on");
        drop(first);
        assert!(!*pause.0.borrow());
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_deposed_waits_for_answers_only_a_while() {
        let leads = |term| Leadership { term, leader: Some(1), is_leader: true };
        let sender = watch::Sender::new(leads(4));
        let mut waits = Box::pin(deposed(sender.subscribe(), 4));
        assert!(waits.as_mut().now_or_never().is_none(), "it leads");
        // Elected again, but what it proposed before is another term's.
        sender.send_replace(leads(6));
        let since = tokio::time::Instant::now();
        waits.await;
        assert_eq!(since.elapsed(), ANSWERED_WITHIN);
    }
}
