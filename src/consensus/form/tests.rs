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
        ..proto::HelloReply::default()
    })
}

fn asked(answers: &[(&str, Option<proto::HelloReply>)]) -> Next {
    told(&Founder::FirstOfList, answers)
}

fn told(founder: &Founder, answers: &[(&str, Option<proto::HelloReply>)]) -> Next {
    let answer = |(name, reply): &(&str, Option<proto::HelloReply>)| Answer {
        name: (*name).to_owned(),
        addr: reply.as_ref().map_or((*name).to_owned(), |reply| reply.addr.clone()),
        reply: reply.clone(),
    };
    let answers: Vec<Answer> = answers.iter().map(answer).collect();
    next(OWN, "n7:1", founder, &answers)
}

#[test]
fn a_name_of_several_nodes_makes_none_of_them_the_first() {
    let Next::Wait(why) = asked(&[("all:1", new(7)), ("all:1", new(8))]) else {
        panic!("each of them would begin a cluster")
    };
    assert!(why.contains("all:1 stands for several nodes"), "{why}");
    // As soon as one of them is of a cluster, the others join it.
    let formed = [("all:1", new(7)), ("all:1", of("c", 8, 8)), ("all:1", new(9))];
    assert_eq!(asked(&formed), Next::Join { addr: "n8:1".into() });
    // Two addresses of one node are one node.
    assert_eq!(asked(&[("all:1", new(7)), ("all:1", new(7))]), Next::Begin);
}

#[test]
fn who_is_told_to_begin_does_so_only_when_nobody_is_of_a_cluster() {
    let (this, other) = (Founder::This, Founder::Other("seat 1".into()));
    let fresh = [("all:1", new(8)), ("all:1", new(7)), ("all:1", new(9))];
    assert_eq!(told(&this, &fresh), Next::Begin);
    assert_eq!(told(&other, &fresh), Next::Wait("seat 1 is to begin the cluster".into()));
    let formed = [("all:1", new(7)), ("all:1", of("c", 8, 8))];
    for founder in [&this, &other] {
        assert_eq!(told(founder, &formed), Next::Join { addr: "n8:1".into() });
    }
    // A name in the list that nobody answers to may be of a cluster.
    let silent = [("all:1", new(7)), ("elsewhere:1", None)];
    assert_eq!(told(&this, &silent), Next::Wait("no answer from elsewhere:1".into()));
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
fn a_cluster_of_a_newer_format_is_not_joined() {
    let mut newer = of("a", 8, 8);
    newer.as_mut().unwrap().format = crate::machine::state::FORMAT + 1;
    let Next::Refuse(why) = asked(&[("n7:1", new(7)), ("n8:1", newer)]) else { panic!("it joins") };
    assert!(why.contains("newer version"), "{why}");
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
