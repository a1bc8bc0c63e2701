//! Holds every packet of one NFQUEUE for a while: `tc netem delay` for kernels without netem.
//!
//! `netdelay QUEUE DELAY_MS [JITTER_MS]`, in the namespace whose rule sends packets to the
//! queue. The rule has `--queue-bypass`: packets pass unharmed once this program has ended.

use std::collections::VecDeque;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cluster_tests::random::Random;
use nfq::{Message, Queue, Verdict};

/// `ENOBUFS`.
const NO_BUFFERS: i32 = 105;

fn main() -> io::Result<()> {
    let words: Vec<u64> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let (number, delay) = match words[..] {
        [number, delay, ..] => (u16::try_from(number).unwrap_or(u16::MAX), delay),
        _ => return Err(io::Error::other("usage: netdelay QUEUE DELAY_MS [JITTER_MS]")),
    };
    let jitter = words.get(2).copied().unwrap_or(0);
    let mut random = Random::new(number.into(), "netdelay");
    let mut queue = Queue::open()?;
    queue.bind(number)?;
    queue.set_nonblocking(true);
    let mut held: VecDeque<(Instant, Message)> = VecDeque::new();
    loop {
        match queue.recv() {
            Ok(packet) => {
                let wait = Duration::from_millis(delay + random.within(0, jitter));
                held.push_back((Instant::now() + wait, packet));
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A packet that was held is gone: the rules were written anew. And where more comes
            // than is taken in, packets are lost, as on any link.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => {}
            Err(error) => return Err(error),
        }
        // In order of arrival, so that jitter does not reorder a stream.
        while held.front().is_some_and(|(due, _)| *due <= Instant::now()) {
            if let Some((_, mut packet)) = held.pop_front() {
                packet.set_verdict(Verdict::Accept);
                // An error says that it is gone: its rule is, and what it held with it.
                let _ = queue.verdict(packet);
            }
        }
        sleep(Duration::from_millis(1));
    }
}
