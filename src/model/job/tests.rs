use super::*;
use serde_json::json;

fn read(value: Value) -> Result<JobSpec, Vec<Invalid>> {
    match value {
        Value::Object(map) => JobSpec::from_map(map),
        _ => unreachable!("tests give objects"),
    }
}

fn pointers(value: Value) -> Vec<String> {
    read(value).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
}

#[test]
fn limits_are_read_go_round_and_are_told_where_they_are_wrong() {
    let given = json!({"name": "a", "limits": {"memory": 8_388_608, "processes": 2, "cpu": "90s"}});
    let spec = read(given).unwrap();
    assert_eq!(spec.to_map()["limits"]["cpu"], "1m30s");
    let packed = rmp_serde::to_vec_named(&spec).unwrap();
    assert_eq!(rmp_serde::from_slice::<JobSpec>(&packed).unwrap(), spec);
    assert_eq!(spec.need().map(|need| (need.what, need.format)), Some(("limits".into(), 5)));
    let bad = json!({"name": "a", "limits":
        {"memory": 1, "processes": 0, "open_files": 3, "cpu": "10ms"}});
    let at = pointers(bad);
    assert_eq!(at, ["/limits/memory", "/limits/processes", "/limits/open_files", "/limits/cpu"]);
}

#[test]
fn the_first_example_of_the_readme_reads_and_goes_round() {
    let given = json!({
        "name": "example-job", "expr": "*/5 * * * *", "tags": ["example"], "is_async": true,
        "code": "async def job_function():\n    print(\"Hello from CronAPI!\")",
    });
    let spec = read(given.clone()).unwrap();
    assert_eq!(Value::Object(spec.to_map()), given);
    assert_eq!(spec.runner_kind(), "python");
    let packed = rmp_serde::to_vec_named(&spec).unwrap();
    assert_eq!(rmp_serde::from_slice::<JobSpec>(&packed).unwrap(), spec);
}

#[test]
fn a_definition_with_every_kind_of_field_survives_the_log_codec() {
    let spec = read(json!({
        "name": "full", "expr": "@hourly", "timezone": "Europe/London", "jitter": "30s",
        "start_at": "2027-01-01T00:00:00Z", "enabled": false, "max_runs": 3,
        "calendars": [{"exclude": ["2027-12-25"]}], "dst_fold": "both", "dst_gap": "skip",
        "runner": {"type": "http", "url": "http://127.0.0.1/x", "expect_status": [200, "300-399"]},
        "parameters": {"a": [1, 2.5, null, {"b": "c"}]}, "parameters_schema": {"type": "object"},
        "timeout": "5m", "retry": {"max_attempts": 3, "multiplier": 1.5, "on": ["lost"]},
        "on_lease_lost": "kill", "overlap": "queue_one", "misfire": {"policy": "all", "max": 5},
        "dependencies": ["a"], "on_success": ["b", {"job": "c", "parameters": {"x": "${result}"}}],
        "priority": -5, "placement": {"require": {"zone": "a"}}, "retention": {"count": 9},
    }))
    .unwrap();
    let packed = rmp_serde::to_vec_named(&spec).unwrap();
    assert_eq!(rmp_serde::from_slice::<JobSpec>(&packed).unwrap(), spec);
    assert_eq!(JobSpec::from_map(spec.to_map()).unwrap(), spec);
}

#[test]
fn every_faulty_field_is_named_at_once() {
    let faults = pointers(json!({
        "name": "a/b", "expr": 5, "tgas": [], "timeout": "soon",
        "retry": {"max_attempts": 1000, "delai": 1}, "on_success": [{"job": "x", "y": 1}],
        "runner": {"type": "shell"}, "priority": 1e30,
    }));
    for want in ["/name", "/expr", "/tgas", "/timeout", "/retry/delai", "/on_success/0"] {
        assert!(faults.iter().any(|have| have == want), "{want} in {faults:?}");
    }
    assert!(faults.contains(&"/runner/command".to_string()), "{faults:?}");
    assert!(faults.contains(&"/priority".to_string()), "{faults:?}");
}

#[test]
fn a_misspelt_field_is_told_the_right_one() {
    let faults = read(json!({"name": "a", "dependancies": []})).unwrap_err();
    assert!(faults[0].detail.contains("did you mean dependencies"), "{faults:?}");
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    assert_eq!(pointers(json!({"name": "a", "timezone": "UTC"})), ["/timezone"]);
    assert_eq!(pointers(json!({"name": "a", "on_success": ["a"]})), ["/on_success/0"]);
    assert_eq!(pointers(json!({"name": "a", "dependencies": ["b", "b"]})), ["/dependencies/1"]);
    let both = json!({"name": "a", "code": "x=1", "runner": {"type": "shell", "command": "x"}});
    assert_eq!(pointers(both), ["/code"]);
    let big = json!({"name": "a", "code": "x".repeat(70_000)});
    assert_eq!(pointers(big), [""]);
}

#[test]
fn what_would_merge_or_mean_nothing_is_refused() {
    let http = |headers: Value| {
        let runner = json!({"type": "http", "url": "http://a/", "headers": headers});
        json!({"name": "a", "runner": runner})
    };
    let faults = read(http(json!({"X-A": "1", "x-a": "2", "x-b": "3"}))).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert_eq!(faults[0].pointer, "/runner/headers");
    assert!(faults[0].detail.contains("\"X-A\"") && faults[0].detail.contains("one header"));
    assert!(read(http(json!({"X-A": "1", "X-B": "2"}))).is_ok());
    let shell = |runner: Value| json!({"name": "a", "runner": runner});
    let line = shell(json!({"type": "shell", "command": "a | b", "pipefail": false}));
    assert_eq!(Value::Object(read(line.clone()).unwrap().to_map()), line);
    let list = shell(json!({"type": "shell", "argv": ["a"], "pipefail": true}));
    assert_eq!(pointers(list), ["/runner/pipefail"]);
}

#[test]
fn an_attempt_goes_on_without_a_lease_unless_the_job_says_otherwise() {
    let rows = [(None, OnLeaseLost::Continue), (Some("continue"), OnLeaseLost::Continue)];
    for (given, want) in rows.into_iter().chain([(Some("kill"), OnLeaseLost::Kill)]) {
        let spec = read(json!({"name": "a", "on_lease_lost": given})).unwrap();
        assert_eq!(spec.on_lease_lost(), want);
        assert_eq!(spec.to_map().get("on_lease_lost"), given.map(Value::from).as_ref());
    }
    assert_eq!(pointers(json!({"name": "a", "on_lease_lost": "stop"})), ["/on_lease_lost"]);
    assert_eq!(pointers(json!({"name": "a", "on_lease_lost": true})), ["/on_lease_lost"]);
}

#[test]
fn a_list_is_no_object() {
    let faults = pointers(json!({
        "name": "a", "retry": [3, 1], "runner": ["shell"], "on_success": ["b", ["c", {}]],
        "calendars": [[["2027-01-01"]]],
    }));
    assert_eq!(faults, ["/runner", "/retry", "/calendars/0", "/on_success/1"]);
}
