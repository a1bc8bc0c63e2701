//! Python jobs: the calling convention, results, errors, and the syntax check.

use cronapi::executor::runner::{Ended, check_python};
use serde_json::{Value, json};

use crate::bench::*;

/// Runs every case; each must succeed with the given result.
async fn results(cases: &[(&str, Value, Value)]) {
    if !has_python() {
        return;
    }
    for (code, params, expected) in cases {
        let ran = attempt(python(code, params.clone())).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{code}: {ran:?}");
        let result = ran.outcome.result.clone().unwrap_or(Value::Null);
        assert_eq!(&result, expected, "{code} with {params}: {ran:?}");
    }
}

#[tokio::test]
async fn which_function_is_called() {
    let none = json!({});
    results(&[
        ("def a(): return 1\ndef job_function(): return 2", none.clone(), json!(2)),
        ("def b(): return 1\ndef a(): return 2", none.clone(), json!(1)),
        ("from os.path import join\ndef a(): return 1", none.clone(), json!(1)),
        (
            "import os\nx = lambda: 5\nclass C:\n  def m(self): pass\ndef a(): return 1",
            none.clone(),
            json!(1),
        ),
        (
            "try:\n  import no_such\nexcept ImportError:\n  def a(): return 1",
            none.clone(),
            json!(1),
        ),
        ("def a(): pass\ndel a\ndef b(): return 3", none.clone(), json!(3)),
        ("job_function = lambda: 4", none.clone(), json!(4)),
        ("x = 1", none.clone(), json!(null)),
        ("", none.clone(), json!(null)),
        ("def a(): return __name__", none.clone(), json!("cronapi_job")),
        ("if __name__ == '__main__': raise SystemExit(9)", none.clone(), json!(null)),
        ("async def a(): return 6", none.clone(), json!(6)),
        (
            "import asyncio\nasync def b(): await asyncio.sleep(0); return 7\ndef a(): return b()\n\
          job_function = a",
            none,
            json!(7),
        ),
    ])
    .await;
}

#[tokio::test]
async fn how_parameters_are_passed() {
    let ab = || json!({"a": 1, "b": 2});
    results(&[
        ("def f(): return 'none'", ab(), json!("none")),
        ("def f(a): return a", ab(), json!(1)),
        ("def f(b, a): return [a, b]", ab(), json!([1, 2])),
        ("def f(a, c=9): return [a, c]", ab(), json!([1, 9])),
        ("def f(a=5, c=9): return [a, c]", ab(), json!([1, 9])),
        ("def f(a=5): return a", json!({}), json!(5)),
        ("def f(*, a, c=3): return [a, c]", ab(), json!([1, 3])),
        ("def f(**rest): return rest", ab(), ab()),
        ("def f(a, **rest): return [a, rest]", ab(), json!([1, {"b": 2}])),
        ("def f(*args): return len(args)", ab(), json!(0)),
        ("def f(*args, **rest): return [len(args), rest]", ab(), json!([0, ab()])),
        ("def f(a, /): return a", ab(), json!(1)),
        ("def f(c=3, /, b=4): return [c, b]", ab(), json!([3, 2])),
        ("def f(event): return event", ab(), ab()),
        ("def f(event): return event", json!({}), json!({})),
        ("def f(event, /): return event", ab(), ab()),
        ("async def job_function(params): return params['a']", ab(), json!(1)),
        ("def f(event, b=0): return [event, b]", ab(), json!([ab(), 2])),
        ("def f(event, **rest): return [event, rest]", ab(), json!([ab(), ab()])),
        ("async def f(a): return a", ab(), json!(1)),
        (
            "import functools\ndef deco(g):\n  @functools.wraps(g)\n  def w(*a, **k): \
          return g(*a, **k)\n  return w\n@deco\ndef job_function(a): return a",
            ab(),
            json!(1),
        ),
    ])
    .await;
    for (code, error) in [
        ("def f(a, c): pass", "TypeError: f() needs 'c'; the run's parameters have 'a', 'b'"),
        ("def f(c, d): pass", "TypeError: f() needs 'c', 'd'; the run's parameters have 'a', 'b'"),
        ("def f(*, c): pass", "TypeError: f() needs 'c'; the run's parameters have 'a', 'b'"),
        ("def f(c): pass", "TypeError: f() needs 'c'; the run's parameters have 'a', 'b'"),
        (
            "def f(params, c): pass",
            "TypeError: f() needs 'params', 'c'; the run's parameters have 'a', 'b'",
        ),
        (
            "def f(event, c): pass",
            "TypeError: f() needs 'event', 'c'; the run's parameters have 'a', 'b'",
        ),
    ] {
        if has_python() {
            let ran = attempt(python(code, ab())).await;
            assert_eq!((ran.outcome.ended, ran.error()), (Ended::Failed, error), "{ran:?}");
        }
    }
}

#[tokio::test]
async fn a_misspelt_parameter_is_named_and_nothing_runs() {
    if !has_python() {
        return;
    }
    for (params, told) in [
        (
            json!({"dya": 1}),
            "f() needs 'day'; the run's parameters have 'dya'; 'dya' is close to 'day'",
        ),
        (json!({}), "f() needs 'day'; the run's parameters have none"),
    ] {
        let ran = attempt(python("def f(day, dry_run=False): print('ran')", params)).await;
        assert_eq!((ran.outcome.ended, ran.out().as_str()), (Ended::Failed, ""), "{ran:?}");
        assert_eq!(ran.error(), format!("TypeError: {told}"));
    }
}

#[tokio::test]
async fn an_error_survives_whatever_is_in_it() {
    if !has_python() {
        return;
    }
    for (code, begins) in [
        (r"raise ValueError('half a pair: \ud800!')", "ValueError: half a pair: \u{fffd}!"),
        (r"raise ValueError('\udcff' * 9)", "ValueError: \u{fffd}\u{fffd}"),
        ("raise ValueError('é' * 300_000)", "ValueError: éééé"),
        (r"raise ValueError('\x01🦀' * 200_000)", "ValueError: \u{1}🦀\u{1}🦀"),
        ("class Loud(Exception):\n  def __str__(self): return 1\nraise Loud()", "Loud"),
    ] {
        let ran = attempt(python(code, json!({}))).await;
        assert_eq!(ran.outcome.ended, Ended::Failed, "{code}");
        assert!(ran.error().starts_with(begins), "{code}: {:.100}", ran.error());
        assert!(ran.error().chars().count() <= 2001, "{code}");
    }
    results(&[
        (
            r"def f(): return ['\ud800x', {'\udfff': '\ud83e\udd80'}]",
            json!({}),
            json!(["\u{fffd}x", {"\u{fffd}": "🦀"}]),
        ),
        ("def f(): return 'é' * 16_000", json!({}), json!("é".repeat(16_000))),
    ])
    .await;
}

#[tokio::test]
async fn what_a_job_forks_has_no_say_in_its_result() {
    if !has_python() {
        return;
    }
    let forked = "import os, sys\ndef f():\n  pid = os.fork()\n  if pid == 0: {child}\n  \
                  os.waitpid(pid, 0)\n  {parent}";
    for child in ["return 'child'", "raise ValueError('child')", "sys.exit(3)", "os._exit(4)"] {
        let code = forked.replace("{child}", child).replace("{parent}", "return 'parent'");
        let ran = attempt(python(&code, json!({}))).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{child}: {ran:?}");
        assert_eq!(ran.outcome.result, Some(json!("parent")), "{child}: {ran:?}");
        let code = forked.replace("{child}", child).replace("{parent}", "raise KeyError('parent')");
        let ran = attempt(python(&code, json!({}))).await;
        assert_eq!(ran.error(), "KeyError: 'parent'", "{child}: {ran:?}");
    }
}

#[tokio::test]
async fn a_whole_number_stays_what_it_is_or_there_is_no_result() {
    if !has_python() {
        return;
    }
    for number in ["18446744073709551615", "-9223372036854775808", "2**53 + 1"] {
        let code = format!("def f(): return [{number}, str({number})]");
        let ran = attempt(python(&code, json!({}))).await;
        let result = ran.outcome.result.expect("a result");
        assert_eq!(result[0].to_string(), result[1].as_str().expect("a text"));
    }
    let ran = attempt(python("def f(): return {'a': [1, 2**64]}", json!({}))).await;
    assert_eq!((ran.outcome.ended, &ran.outcome.result), (Ended::Succeeded, &None));
    let told = "no result: /a/1: 18446744073709551616 is larger than 64 bits";
    assert!(ran.notes().contains(told), "{ran:?}");
}

#[tokio::test]
async fn results_are_json_within_bounds() {
    if !has_python() {
        return;
    }
    for (value, result, note) in [
        (
            "{'a': [1, 2.5, None, True, 'é\\u2028']}",
            Some(json!({"a": [1, 2.5, null, true, "é\u{2028}"]})),
            "",
        ),
        ("(1, 2)", Some(json!([1, 2])), ""),
        ("None", None, ""),
        ("object()", None, "no result: the returned value is not JSON"),
        ("float('nan')", None, "no result: the returned value is not JSON"),
        ("'x' * 40000", None, "no result: it has 40002 bytes, more than 32768"),
        ("'x' * 32766", Some(json!("x".repeat(32766))), ""),
    ] {
        let code = format!("def f():\n  print('to stdout')\n  return {value}");
        let ran = attempt(python(&code, json!({}))).await;
        assert_eq!(ran.outcome.ended, Ended::Succeeded, "{value}: {ran:?}");
        assert_eq!(ran.outcome.result, result, "{value}");
        assert_eq!(ran.out(), "to stdout\n");
        assert!(ran.err().contains(note) && note.is_empty() == ran.err().is_empty(), "{ran:?}");
    }
    let deep = "def f():\n  x = 1\n  for _ in range(300): x = [x]\n  return x";
    let ran = attempt(python(deep, json!({}))).await;
    assert_eq!((ran.outcome.ended, &ran.outcome.result), (Ended::Succeeded, &None));
    assert!(ran.notes().contains("no result: recursion limit"), "{ran:?}");
}

#[tokio::test]
async fn exceptions_are_shown_without_the_harness() {
    if !has_python() {
        return;
    }
    let code = "def inner(x):\n    raise ValueError('no ' + x)\n\ndef job_function():\n    \
                print('before')\n    inner('good')\n";
    let ran = attempt(python(code, json!({}))).await;
    assert_eq!(ran.outcome.ended, Ended::Failed);
    assert_eq!((ran.outcome.exit_code, ran.error()), (Some(1), "ValueError: no good"));
    let err = ran.err();
    assert!(err.starts_with("Traceback (most recent call last):\n  File \"<nightly>\", line 6"));
    assert!(err.contains("    inner('good')\n") && err.ends_with("ValueError: no good\n"), "{err}");
    assert!(!err.contains("<cronapi>") && ran.out() == "before\n", "{err}");
    for (code, error) in [
        ("raise KeyError('k')", "KeyError: 'k'"),
        ("class Mine(Exception): pass\nraise Mine()", "Mine"),
        ("import json\njson.loads('{')", "json.decoder.JSONDecodeError: Expecting property name"),
        ("def f(:\n  pass", "SyntaxError: invalid syntax (<nightly>, line 1)"),
        ("async def f(): raise OSError(2, 'gone')", "FileNotFoundError: [Errno 2] gone"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import sys\nsys.exit(7)", "exited with status 7"),
        ("import sys\nsys.exit('why')", "exited with status 1"),
        ("import os\nos._exit(5)", "exited with status 5"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("raise ValueError('x' * 5000)", "ValueError: xxx"),
    ] {
        let ran = attempt(python(code, json!({}))).await;
        assert_eq!(ran.outcome.ended, Ended::Failed, "{code}");
        assert!(ran.error().starts_with(error), "{code}: {ran:?}");
        assert!(ran.error().chars().count() <= 2001);
        assert!(!ran.err().contains("<cronapi>"), "{}", ran.err());
    }
    let ran = attempt(python("import sys\nsys.exit('why')", json!({}))).await;
    assert_eq!(ran.err(), "why\n");
    let ran = attempt(python("import sys\ndef f(): sys.exit(0)", json!({}))).await;
    assert_eq!(ran.outcome.ended, Ended::Succeeded);
}

#[tokio::test]
async fn the_module_has_stdin_argv_and_the_environment() {
    let code = "import sys, os, json\ndef f(**rest):\n  return [json.load(sys.stdin), sys.argv, \
                json.loads(os.environ['CRONAPI_PARAMS']), sys.flags.isolated, sys.stdin.read()]";
    let p = json!({"k": "ü"});
    results(&[(code, p.clone(), json!([p, ["nightly"], p, 1, ""]))]).await;
    let code = "import os\ndef f(**r): return os.read(0, 100).decode()";
    results(&[(code, json!({"k": 1}), json!("{\"k\": 1}"))]).await;
}

#[tokio::test]
async fn large_source_and_parameters() {
    let code = format!("# {}\ndef f(x): return len(x)", "x".repeat(1_000_000));
    results(&[(&code, json!({"x": "y".repeat(1_000_000)}), json!(1_000_000))]).await;
}

#[tokio::test]
async fn prints_are_seen_while_the_job_runs() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().expect("made");
    let go = folder.path().join("go");
    let code = "import os, sys, time\ndef f(go):\n  print('first')\n  \
                print('e', file=sys.stderr)\n  while not os.path.exists(go): time.sleep(0.01)\n  \
                print('last')";
    let mut running = start(python(code, json!({"go": go})));
    running.until("first\n").await;
    std::fs::write(&go, "").expect("written");
    let ran = running.end().await;
    assert_eq!((ran.out().as_str(), ran.err().as_str()), ("first\nlast\n", "e\n"));
}

#[tokio::test]
async fn a_python_job_can_be_cancelled() {
    if !has_python() {
        return;
    }
    let code = "import time\ndef f():\n  print('ready')\n  time.sleep(1000)";
    let mut running = start(python(code, json!({})));
    running.until("ready").await;
    running.cancel();
    let ran = running.end().await;
    assert_eq!((ran.outcome.ended, ran.outcome.signal), (Ended::Cancelled, Some(15)));
}

#[tokio::test]
async fn syntax_is_checked_before() {
    if !has_python() {
        return;
    }
    let check = |code: &'static str| check_python(node(), code);
    assert_eq!(check("def f():\n    return 1\n").await, Ok(()));
    assert_eq!(check("raise SystemExit(3)").await, Ok(()), "nothing is run");
    assert_eq!(check("print('é')\nwhile True:\n  x = '\\d'").await, Ok(()), "warnings pass");
    for (code, line, column, message) in [
        ("def f(:\n  pass", 1, 7, "invalid syntax"),
        ("x = 1\nif x:\ny = 2", 3, 1, "expected an indented block"),
        ("é = = 1", 1, 5, "invalid syntax"),
        ("return 1", 1, 1, "'return' outside function"),
    ] {
        let fault = check(code).await.expect_err(code);
        assert_eq!((fault.line, fault.column), (line, column), "{code}: {fault}");
        assert!(fault.message.contains(message), "{fault}");
    }
    assert!(check("x = '\0'").await.is_err());
}
