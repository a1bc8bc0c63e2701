use super::*;

const OWN: u64 = 7;

fn new(node: u64) -> Option<proto::HelloReply> {
    Some(proto::HelloReply { node, addr: format!("n{node}:1"), ..proto::HelloReply::default() })
}

fn of(cluster: &str, node: u64, leader: u64) -> Option<proto::HelloReply> {
    Some(proto::HelloReply {
        node,
        addr: format!("n{node}:1"),
        cluster: cluster.into(),
        leader,
        leader_addr: if leader == 0 { String::new() } else { format!("n{leader}:1") },
    })
}

fn asked(answers: &[(&str, Option<proto::HelloReply>)]) -> Next {
    let answers: Vec<_> =
        answers.iter().map(|(addr, reply)| ((*addr).to_owned(), reply.clone())).collect();
    next(OWN, "n7:1", &answers)
}

#[test]
fn the_first_of_the_list_begins_once_all_have_answered_that_they_are_new() {
    assert_eq!(asked(&[("n7:1", new(7)), ("n8:1", new(8)), ("n9:1", new(9))]), Next::Begin);
    let silent = asked(&[("n7:1", new(7)), ("n8:1", new(8)), ("n9:1", None)]);
    assert_eq!(silent, Next::Wait("no answer from n9:1".into()));
}

#[test]
fn it_knows_itself_by_its_id_when_the_address_is_another_name_for_it() {
    assert_eq!(asked(&[("other-name:1", new(7)), ("n8:1", new(8))]), Next::Begin);
    // By its address when it can't reach itself.
    assert_eq!(asked(&[("n7:1", None), ("n8:1", new(8))]), Next::Begin);
}

#[test]
fn the_others_never_begin() {
    for answers in [
        [("n8:1", new(8)), ("n7:1", new(7))],
        [("n8:1", new(8)), ("n9:1", new(9))],
        [("n8:1", None), ("n7:1", new(7))],
    ] {
        assert!(matches!(asked(&answers), Next::Wait(_)));
    }
}

#[test]
fn the_first_joins_when_anyone_is_of_a_cluster() {
    let wiped = [("n7:1", new(7)), ("n8:1", of("c", 8, 9)), ("n9:1", None)];
    assert_eq!(asked(&wiped), Next::Join { addr: "n9:1".into() });
    let leads = [("n7:1", new(7)), ("n8:1", of("c", 8, 8))];
    assert_eq!(asked(&leads), Next::Join { addr: "n8:1".into() });
}

#[test]
fn nobody_joins_a_cluster_without_a_leader_or_two_clusters() {
    let headless = [("n7:1", new(7)), ("n8:1", of("c", 8, 0))];
    assert!(matches!(asked(&headless), Next::Wait(_)));
    let two = [("n8:1", of("c", 8, 8)), ("n9:1", of("d", 9, 9))];
    let Next::Refuse(why) = asked(&two) else { panic!("not refused") };
    assert!(why.contains("c, d"), "{why}");
}
