//! Seats of a pool: each node finds its own again, and nobody begins a second cluster.

use std::fs;
use std::path::Path;
use std::thread;

use super::super::{DataDirectory, Identities, Identity, Seat};

/// Uses the data directory of a seat as a node does that is of `cluster`.
fn of_cluster(seat: &Seat, cluster: &str) {
    let new = Identity::generate(1).unwrap();
    let directory = DataDirectory::open(&seat.data, &new).unwrap();
    let identity = directory.identity().clone();
    let identities = Identities::in_directory(directory.identity_file(), identity);
    identities.change(|identity| identity.cluster_id = cluster.to_owned()).unwrap();
}

fn take(pool: &Path, host: &str) -> Seat {
    Seat::take(pool, host).unwrap()
}

#[test]
fn nodes_that_start_together_take_different_seats() {
    let pool = tempfile::tempdir().unwrap();
    let path = pool.path();
    let mut numbers: Vec<usize> = thread::scope(|scope| {
        let takers: Vec<_> =
            (0..8).map(|n| scope.spawn(move || take(path, &format!("host{n}")))).collect();
        // All are held until all are taken.
        let seats: Vec<Seat> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        seats.iter().map(|seat| seat.number).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn a_host_that_comes_back_takes_its_seat_and_a_new_one_the_first_that_is_free() {
    let pool = tempfile::tempdir().unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|host| take(pool.path(), host));
    assert_eq!([a.number, b.number, c.number], [1, 2, 3]);
    drop((a, c));
    let c = take(pool.path(), "c");
    assert_eq!(c.number, 3, "although 1 is free");
    assert_eq!(c.data, pool.path().join("3"));
    let d = take(pool.path(), "d");
    assert_eq!(d.number, 1);
    let a = take(pool.path(), "a");
    assert_eq!(a.number, 4, "its own is taken by now");
}

#[test]
fn a_pool_is_formed_as_soon_as_one_of_it_is_of_a_cluster() {
    let pool = tempfile::tempdir().unwrap();
    let first = take(pool.path(), "a");
    assert!(!first.formed);
    // A directory that is of none yet does not count.
    of_cluster(&first, "");
    assert!(!take(pool.path(), "b").formed);
    of_cluster(&first, "c");
    assert!(take(pool.path(), "b").formed);
}

#[test]
fn the_first_seat_without_its_data_sees_that_others_are_of_a_cluster() {
    let pool = tempfile::tempdir().unwrap();
    let (first, second) = (take(pool.path(), "a"), take(pool.path(), "b"));
    of_cluster(&first, "c");
    of_cluster(&second, "c");
    fs::remove_dir_all(&first.data).unwrap();
    drop(first);
    drop(second);
    let again = take(pool.path(), "a");
    assert_eq!((again.number, again.formed), (1, true));
    // What can't be read may be of one.
    fs::remove_dir_all(pool.path().join("2")).unwrap();
    fs::create_dir_all(pool.path().join("2")).unwrap();
    fs::write(pool.path().join("2/FORMAT"), "not what it was").unwrap();
    drop(again);
    assert!(take(pool.path(), "a").formed);
}

#[test]
fn a_full_pool_says_so() {
    let pool = tempfile::tempdir().unwrap();
    let held: Vec<Seat> = (0..crate::model::limits::POOL_SEATS_MAX)
        .map(|n| take(pool.path(), &n.to_string()))
        .collect();
    let error = Seat::take(pool.path(), "late").unwrap_err().to_string();
    assert!(error.starts_with("all 64 seats of the pool"), "{error}");
    drop(held);
}
