//! Contract section 4, chains: what the end of a run starts, with which parameters, and
//! which graphs are refused at write.

use cronapi::machine::reply::Rejection;
use cronapi::model::RunStatus::{self, Cancelled, Failed, Lost, Succeeded, TimedOut};
use cronapi::model::{Run, SkipReason, Trigger};
use serde_json::{Value, json};

use crate::world::{Ending, World, name, parameters, secs};

fn ends_with(status: RunStatus, result: Value) -> World {
    let mut world = World::new();
    for target in ["good", "bad", "any"] {
        world.work(json!({"name": target}));
    }
    world.work(json!({"name": "m", "on_success": ["good"], "on_failure": ["bad"],
        "on_finish": ["any"]}));
    let ending = Ending { status, after: secs(1), result: Some(result) };
    world.script.insert("m".into(), vec![ending]);
    let id = world.trigger("m");
    world.settle();
    if status == Cancelled {
        world.cancel(id).unwrap();
    }
    world.run_for(5);
    world
}

#[test]
fn each_end_starts_its_chains() {
    for (status, good, bad, any) in [
        (Succeeded, 1, 0, 1),
        (Failed, 0, 1, 1),
        (TimedOut, 0, 1, 1),
        (Lost, 0, 1, 1),
        (Cancelled, 0, 0, 1),
    ] {
        let world = ends_with(status, Value::Null);
        let have = ["good", "bad", "any"].map(|job| world.runs(job).len());
        assert_eq!(have, [good, bad, any], "{status:?}");
        let run = &world.runs("any")[0];
        assert_eq!(run.trigger, Trigger::OnFinish);
        assert_eq!((run.cause, run.depth), (Some(world.runs("m")[0].id), 1));
    }
}

#[test]
fn a_chain_follows_the_last_attempt_only() {
    let mut world = World::new();
    world.work(json!({"name": "bad"}));
    world.work(json!({"name": "m", "on_failure": ["bad"], "retry": {"max_attempts": 3}}));
    world.script("m", &[(Failed, 0)]);
    world.trigger("m");
    world.run_for(60);
    assert_eq!((world.runs("m")[0].attempt, world.runs("bad").len()), (3, 1));
}

fn passed(template: Value, result: Value) -> Run {
    let mut world = World::new();
    world.work(json!({"name": "next", "parameters": {"own": 1, "x": "own"}}));
    world.work(json!({"name": "m", "parameters": {"p": {"q": [7, 8]}},
        "on_finish": [{"job": "next", "parameters": template}]}));
    let ending = Ending { status: Succeeded, after: secs(0), result: Some(result) };
    world.script.insert("m".into(), vec![ending]);
    world.trigger("m");
    world.settle();
    let run = world.runs("next").remove(0);
    let cause = world.runs("m").remove(0);
    if let Some(id) = run.parameters.map().get("id") {
        assert_eq!(*id, json!(cause.id.to_string()));
    }
    run
}

#[test]
fn parameters_are_passed_on_and_filled_in() {
    let result = json!({"a": {"b": [10, {"c": "deep"}]}, "n": 1.5});
    let rows = [
        (json!({}), json!({"own": 1, "x": "own"})),
        (json!({"x": 2}), json!({"own": 1, "x": 2})),
        (json!({"x": "${result}"}), json!({"own": 1, "x": result})),
        (json!({"x": "${result.a.b.1.c}"}), json!({"own": 1, "x": "deep"})),
        (json!({"x": "${result.n}"}), json!({"own": 1, "x": 1.5})),
        (json!({"x": "${result.nowhere.b}"}), json!({"own": 1, "x": null})),
        (json!({"x": "${result.a.b.9}"}), json!({"own": 1, "x": null})),
        (json!({"x": "${parameters.p.q.0}"}), json!({"own": 1, "x": 7})),
        (json!({"x": "${status}"}), json!({"own": 1, "x": "succeeded"})),
        (json!({"x": "${error}"}), json!({"own": 1, "x": null})),
        (json!({"x": "${other}"}), json!({"own": 1, "x": "${other}"})),
        (json!({"x": "a ${result} b"}), json!({"own": 1, "x": "a ${result} b"})),
        (
            json!({"x": ["${result.n}", {"y": "${status}"}]}),
            json!({"own": 1, "x": [1.5, {"y": "succeeded"}]}),
        ),
    ];
    for (template, want) in rows {
        let run = passed(template.clone(), result.clone());
        assert_eq!(run.parameters, parameters(want), "{template}");
        assert_eq!(run.status, Succeeded);
    }
    assert!(passed(json!({"id": "${run_id}"}), Value::Null).parameters.map().contains_key("id"));
}

#[test]
fn what_grows_past_the_limit_is_refused_and_never_passed_on_unfilled() {
    let large = json!("x".repeat(20_000));
    for template in
        [json!({"a": "${result}", "b": "${result}"}), json!({"a": vec!["${result}"; 2_000]})]
    {
        let run = passed(template, large.clone());
        assert_eq!(
            (run.status, run.skip),
            (RunStatus::Skipped, Some(SkipReason::ParametersRefused))
        );
        assert!(run.parameters.to_json().len() < 1_000);
    }
}

#[test]
fn passed_parameters_that_do_not_fit_the_schema_are_refused_with_each_fault() {
    for runner in [true, false] {
        let mut world = World::new();
        let mut next = json!({"name": "next", "parameters": {"n": 1}, "parameters_schema": {
            "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}});
        if runner {
            next["runner"] = crate::world::work();
        }
        world.put(next);
        world.work(json!({"name": "m",
            "on_success": [{"job": "next", "parameters": {"n": "${result}", "s": 5}}]}));
        world.trigger("m");
        world.settle();
        let run = &world.runs("next")[0];
        assert_eq!(run.skip, Some(SkipReason::ParametersRefused));
        let error = run.error.clone().unwrap();
        assert!(error.contains("/parameters/n") && error.contains("/parameters/s"), "{error}");
        assert_eq!(run.attempts.len(), 0);
    }
}

#[test]
fn a_missing_target_is_told_and_a_paused_one_is_recorded() {
    let mut world = World::new();
    world.work(json!({"name": "m", "on_success": ["nobody", "paused"]}));
    world.work(json!({"name": "paused", "enabled": false}));
    world.trigger("m");
    world.settle();
    assert!(
        world
            .events
            .iter()
            .any(|event| event.kind == "chain.unresolved" && event.job == Some(name("nobody")))
    );
    assert_eq!(world.runs("paused")[0].skip, Some(SkipReason::Paused));
}

#[test]
fn a_target_that_overlaps_is_recorded_as_skipped() {
    let mut world = World::new();
    world.work(json!({"name": "next"}));
    world.work(json!({"name": "m", "on_success": ["next"]}));
    world.script("next", &[(Succeeded, 100)]);
    for _ in 0..2 {
        world.trigger("m");
        world.settle();
    }
    let runs = world.runs("next");
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[1].status, runs[1].skip), (RunStatus::Skipped, Some(SkipReason::Overlap)));
}

#[test]
fn a_chain_of_jobs_without_work_runs_through() {
    let mut world = World::new();
    for at in 0..32 {
        let next = if at < 31 { vec![format!("j{}", at + 1)] } else { Vec::new() };
        world.put(json!({"name": format!("j{at}"), "on_success": next}));
    }
    world.trigger("j0");
    world.settle();
    let last = world.runs("j31").remove(0);
    assert_eq!((last.status, last.depth), (Succeeded, 31));
}

fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for order in orders(n - 1) {
        for at in 0..n {
            let mut longer = order.clone();
            longer.insert(at, n - 1);
            all.push(longer);
        }
    }
    all
}

/// Puts `jobs` in every order; the last put must be refused and every one before accepted.
fn refused_in_every_order(jobs: &[Value], refused: impl Fn(&Rejection) -> bool) {
    for order in orders(jobs.len()) {
        let mut world = World::new();
        for (step, at) in order.iter().enumerate() {
            let answer = world.try_put(jobs[*at].clone());
            if step + 1 == jobs.len() {
                let fault = answer.unwrap_err();
                assert!(refused(&fault), "{fault:?} in {order:?}");
            } else {
                answer.unwrap();
            }
        }
    }
}

#[test]
fn a_circle_is_refused_in_every_order_of_arrival() {
    let cycle = |fault: &Rejection| matches!(fault, Rejection::Cycle { .. });
    let circles = [
        vec![json!({"name": "a", "on_success": ["b"]}), json!({"name": "b", "on_failure": ["a"]})],
        vec![
            json!({"name": "a", "on_finish": ["b"]}),
            json!({"name": "b", "on_success": ["c"]}),
            json!({"name": "c", "on_failure": ["a"]}),
        ],
        vec![
            json!({"name": "a", "dependencies": ["b"]}),
            json!({"name": "b", "dependencies": ["c"]}),
            json!({"name": "c", "dependencies": ["a"]}),
        ],
        // a starts b, and c waits for b and starts a.
        vec![
            json!({"name": "a", "on_success": ["b"]}),
            json!({"name": "b"}),
            json!({"name": "c", "dependencies": ["b"], "on_success": ["a"]}),
        ],
        vec![
            json!({"name": "a", "on_success": ["b"], "dependencies": ["b"]}),
            json!({"name": "b"}),
        ],
    ];
    for circle in &circles[..3] {
        refused_in_every_order(circle, cycle);
    }
    // Where one job has no edge of its own, whoever closes the circle is refused.
    for circle in &circles[3..] {
        for order in orders(circle.len()) {
            let mut world = World::new();
            let refused: Vec<Rejection> =
                order.iter().filter_map(|at| world.try_put(circle[*at].clone()).err()).collect();
            assert!(refused.len() == 1 && cycle(&refused[0]), "{refused:?} in {order:?}");
        }
    }
}

#[test]
fn a_refused_circle_names_the_field_and_the_way() {
    let mut world = World::new();
    world.put(json!({"name": "a", "on_success": ["x", "b"]}));
    world.put(json!({"name": "b", "on_success": ["c"]}));
    let fault = world.try_put(json!({"name": "c", "on_finish": ["y", "a"]})).unwrap_err();
    let Rejection::Cycle { field, path } = fault else { panic!("{fault:?}") };
    assert_eq!(field, "on_finish/1");
    assert_eq!(path, ["c", "a", "b", "c"]);
}

#[test]
fn a_graph_that_is_too_deep_is_refused_wherever_it_is_joined() {
    let most = 32;
    let link = |at: usize, last: usize| {
        let next = if at < last { vec![format!("j{}", at + 1)] } else { Vec::new() };
        json!({"name": format!("j{at}"), "on_success": next})
    };
    // 33 jobs in a row, the edge in the middle last, then first to last, then last to first.
    let rows: [Vec<usize>; 3] = [
        (0..=most).filter(|at| *at != 16).chain([16]).collect(),
        (0..=most).collect(),
        (0..=most).rev().collect(),
    ];
    for order in rows {
        let mut world = World::new();
        let refused: Vec<Rejection> =
            order.iter().filter_map(|at| world.try_put(link(*at, most)).err()).collect();
        assert!(matches!(refused[..], [Rejection::TooDeep { .. }]), "{refused:?}");
    }
}

#[test]
fn a_wide_graph_is_checked_in_time_that_grows_with_its_edges() {
    // Many jobs that name one as a dependency, and many that chain to another.
    let begun = std::time::Instant::now();
    let mut world = World::new();
    let mut commands = Vec::new();
    for at in 0..3_000 {
        let job = match at % 2 {
            0 => json!({"name": format!("d{at}"), "dependencies": ["hub"]}),
            _ => json!({"name": format!("c{at}"), "on_success": ["sink"]}),
        };
        commands.push(world.prepare(World::put_intent(job)));
    }
    assert!(world.entry(&commands).iter().all(Result::is_ok));
    world.put(json!({"name": "sink", "on_success": ["hub"]}));
    world.put(json!({"name": "hub", "on_success": ["d0"]}));
    let refused =
        world.try_put(json!({"name": "d4", "dependencies": ["hub"], "on_success": ["c1"]}));
    assert!(matches!(refused, Err(Rejection::Cycle { .. })), "{refused:?}");
    let took = begun.elapsed();
    assert!(took.as_secs() < 5, "{took:?}");
}

#[test]
fn a_lattice_of_chains_is_checked_once_a_job() {
    let begun = std::time::Instant::now();
    let mut world = World::new();
    for level in 0..16 {
        let below: Vec<String> = (0..12).map(|n| format!("l{}-{n}", level + 1)).collect();
        for at in 0..12 {
            world.put(json!({"name": format!("l{level}-{at}"), "on_success": below}));
        }
    }
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}
