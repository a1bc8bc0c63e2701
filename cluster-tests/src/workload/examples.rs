//! The examples of the README, as a newcomer sends them.

use serde_json::json;

use super::{Definition, Work};
use crate::nominal::Schedule;

/// A job every five minutes, one that depends on it, one with parameters.
pub fn examples() -> Vec<Definition> {
    let example = json!({
        "expr": "*/5 * * * *", "tags": ["example"], "is_async": true,
        "code": "async def job_function():\n    print(\"Hello from CronAPI!\")",
    });
    let dependent = json!({
        "expr": "*/10 * * * *", "dependencies": ["example-job"],
        "on_success": ["notify-job"], "on_failure": ["alert-job"],
        "code": "async def job_function():\n    print(\"Dependent job executed!\")",
    });
    let parameterized = json!({
        "expr": "*/15 * * * *",
        "parameters": {"param1": "value1", "param2": 42},
        "parameters_schema": {
            "type": "object",
            "properties": {"param1": {"type": "string"}, "param2": {"type": "integer"}},
            "required": ["param1"],
        },
        "code": "async def job_function(params):\n    print(params['param1'])",
    });
    let given = |name: &str, minutes: i64, value| Definition {
        schedule: Some(Schedule::Minutes(minutes)),
        work: Work::Given(value),
        ..Definition::new(name)
    };
    vec![
        given("example-job", 5, example),
        Definition {
            dependencies: vec!["example-job".into()],
            ..given("dependent-job", 10, dependent)
        },
        given("parameterized-job", 15, parameterized),
    ]
}
