//! What a template is made of, and what it may not be.

use std::cell::Cell;

use serde_json::{Value, json};

use super::*;

struct Run {
    parameters: Value,
    nominal: Option<Timestamp>,
}

impl Values for Run {
    fn told(&self, source: &Source<'_>) -> String {
        match source {
            Source::Job => "j",
            Source::RunId => "r-1",
            Source::Attempt => "2",
            Source::Fence => "7",
            Source::Trigger => "schedule",
            Source::Parameter(_) | Source::NominalTime(_) | Source::Item(_) => "?",
        }
        .to_owned()
    }
    fn nominal_time(&self) -> Option<Timestamp> {
        self.nominal
    }
    fn parameters(&self) -> &Value {
        &self.parameters
    }
}

fn fill(text: &str) -> Result<String, String> {
    let parameters = json!({"s": "a\"b", "n": 1.5, "o": {"k": [1, null]}, "nil": null,
        "at": "2026-03-29T00:30:00Z", "my key": "k"});
    let run = Run { parameters, nominal: Some(Timestamp::from_secs(1_774_744_200)) };
    let room = Cell::new(TEMPLATE_BYTES_MAX);
    parse(text)?.fill(&room, |_, hole| Ok(hole.value(&run, false)?.text()))
}

#[test]
fn names_and_filters() {
    for (text, made) in [
        ("plain } { }}", "plain } { }}"),
        ("{{job}}-{{ fence }}-{{attempt}}-{{run_id}}-{{trigger}}.", "j-7-2-r-1-schedule."),
        ("{{params.s}} {{params.n}}", "a\"b 1.5"),
        ("{{params.o}} {{params.o.k}} {{params.o.k.0}}", "{\"k\":[1,null]} [1,null] 1"),
        ("{{params.my key}}", "k"),
        ("{{\"{{\"}}x}} {{ \"{{\" }}", "{{x}} {{"),
        (
            "{{params.s | json}} {{params.n|json}} {{params.o|json}}",
            "\"a\\\"b\" 1.5 {\"k\":[1,null]}",
        ),
        ("{{params.s | urlencode}}", "a%22b"),
        ("{{params.none | default(\"x}}\")}}", "x}}"),
        ("{{params.nil | default('it\\'s')}}", "it's"),
        ("{{params.none | default(\"a b\") | urlencode}}", "a%20b"),
        ("{{params.s | default(\"x\")}}", "a\"b"),
        ("{{nominal_time}}", "2026-03-29T00:30:00Z"),
        ("{{nominal_time-1d}} {{nominal_time + 90m}}", "2026-03-28T00:30:00Z 2026-03-29T02:00:00Z"),
        ("{{nominal_time | date(\"%Y-%m-%d\")}}", "2026-03-29"),
        ("{{nominal_time+1h | date(\"%F %H:%M %Z\", \"Europe/London\")}}", "2026-03-29 02:30 BST"),
        ("{{params.at | date('%s')}}", "1774744200"),
        ("{\"a\":{\"b\":{{params.n}}}}", "{\"a\":{\"b\":1.5}}"),
    ] {
        assert_eq!(fill(text).as_deref(), Ok(made), "{text}");
    }
}

#[test]
fn what_is_not_known_is_refused_with_what_to_do() {
    for (text, why) in [
        ("{{jobs}}", "is not known"),
        ("{{.State}}", "is not known"),
        ("{{env.HOME}}", "is not known"),
        ("{{params.}}", "is not known"),
        ("{{params.a..b}}", "is not known"),
        ("{{}}", "is not known"),
        ("{{nominal_time*2}}", "is not known"),
        ("{{nominal_time-1 parsec}}", "is not known"),
        ("a {{job", "is not closed"),
        ("{{params.x | upper}}", "is not a filter"),
        ("{{params.x |}}", "is not a filter"),
        ("{{params.x | json()}}", "texts in quotes"),
        ("{{params.x | json(\"a\")}}", "takes no argument"),
        ("{{params.x | default}}", "takes one text"),
        ("{{params.x | default(\"a\") json}}", "goes on after a filter"),
        ("{{params.x | date(\"%Q\")}}", "not a format"),
        ("{{params.x | date(\"%Y\", \"Mars\")}}", "no IANA name"),
        ("{{params.x | json | json | json | json | json | json | json | json | json}}", "over 8"),
    ] {
        let refused = parse(text).map(drop);
        assert!(refused.as_ref().is_err_and(|it| it.contains(why)), "{text}: {refused:?}");
    }
    assert_eq!(fill("{{params.x}}"), Err("parameter x is not given".to_owned()));
    assert!(fill("{{params.s | date(\"%Y\")}}").unwrap_err().contains("RFC 3339"));
    // Of seconds: `-1` is a span.
    assert_eq!(fill("{{nominal_time-1}}").as_deref(), Ok("2026-03-29T00:29:59Z"));
}

#[test]
fn only_what_reads_as_one_of_ours_is_a_hole() {
    for text in ["{{params.x}}", "echo {{ job }}", "{{.A}} {{run_id}}", "{{params.x | nofilter}}"] {
        assert!(has_hole(text), "{text}");
    }
    for text in
        ["{{.State}}", "f'{{\"a\": {b}}}'", "{{", "docker inspect -f '{{json .}}'", "{{\"{{\"}}"]
    {
        assert!(!has_hole(text), "{text}");
    }
}

#[test]
fn what_comes_out_is_bounded() {
    let parameters = json!({"x": "x".repeat(30_000)});
    let run = Run { parameters, nominal: None };
    let text = "{{params.x}}".repeat(5_000);
    let room = Cell::new(TEMPLATE_BYTES_MAX);
    let template = parse(&text).unwrap();
    let filled = template.fill(&room, |_, hole| Ok(hole.value(&run, false)?.text()));
    assert!(filled.unwrap_err().contains("bytes once filled in"));
    assert_eq!(parse("{{nominal_time}}").unwrap().holes().count(), 1);
}
