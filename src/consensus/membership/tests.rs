use super::*;

const SHORT: Duration = Duration::from_millis(900);
const LONG: Duration = Duration::from_secs(31);

/// Node 1 leads and all are alive and caught up; `voters` of `nodes` vote.
fn view(voters: &[NodeId], nodes: &[NodeId]) -> View {
    let addr = |node: &NodeId| (*node, format!("n{node}:1"));
    View {
        joint: false,
        own: 1,
        wanted: 3,
        voters: voters.iter().copied().collect(),
        nodes: nodes.iter().map(addr).collect(),
        told: nodes.iter().map(addr).collect(),
        silent: nodes.iter().map(|node| (*node, SHORT)).collect(),
        lacks: nodes.iter().map(|node| (*node, 0)).collect(),
        leaving: BTreeSet::new(),
    }
}

#[test]
fn a_complete_membership_is_left_alone() {
    assert_eq!(next_change(&view(&[1, 2, 3], &[1, 2, 3])), None);
    assert_eq!(next_change(&view(&[1, 2, 3], &[1, 2, 3, 4, 5])), None);
    assert_eq!(next_change(&view(&[1], &[1])), None);
}

#[test]
fn a_node_gets_a_vote_while_some_are_wanted() {
    assert_eq!(next_change(&view(&[1], &[1, 2])), Some(Change::Promote { node: 2 }));
    assert_eq!(next_change(&view(&[1, 2], &[1, 2, 5])), Some(Change::Promote { node: 5 }));
}

#[test]
fn a_node_without_a_vote_gets_none_before_it_has_caught_up_and_speaks() {
    let mut behind = view(&[1], &[1, 2]);
    behind.lacks.insert(2, CAUGHT_UP + 1);
    assert_eq!(next_change(&behind), None);
    let mut unknown = view(&[1], &[1, 2]);
    unknown.lacks.remove(&2);
    assert_eq!(next_change(&unknown), None);
    let mut silent = view(&[1], &[1, 2]);
    silent.silent.insert(2, ALIVE);
    assert_eq!(next_change(&silent), None);
}

#[test]
fn a_silent_voter_keeps_its_vote_for_a_while_and_as_long_as_nobody_can_take_it() {
    let mut silent = view(&[1, 2, 3], &[1, 2, 3, 4]);
    silent.silent.insert(2, DEAD - Duration::from_secs(1));
    assert_eq!(next_change(&silent), None);
    silent.silent.insert(2, LONG);
    assert_eq!(next_change(&silent), Some(Change::Relieve { node: 2, by: 4 }));
    silent.silent.insert(4, LONG);
    assert_eq!(next_change(&silent), None);
}

#[test]
fn who_stops_gives_its_vote_to_one_that_stays() {
    let mut stops = view(&[1, 2, 3], &[1, 2, 3, 4, 5]);
    stops.leaving = BTreeSet::from([2, 4]);
    assert_eq!(next_change(&stops), Some(Change::Relieve { node: 2, by: 5 }));
    // Nobody who stays can take it.
    stops.leaving.insert(5);
    assert_eq!(next_change(&stops), None);
    // The leader hands leadership over first.
    let mut leads = view(&[1, 2, 3], &[1, 2, 3, 4]);
    leads.leaving.insert(1);
    assert_eq!(next_change(&leads), None);
}

#[test]
fn the_leader_is_never_silent_to_itself() {
    let mut own = view(&[1, 2, 3], &[1, 2, 3, 4]);
    own.silent.insert(1, LONG);
    assert_eq!(next_change(&own), None);
}

#[test]
fn a_node_that_moved_is_noted_where_it_is() {
    let mut moved = view(&[1, 2, 3], &[1, 2, 3]);
    moved.told.insert(2, "elsewhere:1".into());
    let change = Change::Moved { node: 2, addr: "elsewhere:1".into() };
    assert_eq!(next_change(&moved), Some(change));
    moved.silent.insert(2, LONG);
    assert_eq!(next_change(&moved), None);
}

#[test]
fn who_answers_at_the_address_of_a_silent_node_takes_its_place() {
    let mut taken = view(&[1, 2, 3], &[1, 2, 3, 4]);
    taken.nodes.insert(4, "n2:1".into());
    taken.told.insert(4, "n2:1".into());
    assert_eq!(next_change(&taken), None, "both speak: an address is not proof by itself");
    taken.silent.insert(2, ALIVE);
    assert_eq!(next_change(&taken), Some(Change::Forget { node: 2, by: Some(4) }));
    taken.lacks.insert(4, CAUGHT_UP + 1);
    assert_eq!(next_change(&taken), None, "it can't vote yet");
    taken.voters = [1, 3, 5].into();
    assert_eq!(next_change(&taken), Some(Change::Forget { node: 2, by: None }));
}

#[test]
fn what_a_leader_left_half_done_is_finished_first() {
    let mut joint = view(&[1, 2], &[1, 2, 3]);
    joint.joint = true;
    assert_eq!(next_change(&joint), Some(Change::Finish));
}

#[test]
fn a_silence_of_an_earlier_reign_does_not_count() {
    let before = Instant::now();
    let since = before + Duration::from_secs(60);
    let after = since + Duration::from_secs(1);
    assert_eq!(last_sign(Some(before), since), since);
    assert_eq!(last_sign(Some(after), since), after);
    assert_eq!(last_sign(None, since), since);
}

#[test]
fn no_node_moves_to_where_another_one_is() {
    let mut both = view(&[1, 2, 3], &[1, 2, 3]);
    both.told.insert(2, "n3:1".to_owned());
    assert_eq!(next_change(&both), None);
    // Two that swap their addresses do, one after the other.
    both.told.insert(3, "n2:1".to_owned());
    let moved = Change::Moved { node: 2, addr: "n3:1".to_owned() };
    assert_eq!(next_change(&both), Some(moved));
}
