use super::*;
use crate::machine::command::Place;
use crate::machine::plan::{Around, plan};
use crate::machine::prepare::timing::Compiled;
use crate::machine::prepare::{Intent, PutMode, prepare};
use crate::machine::{Command, Op, Output, apply_entry};
use crate::model::{JobSpec, Span};
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::sync::Mutex;
use uuid::Uuid;

const PLACE: Place = Place { node: 1, boot: Uuid::from_u128(7) };

/// A clock that is set by hand.
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn does(state: &mut State, now: Timestamp, op: Op) {
    let command = Command { at: now, actor: None, request: None, op };
    let done = apply_entry(state, 1, &[command], &mut Output::default());
    assert!(done[0].is_ok(), "{done:?}");
}

/// A state in which a start at 00:01 was planned `lead` before.
fn planned(lead: Span) -> (State, Arc<OpenRun>) {
    let (mut state, begun) = (State::default(), at("2027-01-04T00:00:00Z"));
    let (address, api, labels) = (String::new(), String::new(), Default::default());
    let Place { node, boot } = PLACE;
    does(&mut state, begun, Op::NodeUp { node, boot, address, api, slots: 9, labels });
    let Value::Object(map) = json!({"name": "m", "expr": "* * * * *", "code": "x = 1"}) else {
        unreachable!()
    };
    let spec = Arc::new(JobSpec::from_map(map).unwrap());
    let intent = Intent::PutJob { spec, mode: PutMode::Create, expected: None };
    let op = prepare(&state, intent, begun, None, None).unwrap().op;
    does(&mut state, begun, op);
    let now = at("2027-01-04T00:01:00Z").minus(lead);
    let around = Around { early: true, ..Around::default() };
    let op = plan(&state, now, &Compiled::default(), &around).ops.remove(0);
    does(&mut state, now, op);
    let open = state.runs.values().next().unwrap().clone();
    assert!(open.ahead.is_some());
    (state, open)
}

#[test]
fn a_planned_start_waits_for_its_time_by_the_clock_of_the_node() {
    let (_, open) = planned(Span::from_secs(3));
    let clock = Hand(Mutex::new(at("2027-01-04T00:00:59.999Z")));
    let (_stop, mut stopped) = watch::channel(StopFor::Nothing);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        assert_eq!(come(&open, &clock, &mut stopped).now_or_never(), None);
        *clock.0.lock().unwrap() = at("2027-01-04T00:01:00Z");
        assert_eq!(come(&open, &clock, &mut stopped).now_or_never(), Some(true));
    });
}

#[tokio::test]
async fn a_clock_that_is_behind_delays_it_by_no_more_than_it_was_planned_ahead() {
    let (_, open) = planned(Span::from_millis(5));
    let clock = Hand(Mutex::new(at("2027-01-01T00:00:00Z")));
    let (_stop, mut stopped) = watch::channel(StopFor::Nothing);
    assert!(come(&open, &clock, &mut stopped).await);
}

#[tokio::test]
async fn what_is_stopped_while_it_waits_never_begins() {
    for why in [StopFor::NotBegin, StopFor::Cancel, StopFor::LeaseLost, StopFor::Shutdown] {
        let (_, open) = planned(Span::from_secs(3));
        let clock = Hand(Mutex::new(at("2027-01-04T00:00:57Z")));
        let (stop, mut stopped) = watch::channel(StopFor::Nothing);
        let (begins, _) =
            tokio::join!(come(&open, &clock, &mut stopped), async { stop.send_replace(why) });
        assert!(!begins, "{why:?}");
    }
}

#[test]
fn nothing_begins_that_the_applied_state_does_not_want() {
    let (state, open) = planned(Span::from_secs(3));
    let (run, now) = (open.run.id, at("2027-01-04T00:00:58Z"));
    let (fence, _) = open.held().unwrap();
    assert!(wanted(&state, run, fence));
    assert!(!wanted(&state, run, fence + 1));
    let Place { node, boot } = PLACE;
    let changes = [
        Op::Withdraw { run },
        Op::Cancel { run },
        Op::NodeLost { node, boot },
        Op::NodeRemoved { node },
        Op::Unbegun { run, attempt: 1, fence },
    ];
    for op in changes {
        let mut state = state.clone();
        does(&mut state, now, op.clone());
        assert!(!wanted(&state, run, fence), "{op:?}");
    }
}
