//! Values that reach work without becoming code: templates, secrets among parameters, defaults of
//! schemas, and chains that put values into texts.

use cronapi::machine::Op;
use cronapi::machine::reply::Rejection;
use cronapi::machine::reply::Reply;
use cronapi::machine::state::FORMAT_OF_TEMPLATES;
use cronapi::model::RunStatus::{Skipped, Succeeded};
use cronapi::model::{Invalid, JobSpec, RunId, RunStatus, Trigger};
use serde_json::{Value, json};

use crate::world::{Ending, World, object, parameters, secs};

fn faults(spec: Value) -> Vec<Invalid> {
    JobSpec::from_map(object(spec)).map(drop).err().unwrap_or_default()
}

fn started(world: &mut World, given: Value) -> RunId {
    match world.try_trigger("j", given, false) {
        Ok(Reply::Run { id }) => id,
        other => panic!("{other:?}"),
    }
}

fn pointer(runner: Value) -> String {
    let faults = faults(json!({"name": "j", "runner": runner}));
    faults.iter().map(|fault| fault.pointer.as_str()).collect::<Vec<_>>().join(" ")
}

/// Acceptance 2 of parameters, and every other text that somebody reads as code.
#[test]
fn no_value_becomes_code() {
    for command in [
        "echo {{params.x}}",
        "echo '{{ params.x | json }}'",
        "echo {{job}} {{.State}}",
        "x={{nominal_time-1d}}",
        "echo {{params.x | nofilter}}",
    ] {
        assert_eq!(pointer(json!({"type": "shell", "command": command})), "/runner/command");
    }
    let told = faults(json!({"name": "j", "runner": {"type": "shell", "command": "{{params.x}}"}}));
    assert!(told[0].detail.contains("use argv") && told[0].detail.contains("$CRONAPI_PARAMS"));
    assert_eq!(pointer(json!({"type": "python", "code": "x = '{{params.x}}'"})), "/runner/code");
    assert_eq!(faults(json!({"name": "j", "code": "x = '{{run_id}}'"}))[0].pointer, "/code");
    for (argv, at) in [
        (json!(["sh", "-c", "echo {{params.x}}"]), 2),
        (json!(["/bin/bash", "-euo", "pipefail", "-c", "echo {{params.x}}"]), 4),
        (json!(["env", "A=1", "bash", "-ec", "{{params.x}}"]), 4),
        (json!(["python3.11", "-c", "{{params.x}}"]), 2),
        (json!(["perl", "-ne", "{{params.x}}"]), 2),
        (json!(["node", "--eval", "{{params.x}}"]), 2),
        (json!(["{{params.x}}", "a"]), 0),
    ] {
        let pointer = pointer(json!({"type": "shell", "argv": argv}));
        assert_eq!(pointer, format!("/runner/argv/{at}"), "{argv}");
    }
    let stdin = json!({"type": "shell", "argv": ["sh"], "stdin": "echo {{params.x}}"});
    assert_eq!(pointer(stdin), "/runner/stdin");
    let host = json!({"type": "http", "url": "https://{{params.host}}/x"});
    assert_eq!(pointer(host), "/runner/url");
    for fine in [
        json!({"type": "shell", "command": "docker inspect -f '{{.State.Status}}' x"}),
        json!({"type": "shell", "argv": ["sh", "-c", "echo \"$1\"", "sh", "{{params.x}}"]}),
        json!({"type": "shell", "argv": ["grep", "-c", "{{params.x}}", "/etc/hosts"],
            "env": {"X": "{{params.x | default(\"-\")}}"}, "cwd": "/srv/{{params.dir}}"}),
        json!({"type": "python", "code": "print(f'{{\"a\": {1}}}')"}),
    ] {
        assert_eq!(pointer(fine.clone()), "", "{fine}");
    }
}

#[test]
fn what_is_not_known_is_refused_where_it_stands() {
    for (runner, at) in [
        (json!({"type": "shell", "argv": ["echo", "{{.Id}}"]}), "/runner/argv/1"),
        (
            json!({"type": "shell", "argv": ["e"], "env": {"A/B": "{{param.x}}"}}),
            "/runner/env/A~1B",
        ),
        (json!({"type": "shell", "argv": ["e"], "cwd": "/{{params.x"}), "/runner/cwd"),
        (json!({"type": "python", "code": "1", "env": {"A": "{{secret}}"}}), "/runner/env/A"),
        (json!({"type": "http", "url": "http://a/{{x}}"}), "/runner/url"),
        (
            json!({"type": "http", "url": "http://a/", "headers": {"X": "{{x}}"}}),
            "/runner/headers/X",
        ),
        (json!({"type": "http", "url": "http://a/", "body": "{{params.x|up}}"}), "/runner/body"),
    ] {
        assert_eq!(pointer(runner.clone()), at, "{runner}");
    }
}

fn with_password() -> Value {
    json!({"type": "object", "required": ["pw"], "additionalProperties": false, "properties": {
        "pw": {"type": "string", "minLength": 20, "x-secret": true}, "n": {"type": "integer"}}})
}

/// Acceptance 3 of parameters: what is plain is refused and told nowhere.
#[test]
fn a_secret_is_given_by_name_alone() {
    let mut world = World::newest();
    world.work(json!({"name": "j", "parameters_schema": with_password()}));
    for given in [
        json!({"pw": "hunter2"}),
        json!({"pw": ["hunter2"], "n": "x"}),
        json!({"pw": {"secret": "a", "value": "hunter2"}}),
    ] {
        let refused = world.try_trigger("j", given, false).unwrap_err();
        let Rejection::Invalid(faults) = &refused else { panic!("{refused:?}") };
        assert_eq!(faults[0].pointer, "/parameters/pw");
        assert!(!format!("{refused:?}").contains("hunter2"), "{refused:?}");
    }
    let refused = world.try_trigger("j", json!({"n": 1}), false).unwrap_err();
    assert!(format!("{refused:?}").contains("required"), "{refused:?}");
    let id = started(&mut world, json!({"pw": {"secret": "db"}}));
    assert_eq!(world.run(id).parameters.to_value(), json!({"pw": {"secret": "db"}}));
    let own =
        json!({"name": "k", "parameters": {"pw": "hunter2"}, "parameters_schema": with_password()});
    assert_eq!(faults(own)[0].pointer, "/parameters/pw");
    let kept = format!("{:?}", world.rows);
    let bytes: Vec<u8> = world.rows.values().flatten().copied().collect();
    assert!(!kept.contains("hunter2") && !String::from_utf8_lossy(&bytes).contains("hunter2"));
}

#[test]
fn a_secret_is_shown_in_no_argument_variable_or_url() {
    let job = |runner: Value| {
        faults(json!({"name": "j", "runner": runner,
        "parameters_schema": {"properties": {"pw": {"x-secret": true}}}}))
    };
    for (runner, at) in [
        (json!({"type": "shell", "argv": ["e", "{{params.pw}}"]}), "/runner/argv/1"),
        (
            json!({"type": "shell", "command": "true", "env": {"P": "{{params.pw|json}}"}}),
            "/runner/env/P",
        ),
        (json!({"type": "http", "url": "http://a/?p={{params.pw}}"}), "/runner/url"),
    ] {
        assert_eq!(job(runner)[0].pointer, at);
    }
    let sent = json!({"type": "http", "url": "http://a/", "method": "POST",
        "headers": {"Authorization": "Bearer {{params.pw}}"}, "body": "{{params.pw|json}}"});
    assert_eq!(job(sent), []);
    let misplaced =
        faults(json!({"name": "j", "parameters_schema": {"items": {"x-secret": true}}}));
    assert_eq!(misplaced[0].pointer, "/parameters_schema");
}

/// Acceptance 4 of parameters.
#[test]
fn down_a_chain_goes_the_name_alone() {
    let mut world = World::newest();
    world.work(json!({"name": "next", "parameters_schema": with_password()}));
    world.work(json!({"name": "j", "parameters_schema": with_password(),
        "on_success": [{"job": "next", "parameters": {"pw": "${parameters.pw}"}}]}));
    started(&mut world, json!({"pw": {"secret": "db"}}));
    world.settle();
    assert_eq!(world.runs("next")[0].parameters.to_value(), json!({"pw": {"secret": "db"}}));
    assert_eq!(world.runs("next")[0].status, Succeeded);
    // A value that a result brings is neither taken nor kept.
    world.work(json!({"name": "leaks",
        "on_success": [{"job": "next", "parameters": {"pw": "${result}"}}]}));
    let ending = Ending { status: Succeeded, after: secs(0), result: Some(json!("hunter2")) };
    world.script.insert("leaks".into(), vec![ending]);
    world.trigger("leaks");
    world.settle();
    let run = world.runs("next").pop().unwrap();
    assert_eq!((run.status, run.trigger), (Skipped, Trigger::OnSuccess));
    assert!(run.reason.as_deref().is_some_and(|why| why.contains("is a secret")), "{run:?}");
    assert!(!format!("{run:?}").contains("hunter2"), "{run:?}");
    // Nor may a definition that passes it say it.
    let plain =
        json!({"name": "says", "on_success": [{"job": "next", "parameters": {"pw": "hunter2"}}]});
    let refused = world.try_put(crate::world::working(plain)).unwrap_err();
    let Rejection::Invalid(faults) = &refused else { panic!("{refused:?}") };
    assert_eq!(faults[0].pointer, "/on_success/0/parameters/pw");
}

#[test]
fn defaults_of_the_schema_are_filled_in_for_every_trigger() {
    let mut world = World::newest();
    let schema = json!({"required": ["n"], "properties": {
        "n": {"type": "integer", "default": 5},
        "o": {"type": "object", "properties": {"deep": {"default": true}}}}});
    let own = json!({"name": "j", "expr": "@every 10s", "parameters": {"o": {}},
        "parameters_schema": schema});
    world.work(own.clone());
    world.work(json!({"name": "up", "on_success": ["chained"]}));
    world.work(json!({"name": "chained", "parameters_schema": schema, "parameters": {"o": {}}}));
    world.work(json!({"name": "joined", "dependencies": ["up"], "parameters_schema": schema,
        "parameters": {"o": {}}}));
    world.trigger("j");
    world.trigger("up");
    world.run_for(15);
    for job in ["j", "chained", "joined"] {
        for run in world.runs(job) {
            let given = run.parameters.to_value();
            assert_eq!(given, json!({"n": 5, "o": {"deep": true}}), "{job} {:?}", run.trigger);
        }
        assert!(!world.runs(job).is_empty());
    }
    assert!(world.runs("j").iter().any(|run| run.trigger == Trigger::Schedule));
    let id = started(&mut world, json!({"n": 7}));
    assert_eq!(world.run(id).parameters.to_value(), json!({"n": 7, "o": {"deep": true}}));
    assert_eq!(world.job("j").spec.parameters, Some(parameters(json!({"o": {}}))), "as written");
    let wrong = json!({"name": "w", "expr": "@daily", "parameters_schema": {
        "properties": {"n": {"type": "integer", "default": "five"}}}});
    assert!(world.try_put(crate::world::working(wrong)).is_err(), "a default that does not fit");
}

#[test]
fn until_all_members_know_them_they_are_refused_and_nothing_is_filled_in() {
    let mut world = World::new();
    for spec in [
        json!({"runner": {"type": "shell", "argv": ["e", "{{job}}"]}}),
        json!({"runner": {"type": "shell", "command": "true", "env": {"A": "{{job}}"}}}),
        json!({"runner": {"type": "http", "url": "http://a/", "body": "{{params.x|json}}"}}),
        json!({"runner": {"type": "http", "url": "http://a/{{trigger}}"}}),
        json!({"runner": crate::world::work(), "parameters_schema": with_password()}),
    ] {
        let mut spec = spec;
        spec["name"] = json!("j");
        let refused = world.try_put(spec.clone()).unwrap_err();
        let is = matches!(&refused, Rejection::UpgradeNeeded { needs: 5, .. });
        assert!(is, "{spec}: {refused:?}");
    }
    let old = json!({"name": "old", "runner": {"type": "http", "url": "http://a/{{params.x}}"}});
    world.put(old);
    world.work(json!({"name": "s", "expr": "@every 10s", "on_success": [
        {"job": "t", "parameters": {"x": "run ${run_id}"}}],
        "parameters_schema": {"properties": {"n": {"default": 5}}}}));
    world.work(json!({"name": "t"}));
    world.run_for(11);
    assert_eq!(world.runs("s")[0].parameters.to_value(), json!({}));
    assert_eq!(world.runs("t")[0].parameters.to_value(), json!({"x": "run ${run_id}"}));
    world.op(Op::RaiseFormat { to: FORMAT_OF_TEMPLATES }).unwrap();
    world.run_for(10);
    assert_eq!(world.runs("s")[1].parameters.to_value(), json!({"n": 5}));
    assert!(world.runs("t")[1].parameters.map()["x"].as_str().unwrap().starts_with("run 0"));
}

fn composed(template: Value, status: RunStatus, result: Value) -> Value {
    let mut world = World::newest();
    world.work(json!({"name": "next"}));
    world.work(json!({"name": "m", "parameters": {"p": {"q": [7, "x"]}},
        "on_finish": [{"job": "next", "parameters": {"x": template}}]}));
    let ending = Ending { status, after: secs(0), result: Some(result) };
    world.script.insert("m".into(), vec![ending]);
    world.trigger("m");
    world.settle();
    world.runs("next").remove(0).parameters.map()["x"].clone()
}

#[test]
fn chains_put_values_into_texts() {
    let result = json!({"n": 5, "t": "a \"b\"", "nil": null});
    for (template, made) in [
        ("${result.n}", json!(5)),
        ("${result.n} rows", json!("5 rows")),
        ("${result.n} ${result.t}", json!("5 a \"b\"")),
        ("${result.t}: ${parameters.p.q}", json!("a \"b\": [7,\"x\"]")),
        ("[${result.nil}${result.none}]", json!("[]")),
        ("${status}/${parameters.p.q.1}", json!("succeeded/x")),
        ("$${result.n} costs $5 ${HOME} ${", json!("${result.n} costs $5 ${HOME} ${")),
        ("${a${result.n}", json!("${a5")),
    ] {
        assert_eq!(composed(json!(template), Succeeded, result.clone()), made, "{template}");
    }
}
