//! What a channel is told: one message of one notice.
//!
//! Owns: the facts, their words in plain text, and the templates that put them otherwise. Does not
//! own: which notices there are, or how a message travels (`adapters`).

pub mod template;

use std::borrow::Cow;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::kind::channel::ChannelTemplate;
use super::limits::{MESSAGE_SUBJECT_LEN_MAX, MESSAGE_TEXT_BYTES_MAX};
use super::{Name, NodeId, RunId, Timestamp};

/// What a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// A run failed, timed out or was lost.
    Failed,
    /// It is well again.
    Recovered,
    /// A run did not begin when it should have.
    Late,
    /// A time passed without a run.
    Missed,
    /// A run takes longer than it should.
    LongRunning,
    /// A time was skipped.
    Skipped,
    /// A monitor was not heard of, or heard that its work failed.
    MonitorDown,
    /// It is up again.
    MonitorUp,
    /// A node was not heard of in time.
    NodeLost,
    /// A sink can't be written, or is far behind.
    SinkBehind,
    /// A backfill has run all its times.
    BackfillDone,
    /// Several messages that were put together.
    Digest,
    /// Somebody tries the channel.
    Test,
}

impl MessageKind {
    /// Such as `long_running`.
    pub fn as_str(self) -> &'static str {
        match self {
            MessageKind::Failed => "failed",
            MessageKind::Recovered => "recovered",
            MessageKind::Late => "late",
            MessageKind::Missed => "missed",
            MessageKind::LongRunning => "long_running",
            MessageKind::Skipped => "skipped",
            MessageKind::MonitorDown => "monitor_down",
            MessageKind::MonitorUp => "monitor_up",
            MessageKind::NodeLost => "node_lost",
            MessageKind::SinkBehind => "sink_behind",
            MessageKind::BackfillDone => "backfill_done",
            MessageKind::Digest => "digest",
            MessageKind::Test => "test",
        }
    }

    /// What is said of the job: `nightly-dump failed`.
    fn words(self) -> &'static str {
        match self {
            MessageKind::Failed => "failed",
            MessageKind::Recovered => "is well again",
            MessageKind::Late => "is late",
            MessageKind::Missed => "did not run",
            MessageKind::LongRunning => "runs for longer than it should",
            MessageKind::Skipped => "was skipped",
            MessageKind::MonitorDown => "is down",
            MessageKind::MonitorUp => "is up again",
            MessageKind::NodeLost => "is lost",
            MessageKind::SinkBehind => "is behind",
            MessageKind::BackfillDone => "has a backfill that is done",
            MessageKind::Digest => "has several notices",
            MessageKind::Test => "was told to send a test",
        }
    }
}

/// The facts of one message. Every try to deliver it has the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// One notice has one, however often it is sent: the receiver can tell a repeat by it. Visible
    /// ASCII.
    pub key: String,
    /// What it is about.
    pub kind: MessageKind,
    /// The cluster that sends it.
    pub cluster: String,
    /// What the messages of one incident have in common: its end has it too.
    pub incident: Option<String>,
    /// The rule that asked for it.
    pub rule: Option<Name>,
    /// Of what the rule put together.
    pub group: Option<String>,
    /// The job.
    pub job: Option<Name>,
    /// The monitor.
    #[serde(default)]
    pub monitor: Option<Name>,
    /// The node.
    #[serde(default)]
    pub node: Option<NodeId>,
    /// The sink.
    #[serde(default)]
    pub sink: Option<Name>,
    /// The run.
    pub run_id: Option<RunId>,
    /// The nominal time of it.
    pub nominal_time: Option<Timestamp>,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, in a sentence.
    pub reason: String,
    /// What the run said of it.
    pub error: Option<String>,
    /// How often it happened since `since`.
    pub count: u64,
    /// Since when the incident is open.
    pub since: Option<Timestamp>,
    /// A page that explains it.
    pub link: Option<String>,
}

/// The words of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
    /// Why the template of the channel was not used.
    pub fallback: Option<String>,
}

impl Message {
    /// One that tries a channel.
    pub fn test(key: String, cluster: String, channel: &str, who: &str, at: Timestamp) -> Self {
        Message {
            key,
            kind: MessageKind::Test,
            cluster,
            incident: None,
            rule: None,
            group: None,
            job: None,
            monitor: None,
            node: None,
            sink: None,
            run_id: None,
            nominal_time: None,
            at,
            reason: format!("{who} tries the channel {channel}. Nothing is wrong."),
            error: None,
            count: 1,
            since: None,
            link: None,
        }
    }

    /// Its facts with texts no longer than a message may have, and nothing in them that a terminal
    /// or a mail program would act on.
    #[must_use]
    pub fn bounded(&self) -> Self {
        let mut message = self.clone();
        message.reason = clean(&message.reason);
        message.error = message.error.as_deref().map(clean);
        message
    }

    /// Its words: as the template has them, or plainly where there is none, or where it can't be
    /// used.
    pub fn text(&self, template: Option<&ChannelTemplate>) -> Text {
        let (subject, body) = (self.subject(), self.body());
        let plain = Text { subject: subject.clone(), body: body.clone(), fallback: None };
        let Some(template) = template else { return plain };
        match template::words(self, &plain, template) {
            Ok((subject, body)) => {
                let (subject, body) = (line(&subject), clean(&body));
                Text { subject, body, fallback: None }
            }
            Err(why) => {
                let note = format!("(The template of this channel could not be used: {why})");
                let body = format!("{body}\n{note}\n");
                Text { subject, body, fallback: Some(why) }
            }
        }
    }

    /// Who or what it is about.
    fn whom(&self) -> Cow<'_, str> {
        let part = self.node.map(|id| format!("Node {id}"));
        let part = part.or_else(|| Some(format!("Sink {}", self.sink.as_ref()?)));
        let rule = self.rule.as_ref().map(Name::as_str);
        let other = || self.group.as_deref().or(rule).unwrap_or(&self.cluster);
        part.map_or_else(|| self.job_name().unwrap_or_else(other).into(), Cow::from)
    }

    fn subject(&self) -> String {
        let words = match self.kind {
            MessageKind::Test => return line(&format!("A test from {}", self.cluster)),
            MessageKind::Digest => {
                return line(&format!("{}: {} notices", self.whom(), self.count));
            }
            kind => kind.words(),
        };
        let times = match self.count {
            0 | 1 => String::new(),
            count => format!(" ({count} times)"),
        };
        line(&format!("{} {words}{times}", self.whom()))
    }

    fn body(&self) -> String {
        let mut body = clean(&self.reason);
        body.push('\n');
        if let Some(error) = self.error.as_deref().map(clean).filter(|error| !error.is_empty()) {
            let _ = write!(body, "\n{error}\n");
        }
        let mut facts = String::new();
        for (name, value) in self.facts() {
            let _ = writeln!(facts, "{name}: {}", line(&value));
        }
        if !facts.is_empty() {
            let _ = write!(body, "\n{facts}");
        }
        if let Some(link) = &self.link {
            let _ = write!(body, "\n{link}\n");
        }
        body
    }

    /// What is known beside the sentence, each with what it is called.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        let mut add = |name, value: Option<String>| facts.extend(value.map(|value| (name, value)));
        add("job", self.job.as_ref().map(ToString::to_string));
        add("monitor", self.monitor.as_ref().map(ToString::to_string));
        add("node", self.node.as_ref().map(ToString::to_string));
        add("sink", self.sink.as_ref().map(ToString::to_string));
        add("run", self.run_id.as_ref().map(ToString::to_string));
        add("nominal time", self.nominal_time.as_ref().map(ToString::to_string));
        add("at", Some(self.at.to_string()));
        add("since", self.since.as_ref().map(ToString::to_string));
        add("times", (self.count > 1).then(|| self.count.to_string()));
        add("rule", self.rule.as_ref().map(ToString::to_string));
        let group = self.group.as_deref().filter(|group| Some(*group) != self.job_name());
        add("group", group.map(str::to_owned));
        add("cluster", Some(self.cluster.clone()));
        facts
    }

    fn job_name(&self) -> Option<&str> {
        self.job.as_ref().or(self.monitor.as_ref()).map(Name::as_str)
    }
}

/// One line, not too long: what a header or a title can hold.
fn line(text: &str) -> String {
    let one = text.split(|c: char| c.is_control() || c.is_whitespace());
    let one = one.filter(|word| !word.is_empty()).collect::<Vec<&str>>().join(" ");
    if one.chars().count() <= MESSAGE_SUBJECT_LEN_MAX {
        return one;
    }
    let mut cut: String = one.chars().take(MESSAGE_SUBJECT_LEN_MAX - 1).collect();
    cut.push('…');
    cut
}

/// Text of several lines, without control characters, not too long.
fn clean(text: &str) -> String {
    const CUT: &str = "\n… (cut)";
    let text = text.replace("\r\n", "\n");
    let kept = text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control());
    let text: String = kept.collect();
    let text = text.trim_end();
    if text.len() <= MESSAGE_TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let most = text.floor_char_boundary(MESSAGE_TEXT_BYTES_MAX - CUT.len());
    format!("{}{CUT}", &text[..most])
}

#[cfg(test)]
mod tests;
