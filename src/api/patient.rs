//! A stream to a client, whose answers have to be read: what stays unread for long ends it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// Bytes that a client has to take within the patience, where so many wait.
const TAKEN_MIN: usize = 16 * 1024;
/// The patience once the node stops.
const HURRY: Duration = Duration::from_secs(1);

/// A stream that gives up a client who does not read.
pub(super) struct Patient<S> {
    inner: S,
    patience: Duration,
    hurry: Arc<AtomicBool>,
    waiting: Option<Waiting>,
}

/// Since when something waits to be taken.
struct Waiting {
    over: Pin<Box<Sleep>>,
    hurried: bool,
    taken: usize,
}

impl<S> Patient<S> {
    /// `hurry` turns true once the node stops.
    pub(super) fn new(inner: S, patience: Duration, hurry: Arc<AtomicBool>) -> Self {
        Patient { inner, patience, hurry, waiting: None }
    }

    fn took(&mut self, count: usize) {
        if let Some(waiting) = &mut self.waiting {
            waiting.taken += count;
            if waiting.taken >= TAKEN_MIN {
                self.waiting = None;
            }
        }
    }

    /// The client takes nothing just now.
    fn stuck<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.patience;
        let waiting = self.waiting.get_or_insert_with(|| Waiting {
            over: Box::pin(sleep(patience)),
            hurried: false,
            taken: 0,
        });
        if !waiting.hurried && self.hurry.load(Ordering::Relaxed) {
            waiting.hurried = true;
            let soon = Instant::now() + HURRY;
            if soon < waiting.over.deadline() {
                waiting.over.as_mut().reset(soon);
            }
        }
        match waiting.over.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => {
                let why = "the client does not read its answer";
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
        }
    }

    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match done {
            Poll::Pending => self.stuck(cx),
            Poll::Ready(Ok(count)) => {
                self.took(count);
                Poll::Ready(Ok(count))
            }
            failed => failed,
        }
    }

    /// All that waited is taken, or nothing of it.
    fn all_out(
        &mut self,
        cx: &mut Context<'_>,
        done: Poll<io::Result<()>>,
    ) -> Poll<io::Result<()>> {
        match done {
            Poll::Pending => self.stuck(cx),
            done => {
                self.waiting = None;
                done
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.wrote(cx, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.wrote(cx, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(cx);
        self.all_out(cx, done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.all_out(cx, done)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_ends_the_stream() {
        let (mut client, server) = duplex(1024);
        let hurry = Arc::new(AtomicBool::new(false));
        let mut server = Patient::new(server, PATIENCE, Arc::clone(&hurry));
        let began = Instant::now();
        let failed = server.write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), PATIENCE.as_secs());

        // A byte now and then is no reading, a share of it is.
        client.read_exact(&mut [0; 1024]).await.unwrap();
        let mut server = Patient::new(server.inner, PATIENCE, hurry);
        let began = Instant::now();
        let drip = tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if client.read_u8().await.is_err() {
                    return;
                }
            }
        });
        assert!(server.write_all(&[0; 64 * 1024]).await.is_err());
        assert!(began.elapsed() <= PATIENCE * 2, "{:?}", began.elapsed());
        drip.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_reads_is_served_however_long_it_takes_and_a_stop_hurries() {
        let (mut client, server) = duplex(4096);
        let hurry = Arc::new(AtomicBool::new(false));
        let mut server = Patient::new(server, PATIENCE, Arc::clone(&hurry));
        let reading = tokio::spawn(async move {
            for _ in 0..64 {
                tokio::time::sleep(Duration::from_secs(2)).await;
                client.read_exact(&mut [0; 4096]).await.unwrap();
            }
            client
        });
        server.write_all(&[0; 64 * 4096]).await.unwrap();
        server.flush().await.unwrap();
        let client = reading.await.unwrap();
        hurry.store(true, Ordering::Relaxed);
        let began = Instant::now();
        assert!(server.write_all(&[0; 64 * 1024]).await.is_err());
        assert_eq!(began.elapsed().as_secs(), HURRY.as_secs());
        drop(client);
    }
}
