//! Moves output from the pipes through [`Capture`] to the channel.
//!
//! Reading never waits for the channel: what its receiver has not taken yet stays here,
//! within the attempt's output allowance. So a slow receiver neither loses output, nor
//! stalls the process, nor stands in the way of a kill.

use std::future::{pending, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep_until};

use super::capture::{Capture, Chunk};
use super::limits::READ_BYTES;
use crate::model::LogStream;

/// The output side of one attempt.
pub(super) struct Pump {
    pub(super) capture: Capture,
    output: Sender<Vec<Chunk>>,
    /// Nobody takes the output any more.
    deaf: bool,
    pipes: [Option<Receiver>; 2],
    /// Which pipe is asked first: the one that was not read last.
    turn: usize,
    buffer: Vec<u8>,
    last_read: Instant,
}

impl Pump {
    pub(super) fn new(capture: Capture, output: Sender<Vec<Chunk>>) -> Self {
        Self {
            capture,
            output,
            deaf: false,
            pipes: [None, None],
            turn: 0,
            buffer: Vec::new(),
            last_read: Instant::now(),
        }
    }

    /// Takes the reading ends of a process's stdout and stderr.
    pub(super) fn attach(&mut self, stdout: OwnedFd, stderr: OwnedFd) -> std::io::Result<()> {
        self.buffer = vec![0; READ_BYTES];
        self.pipes =
            [Some(Receiver::from_owned_fd(stdout)?), Some(Receiver::from_owned_fd(stderr)?)];
        Ok(())
    }

    /// Whether every pipe was read to its end.
    pub(super) fn at_end(&self) -> bool {
        self.pipes.iter().all(Option::is_none)
    }

    /// When bytes last came in.
    pub(super) fn last_read(&self) -> Instant {
        self.last_read
    }

    /// One piece of work: send a batch, flush, or read. Never returns when there is nothing
    /// left to do. Dropping the future loses nothing.
    pub(super) async fn step(&mut self) {
        let Self { capture, output, deaf, pipes, turn, buffer, last_read } = self;
        if *deaf {
            capture.discard_ready();
        }
        let flush_at = capture.flush_at();
        let ready = capture.has_ready();
        tokio::select! {
            biased;
            permit = output.reserve(), if ready => match permit {
                Ok(permit) => permit.send(capture.next_ready().unwrap_or_default()),
                Err(_) => *deaf = true,
            },
            () = wait_until(flush_at), if flush_at.is_some() => capture.flush(),
            (at, length) = read(pipes, *turn, buffer) => {
                *turn = 1 - at;
                if length == 0 {
                    pipes[at] = None;
                } else {
                    *last_read = Instant::now();
                    capture.feed(STREAMS[at], &buffer[..length]);
                }
            }
        }
    }

    /// Reads what is in the pipes now, without asking the runtime whether anything is.
    /// Bounded, since a stray process may be writing at the other end.
    pub(super) fn drain_now(&mut self) {
        const ROUNDS_MAX: usize = 32;
        let Self { capture, pipes, buffer, last_read, .. } = self;
        for (slot, stream) in pipes.iter_mut().zip(STREAMS) {
            for _ in 0..ROUNDS_MAX {
                let Some(pipe) = slot else { break };
                match rustix::io::read(pipe, &mut *buffer) {
                    Ok(0) => *slot = None,
                    Ok(length) => {
                        *last_read = Instant::now();
                        capture.feed(stream, &buffer[..length]);
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// Lets go of the pipes, whoever still holds the other ends.
    pub(super) fn close(&mut self) {
        self.pipes = [None, None];
    }

    /// Sends everything that is kept; waits for the receiver as long as there is one.
    /// Returns bytes seen, and whether some were left out.
    pub(super) async fn finish(mut self) -> (u64, bool) {
        let totals = self.capture.finish();
        while let Some(batch) = self.capture.next_ready() {
            if self.output.send(batch).await.is_err() {
                break;
            }
        }
        totals
    }
}

const STREAMS: [LogStream; 2] = [LogStream::Stdout, LogStream::Stderr];

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

/// Bytes, or 0 for the end, of the first pipe that has something; a broken pipe has ended.
async fn read(pipes: &mut [Option<Receiver>; 2], turn: usize, buffer: &mut [u8]) -> (usize, usize) {
    poll_fn(|context| {
        for at in [turn, 1 - turn] {
            if let Some(pipe) = &mut pipes[at]
                && let Poll::Ready(length) = poll_pipe(pipe, buffer, context)
            {
                return Poll::Ready((at, length));
            }
        }
        Poll::Pending
    })
    .await
}

fn poll_pipe(pipe: &mut Receiver, buffer: &mut [u8], context: &mut Context<'_>) -> Poll<usize> {
    let mut buffer = ReadBuf::new(buffer);
    match Pin::new(pipe).poll_read(context, &mut buffer) {
        Poll::Ready(Ok(())) => Poll::Ready(buffer.filled().len()),
        Poll::Ready(Err(_)) => Poll::Ready(0),
        Poll::Pending => Poll::Pending,
    }
}
