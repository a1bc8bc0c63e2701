//! The network of the lab does what is asked of it, or the tests on it prove nothing.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use cluster_tests::harness::lab::{Lab, Link};
use cluster_tests::harness::skipped;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const PORT: u16 = 7000;
const PATIENCE: Duration = Duration::from_millis(400);
/// Tries when packets are lost: all of them are hardly ever.
const TRIES: usize = 12;

/// Does something on a thread that lives in a node's namespace.
fn within<T: Send + 'static>(
    lab: &Lab,
    node: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let namespace = File::open(lab.namespace(node)).expect("it was made");
    thread::spawn(move || {
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(namespace.as_fd(), kind).expect("this is root");
        work()
    })
}

/// A server on a node that sends back what it gets, for as long as the test runs.
fn serve(lab: &Lab, node: usize) {
    let address = SocketAddr::from((lab.address(node), PORT));
    let bound = within(lab, node, move || TcpListener::bind(address).expect("a free port"));
    let listener = bound.join().expect("it listens");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
            });
        }
    });
}

/// How long a connection and an answer take from one node to another; none: too long.
fn ask(lab: &Lab, from: usize, to: usize) -> Option<Duration> {
    let address = SocketAddr::from((lab.address(to), PORT));
    let asked = within(lab, from, move || {
        let begin = Instant::now();
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.write_all(b"?").ok()?;
        stream.read_exact(&mut [0]).ok()?;
        Some(begin.elapsed())
    });
    asked.join().expect("it gives up in time")
}

#[test]
fn links_are_cut_lossy_and_slow_as_told_and_whole_again() {
    let lab = match Lab::up(3) {
        Ok(lab) => lab,
        Err(why) => return skipped("the lab", &why),
    };
    (0..3).for_each(|node| serve(&lab, node));
    let whole = || (0..3).all(|from| (0..3).all(|to| ask(&lab, from, to).is_some()));
    assert!(whole());
    lab.isolate(1).expect("this is root");
    assert!(ask(&lab, 0, 1).is_none() && ask(&lab, 1, 2).is_none() && ask(&lab, 2, 1).is_none());
    assert!(ask(&lab, 0, 2).is_some(), "the others are not cut off");
    let own = SocketAddr::from((lab.address(1), PORT));
    assert!(TcpStream::connect_timeout(&own, PATIENCE).is_ok(), "this process is not cut off");
    lab.heal().expect("this is root");
    assert!(whole());
    // Packets from 0 to 1: answers of 0 to what 1 asks are among them.
    lab.set(0, 1, Link { cut: true, ..Link::default() }).expect("this is root");
    assert!(ask(&lab, 0, 1).is_none() && ask(&lab, 1, 0).is_none());
    assert!(ask(&lab, 0, 2).is_some() && ask(&lab, 2, 1).is_some());
    lab.heal().expect("this is root");
    lab.set(0, 1, Link { loss_percent: 60, ..Link::default() }).expect("this is root");
    let answered = (0..TRIES).filter(|_| ask(&lab, 0, 1).is_some()).count();
    assert!(answered < TRIES, "no packet was lost");
    lab.heal().expect("this is root");
    assert!(whole());
    let slow = Link { delay_ms: 80, ..Link::default() };
    match lab.set(0, 1, slow) {
        Err(why) => skipped("slow links", &why),
        Ok(()) => {
            let took = ask(&lab, 0, 1).expect("slow, and not cut");
            assert!(took >= Duration::from_millis(160), "{took:?} for two packets");
            lab.heal().expect("this is root");
            let took = ask(&lab, 0, 1).expect("it is whole");
            assert!(took < Duration::from_millis(80), "{took:?} after it was healed");
        }
    }
}
