use super::*;
use crate::machine::{Command, Output, apply_entry};
use crate::model::Timestamp;
use uuid::Uuid;

const OWN: NodeId = 1;
const OTHER: NodeId = 2;
const OLD: BootId = Uuid::from_u128(1);
const NEW: BootId = Uuid::from_u128(2);

fn does(state: &mut State, op: Op) {
    let at = Timestamp::parse("2027-01-04T00:00:00Z").unwrap();
    let command = Command { at, actor: None, request: None, op };
    let done = apply_entry(state, 1, &[command], &mut Output::default());
    assert!(done[0].is_ok(), "{done:?}");
}

fn up(state: &mut State, node: NodeId, boot: BootId) {
    let (address, api, labels) = ("a".to_string(), String::new(), Default::default());
    does(state, Op::NodeUp { node, boot, address, api, slots: 2, labels });
}

fn two() -> State {
    let mut state = State::default();
    up(&mut state, OWN, NEW);
    up(&mut state, OTHER, NEW);
    state
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The verdict about the other node `now` seconds after `zero`, its boot heard of as told.
fn given_up(
    state: &State,
    zero: Instant,
    began: u64,
    last: Option<(BootId, u64)>,
    now: u64,
) -> bool {
    let at = |n| zero + secs(n);
    let heard = last.map(|(boot, n)| (OTHER, Heard { boot, at: at(n) }));
    let heard = heard.into_iter().collect();
    let ops = verdicts(state, &heard, OWN, at(began), at(now));
    assert!(ops.iter().all(|op| *op == Op::NodeLost { node: OTHER, boot: NEW }), "{ops:?}");
    !ops.is_empty()
}

#[test]
fn a_node_is_given_up_after_lease_and_grace_since_it_was_heard_or_the_term_began() {
    let state = two();
    let zero = Instant::now();
    let rows = [
        // (term began, last heard of, now, given up)
        (0, None, 12, false),
        (0, None, 13, true),
        (0, Some((NEW, 100)), 112, false),
        (0, Some((NEW, 100)), 113, true),
        // A new leader has heard of it before, as a follower: its term counts.
        (100, Some((NEW, 1)), 112, false),
        (100, Some((NEW, 1)), 113, true),
        // An earlier boot says nothing about this one.
        (0, Some((OLD, 100)), 12, false),
        (0, Some((OLD, 100)), 101, true),
        // Heard of after this look began.
        (0, Some((NEW, 100)), 90, false),
    ];
    for (began, last, now, want) in rows {
        let have = given_up(&state, zero, began, last, now);
        assert_eq!(have, want, "began {began}, heard {last:?}, now {now}");
    }
}

#[test]
fn a_node_with_nothing_to_lose_is_left_alone() {
    let zero = Instant::now();
    let mut state = two();
    does(&mut state, Op::NodeDraining { node: OTHER, boot: NEW });
    assert!(!given_up(&state, zero, 0, None, 1_000), "it left in order");
    up(&mut state, OTHER, NEW);
    assert!(given_up(&state, zero, 0, None, 1_000));
    does(&mut state, Op::NodeLost { node: OTHER, boot: NEW });
    assert!(!given_up(&state, zero, 0, None, 1_000), "it is given up already");
    does(&mut state, Op::NodeRemoved { node: OTHER });
    assert!(!given_up(&state, zero, 0, None, 1_000), "it is no member");
}

#[test]
fn the_leader_never_gives_itself_up() {
    let mut state = State::default();
    up(&mut state, OWN, NEW);
    let zero = Instant::now();
    assert!(verdicts(&state, &BTreeMap::new(), OWN, zero, zero + secs(1_000)).is_empty());
}

#[test]
fn a_boot_counts_from_when_it_was_first_seen_or_last_heard() {
    let zero = Instant::now();
    let (mut state, mut first) = (two(), FirstSeen::default());
    let at = |n| zero + secs(n);
    let heard = |boot, n| BTreeMap::from([(OTHER, Heard { boot, at: at(n) })]);
    let none = BTreeMap::new;
    assert_eq!(first.add_to(none(), &state, at(1))[&OTHER].at, at(1));
    assert_eq!(first.add_to(none(), &state, at(5))[&OTHER].at, at(1));
    assert_eq!(first.add_to(heard(NEW, 4), &state, at(5))[&OTHER].at, at(4));
    assert_eq!(first.add_to(heard(OLD, 4), &state, at(5))[&OTHER].at, at(1));
    // Started again: the new boot counts from when it is seen.
    let newest = Uuid::from_u128(3);
    up(&mut state, OTHER, newest);
    let seen = first.add_to(heard(NEW, 8), &state, at(9));
    assert_eq!(seen[&OTHER], Heard { boot: newest, at: at(9) });
    // Given up and back.
    does(&mut state, Op::NodeLost { node: OTHER, boot: newest });
    assert!(!first.add_to(none(), &state, at(20)).contains_key(&OTHER));
    up(&mut state, OTHER, newest);
    assert_eq!(first.add_to(none(), &state, at(30))[&OTHER].at, at(30));
}

#[test]
fn nothing_is_given_to_a_node_that_is_silent() {
    let (mut state, zero) = (two(), Instant::now());
    let asked = |state: &State, last: Option<(BootId, u64)>, now: u64| {
        let heard = last.map(|(boot, n)| (OTHER, Heard { boot, at: zero + secs(n) }));
        let silent = silent_at(state, &heard.into_iter().collect(), OWN, zero + secs(now));
        assert!(!silent.contains(&OWN), "the leader hears itself");
        silent.contains(&OTHER)
    };
    assert!(asked(&state, None, 0), "not heard of yet");
    assert!(!asked(&state, Some((NEW, 5)), 6));
    assert!(asked(&state, Some((NEW, 5)), 7));
    assert!(asked(&state, Some((OLD, 5)), 5), "that was its boot before");
    up(&mut state, OTHER, Uuid::from_u128(3));
    assert!(asked(&state, Some((NEW, 5)), 5), "it was started again");
}
