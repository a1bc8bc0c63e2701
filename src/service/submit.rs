//! The way of a write: prepare on the present state, submit, and prepare again when the
//! state moved meanwhile.
//!
//! A repeated request is answered from the state before it is prepared: what was right the
//! first time (there is no such job yet) need not be right now.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument;

use super::caller::Granted;
use super::{Caller, Error, Meta, Service, WriteOptions};
use crate::consensus::{Intended, SubmitError, beside};
use crate::machine::command::{Op, RequestKey};
use crate::machine::prepare::{Intent, prepare};
use crate::machine::{Output, Rejection, Reply, State, apply_entry};
use crate::model::{Actor, RunId, Timestamp, limits};

/// Times a write is prepared.
const ATTEMPTS_MAX: usize = 5;
/// After this a write is not sent again. An answer that is under way is still waited for.
const RESEND_WITHIN: Duration = Duration::from_secs(15);
/// How long a write waits for a leader to be elected.
const LEADER_PATIENCE: Duration = Duration::from_secs(3);
/// Between a write without an answer and the same again.
const RESEND_PAUSE: Duration = Duration::from_millis(50);

/// A write that was carried out, or would be.
pub(super) struct Done {
    pub reply: Reply,
    pub meta: Meta,
}

/// A write that was only tried, on a copy.
pub(super) struct Judged {
    pub after: State,
    pub output: Output,
    pub done: Done,
}

impl Service {
    /// Carries out what `intend` wants of the present state, or with `dry_run` only judges it.
    pub(super) async fn write(
        &self,
        c: &Caller,
        o: WriteOptions,
        intend: impl Fn(&State) -> Result<Granted, Error>,
    ) -> Result<Meta, Error> {
        if o.dry_run {
            let state = self.consensus().state();
            return Ok(self.judge(c, &state, intend(&state)?)?.done.meta);
        }
        Ok(self.submit(c, o.request, intend).await?.meta)
    }

    /// Carries out what `intend` wants of the present state. It is asked again for each
    /// state that the write is prepared on, so its checks hold for the one that counts.
    pub(super) async fn submit(
        &self,
        c: &Caller,
        request: Option<RequestKey>,
        intend: impl Fn(&State) -> Result<Granted, Error>,
    ) -> Result<Done, Error> {
        self.carried(c, request, intend).instrument(tracing::debug_span!("write")).await
    }

    async fn carried(
        &self,
        c: &Caller,
        request: Option<RequestKey>,
        intend: impl Fn(&State) -> Result<Granted, Error>,
    ) -> Result<Done, Error> {
        let began = Instant::now();
        let (mut stale, mut confirmed) = (0, false);
        loop {
            let state = self.consensus().state();
            if let Some(done) = self.replay(c, &state, request)? {
                return Ok(done);
            }
            let intent = match intend(&state) {
                Ok(granted) => granted.into_intent(),
                // A leader that was cut off may see what has long been changed elsewhere.
                Err(_) if !confirmed => {
                    self.catch_up().await?;
                    confirmed = true;
                    continue;
                }
                Err(refused) => return Err(refused),
            };
            drop(state);
            let actor = Some(c.actor.clone());
            let error = match self.consensus().submit(Intended::new(intent, actor, request)).await {
                Ok(committed) => match committed.answer {
                    Ok(reply) => {
                        let (reply, replayed) = reply.unwrap_replay();
                        if replayed {
                            may_see(c, &self.consensus().state(), &reply)?;
                        }
                        return Ok(Done { reply, meta: Meta { index: committed.index, replayed } });
                    }
                    Err(Rejection::Stale) if stale + 1 < ATTEMPTS_MAX => {
                        stale += 1;
                        continue;
                    }
                    Err(Rejection::Ahead { run, until }) if began.elapsed() < RESEND_WITHIN => {
                        self.take_back(run, until).await;
                        continue;
                    }
                    Err(rejection) => return Err(rejection.into()),
                },
                Err(error) => error,
            };
            let again = match &error {
                SubmitError::Unknown => request.is_some(),
                SubmitError::NoLeader { .. } => {
                    began.elapsed() < LEADER_PATIENCE && self.leader_comes().await
                }
                _ => false,
            };
            if !again || began.elapsed() >= RESEND_WITHIN {
                return Err(error.into());
            }
            sleep(RESEND_PAUSE).await;
        }
    }

    /// Carries out what nobody in particular wants: work that tells of itself.
    pub(super) async fn submit_unowned(&self, intent: Intent) -> Result<(), Error> {
        let (began, mut stale) = (Instant::now(), 0);
        loop {
            let error =
                match self.consensus().submit(Intended::new(intent.clone(), None, None)).await {
                    Ok(committed) => match committed.answer {
                        Ok(_) => return Ok(()),
                        Err(Rejection::Stale) if stale + 1 < ATTEMPTS_MAX => {
                            stale += 1;
                            continue;
                        }
                        Err(rejection) => return Err(rejection.into()),
                    },
                    Err(error) => error,
                };
            let again = matches!(error, SubmitError::NoLeader { .. })
                && began.elapsed() < LEADER_PATIENCE
                && self.leader_comes().await;
            if !again {
                return Err(error.into());
            }
            sleep(RESEND_PAUSE).await;
        }
    }

    /// Asks for a planned start back, and waits until its node has given it back or its time
    /// has come. That it worked shows in the state only: whoever asked prepares again.
    async fn take_back(&self, run: RunId, until: Timestamp) {
        let mut applied = self.consensus().applied();
        let withdraw = Intent::Plain(Box::new(Op::Withdraw { run }));
        // Refused once the time has come, which log time has then reached.
        if let Err(error) = self.consensus().submit(Intended::new(withdraw, None, None)).await {
            tracing::debug!(%run, %error, "a planned start could not be asked for");
            return sleep(RESEND_PAUSE).await;
        }
        let planned = |state: &State| state.ahead(run.job_no()).is_some_and(|(id, _)| id == run);
        let given_back = async {
            while planned(&self.consensus().state()) {
                if applied.changed().await.is_err() {
                    return;
                }
            }
        };
        let left = until.since(self.now()).std();
        let _ = timeout(left.clamp(RESEND_PAUSE, limits::EARLY_HORIZON.std()), given_back).await;
    }

    /// The answer to a request that was carried out before.
    pub(super) fn replay(
        &self,
        c: &Caller,
        state: &State,
        request: Option<RequestKey>,
    ) -> Result<Option<Done>, Error> {
        let Some(request) = request else { return Ok(None) };
        let Some(known) = state.idempotency.by_key.get(&request.key) else { return Ok(None) };
        if known.fingerprint != request.fingerprint {
            return Err(Error::KeyReused);
        }
        let (reply, _) = known.reply.clone().unwrap_replay();
        may_see(c, state, &reply)?;
        Ok(Some(Done { reply, meta: Meta { index: self.index(), replayed: true } }))
    }

    /// Whether a leader is known within the patience of a write.
    async fn leader_comes(&self) -> bool {
        let mut leadership = self.consensus().leadership();
        let known = leadership.wait_for(|now| now.leader.is_some());
        matches!(timeout(LEADER_PATIENCE, known).await, Ok(Ok(_)))
    }

    /// What it would do. Nothing is written.
    pub(super) fn judge(
        &self,
        c: &Caller,
        state: &State,
        granted: Granted,
    ) -> Result<Judged, Error> {
        let (mut after, mut output) = (state.clone(), Output::default());
        let reply = self.judge_on(c, &mut after, granted, &mut output)?;
        let meta = Meta { index: self.index(), replayed: false };
        Ok(Judged { after, output, done: Done { reply, meta } })
    }

    /// Carries it out on a copy of the state.
    pub(super) fn judge_on(
        &self,
        c: &Caller,
        copy: &mut State,
        granted: Granted,
        output: &mut Output,
    ) -> Result<Reply, Error> {
        let (intent, actor) = (granted.into_intent(), Some(c.actor.clone()));
        match self.judge_once(copy, intent.clone(), actor.clone(), output) {
            // When it is written, the planned start is taken back first.
            Err(Rejection::Ahead { run, .. }) => {
                for op in as_if_taken_back(copy, run) {
                    let _ = self.judge_once(copy, Intent::Plain(Box::new(op)), None, output);
                }
                Ok(self.judge_once(copy, intent, actor, output)?)
            }
            answer => Ok(answer?),
        }
    }

    fn judge_once(
        &self,
        copy: &mut State,
        intent: Intent,
        actor: Option<Actor>,
        output: &mut Output,
    ) -> Result<Reply, Rejection> {
        let command = beside(|| prepare(copy, intent, self.now(), actor, None))?;
        let index = self.index().saturating_add(1);
        let answers = apply_entry(copy, index, &[command], output);
        // One command has one answer.
        let answer = answers.into_iter().next().unwrap_or(Err(Rejection::Stale));
        Ok(answer?.unwrap_replay().0)
    }
}

/// Refuses an answer that was given when more was in the caller's scope, or to a token that could
/// do more.
fn may_see(c: &Caller, state: &State, reply: &Reply) -> Result<(), Error> {
    let no = match reply {
        Reply::Job { no, .. } => *no,
        Reply::Run { id } => id.job_no(),
        Reply::Backfill { id } => match state.backfills.all.get(id) {
            Some(backfill) => backfill.no,
            None => return Ok(()),
        },
        _ => return Ok(()),
    };
    let seen = match state.jobs.get(&no) {
        Some(job) => c.sees(job.spec.name.as_str(), &job.spec.tags),
        None => c.scope.is_all(),
    };
    if seen {
        return Ok(());
    }
    Err(Error::Forbidden("what that request did is outside of the caller's jobs by now".into()))
}

/// What the log says when a planned start is taken back.
fn as_if_taken_back(state: &State, run: RunId) -> Vec<Op> {
    let held = state.runs.get(&run).and_then(|open| open.held().map(|held| (open, held)));
    let Some((open, (fence, _))) = held else { return Vec::new() };
    let attempt = open.run.attempt;
    vec![Op::Withdraw { run }, Op::Unbegun { run, attempt, fence }]
}
