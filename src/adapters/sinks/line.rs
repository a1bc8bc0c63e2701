//! An event as a sink gets it. Made again, it is the same to the byte.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::model::{Event, Name, Position, RunId, RunStatus, Timestamp};

/// What a sink gets of an event, or of a gap.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Line {
    /// The place of the event. It stands first, where tools that sort find it.
    #[serde(serialize_with = "as_text")]
    pub position: Position,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<RunId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<RunStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nominal_time: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

fn as_text<S: serde::Serializer>(position: &Position, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(position)
}

impl Line {
    /// That of an event; `pages` is what addresses of the page begin with, where all nodes have the
    /// same.
    pub fn of(event: Event, position: Position, pages: Option<&str>) -> Self {
        let page = pages.and_then(|base| Some(format!("{base}{}", page_of(&event)?)));
        Line {
            page,
            position,
            at: Some(event.at),
            r#type: event.kind,
            job: event.job,
            run_id: event.run_id,
            status: event.status,
            nominal_time: event.nominal_time,
            reason: event.reason,
        }
    }

    /// Events up to that place are gone.
    pub fn gap(up_to: Position, reason: String) -> Self {
        Line {
            position: up_to,
            at: None,
            r#type: "gap".to_owned(),
            job: None,
            run_id: None,
            status: None,
            nominal_time: None,
            reason: Some(reason),
            page: None,
        }
    }

    /// The run that it tells the end of.
    pub fn ended(&self) -> Option<RunId> {
        self.run_id.filter(|_| self.status.is_some_and(RunStatus::is_terminal))
    }

    /// The nominal time without a run that it tells of, and its job.
    pub fn skipped(&self) -> Option<(&Name, Timestamp)> {
        self.job.as_ref().zip(self.nominal_time)
    }

    /// Whether it stands for events that are gone.
    pub fn is_gap(&self) -> bool {
        self.at.is_none()
    }

    /// What it says of a run, for where nothing else does.
    pub fn of_run(&self) -> Value {
        json!({ "id": self.run_id, "job": self.job, "status": self.status,
            "reason": self.reason, "finished_at": self.at })
    }

    /// Its fields but the position, each as text.
    pub fn fields(&self) -> Vec<(String, String)> {
        let Ok(Value::Object(fields)) = serde_json::to_value(self) else { return Vec::new() };
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        let fields: Map<String, Value> = fields;
        let fields = fields.into_iter().filter(|(name, _)| name != "position");
        fields.map(|(name, value)| (name, text(value))).collect()
    }
}

/// Where the page explains an event.
fn page_of(event: &Event) -> Option<String> {
    let family = event.kind.split('.').next().unwrap_or_default();
    match (&event.run_id, &event.job, family) {
        (Some(run), ..) => Some(format!("/ui/runs/{run}")),
        (None, _, "incident") => Some("/ui/incidents".to_owned()),
        (None, Some(name), "monitor") => Some(format!("/ui/monitors?edit={name}")),
        (None, Some(name), _) => Some(format!("/ui/jobs/{name}")),
        (None, None, _) => None,
    }
}

/// Lines as text, one each.
pub(super) fn json_lines(lines: &[Line]) -> Result<Vec<u8>, String> {
    let mut text = Vec::with_capacity(lines.len() * 160);
    for line in lines {
        serde_json::to_writer(&mut text, line).map_err(|e| format!("an event is no JSON: {e}"))?;
        text.push(b'\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, job: Option<&str>, run: bool) -> Event {
        let at = Timestamp::from_secs(60);
        Event {
            index: 4,
            sub: 2,
            at,
            kind: kind.into(),
            job: job.map(|job| Name::parse(job).unwrap()),
            run_id: run.then(|| RunId::new(at, 1, 9)),
            status: None,
            nominal_time: None,
            reason: None,
        }
    }

    #[test]
    fn an_event_leads_to_the_page_that_explains_it() {
        let base = Some("https://cron.example.org");
        let page = |event: Event| Line::of(event, Position::default(), base).page;
        let run = page(event("run.failed", Some("j"), true)).unwrap();
        assert!(run.starts_with("https://cron.example.org/ui/runs/"), "{run}");
        for (kind, job, path) in [
            ("job.deleted", Some("j"), Some("/ui/jobs/j")),
            ("fire.skipped", Some("j"), Some("/ui/jobs/j")),
            ("monitor.down", Some("m"), Some("/ui/monitors?edit=m")),
            ("incident.opened", Some("j"), Some("/ui/incidents")),
            ("node.lost", None, None),
        ] {
            let wanted = path.map(|path| format!("https://cron.example.org{path}"));
            assert_eq!(page(event(kind, job, false)), wanted, "{kind}");
        }
        // Nodes that name no address would each have another.
        let line = Line::of(event("job.deleted", Some("j"), false), Position::default(), None);
        assert_eq!(line.page, None);
    }
}
