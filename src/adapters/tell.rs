//! What a notice says: its facts as a message, with a link to the page that explains it.

use std::fmt::Write;
use std::sync::Arc;

use crate::model::limits::DIGEST_MAX;
use crate::model::{
    Facts, Message, MessageKind, Notice, NoticeKind, Part, RunStatus, Timestamp, Trouble,
};

/// The message of one notice. Sent again, it is the same one, under the same key.
pub(super) fn message(notice: &Notice, cluster: &str, base: &str) -> Message {
    let incident = format!("{cluster}-incident-{}", notice.facts.incident);
    let key = format!("{cluster}-{}", notice.seq);
    Message { key, incident: Some(incident), ..message_of(&notice.facts, notice.at, cluster, base) }
}

/// What is said of such facts, without a key.
pub(super) fn message_of(facts: &Facts, at: Timestamp, cluster: &str, base: &str) -> Message {
    let resolved = facts.kind == NoticeKind::Resolved;
    Message {
        key: String::new(),
        kind: kind(facts),
        cluster: cluster.to_owned(),
        incident: None,
        rule: facts.rule.clone(),
        group: None,
        job: facts.of_job().cloned(),
        monitor: facts.of_monitor().cloned(),
        node: facts.of_node(),
        sink: facts.of_sink().cloned(),
        run_id: facts.run,
        nominal_time: None,
        at,
        reason: sentence(facts),
        error: facts.detail.clone(),
        count: if resolved { 1 } else { facts.troubles },
        since: Some(facts.since),
        link: Some(link(facts, base)),
    }
}

/// The message of several notices: a channel has more than its rate, or a window is over.
pub(super) fn digest(notices: &[Arc<Notice>], cluster: &str, base: &str) -> Message {
    let (first, last) = (notices.first(), notices.last());
    let seq = |notice: Option<&Arc<Notice>>| notice.map_or(0, |notice| notice.seq);
    let window = first.and_then(|first| first.window.as_ref());
    let mut reason = match window {
        Some(window) => {
            format!("{} notices that waited for the end of the window {window}:", notices.len())
        }
        None => format!("{} notices, since there are more than may go one by one:", notices.len()),
    };
    for notice in notices.iter().take(DIGEST_MAX) {
        let facts = &notice.facts;
        let words = match facts.kind {
            NoticeKind::Opened => facts.trouble.as_str(),
            NoticeKind::Reminder => "still in trouble",
            NoticeKind::Resolved => "well again",
        };
        let _ = write!(reason, "\n- {}: {words}, {}", facts.job, link(facts, base));
    }
    if notices.len() > DIGEST_MAX {
        let _ = write!(reason, "\n- and {} more", notices.len() - DIGEST_MAX);
    }
    Message {
        key: format!("{cluster}-{}-to-{}-of-{}", seq(first), seq(last), notices.len()),
        kind: MessageKind::Digest,
        cluster: cluster.to_owned(),
        incident: None,
        rule: None,
        group: None,
        job: None,
        monitor: None,
        node: None,
        sink: None,
        run_id: None,
        nominal_time: None,
        at: last.map_or(Timestamp::ZERO, |last| last.at),
        reason,
        error: None,
        count: notices.len() as u64,
        since: first.map(|first| first.at),
        link: Some(format!("{base}/ui/incidents")),
    }
}

fn kind(facts: &Facts) -> MessageKind {
    if facts.kind == NoticeKind::Resolved {
        let monitor = facts.is_of_monitor();
        return if monitor { MessageKind::MonitorUp } else { MessageKind::Recovered };
    }
    match facts.trouble {
        Trouble::Failed => MessageKind::Failed,
        Trouble::Recovered => MessageKind::Recovered,
        Trouble::Late => MessageKind::Late,
        Trouble::Missed => MessageKind::Missed,
        Trouble::LongRunning => MessageKind::LongRunning,
        Trouble::Skipped => MessageKind::Skipped,
        Trouble::MonitorDown => MessageKind::MonitorDown,
        Trouble::MonitorUp => MessageKind::MonitorUp,
        Trouble::NodeLost => MessageKind::NodeLost,
        Trouble::SinkBehind => MessageKind::SinkBehind,
        Trouble::BackfillDone => MessageKind::BackfillDone,
    }
}

/// What happened, in a sentence or two.
fn sentence(facts: &Facts) -> String {
    let mut text = String::new();
    if facts.kind == NoticeKind::Reminder {
        text.push_str("It goes on, and nobody acknowledged it. ");
    }
    let said = match (facts.kind, facts.trouble) {
        (_, Trouble::MonitorUp) => "The monitor is heard of again.",
        (_, Trouble::NodeLost) => "A node is not heard of; what it ran is lost.",
        (_, Trouble::SinkBehind) => "A sink does not get its events.",
        (_, Trouble::BackfillDone) => "A backfill has run all its times.",
        (NoticeKind::Resolved, _) if facts.of_node().is_some() => "The node is back.",
        (NoticeKind::Resolved, _) if facts.of_sink().is_some() => "The sink has caught up.",
        (_, Trouble::MonitorDown) => "The work that the monitor listens for failed, or is silent.",
        (NoticeKind::Resolved, _) | (_, Trouble::Recovered) => "The job succeeded again.",
        (_, Trouble::Failed) => match facts.status {
            Some(RunStatus::TimedOut) => "A run took longer than its timeout, and was stopped.",
            Some(RunStatus::Lost) => "A run was lost: its node is gone, or was cut off.",
            _ => "A run failed.",
        },
        (_, Trouble::Late) => "A scheduled run had not begun when it should have.",
        (_, Trouble::Missed) => "Nominal times passed without a run, and are not made up for.",
        (_, Trouble::LongRunning) => "A run is under way for longer than it should be.",
        (_, Trouble::Skipped) => "A time was skipped.",
    };
    text.push_str(said);
    if facts.troubles > 1 {
        let _ = write!(text, " Troubles since it began: {}.", facts.troubles);
    }
    if facts.jobs > 1 {
        let what = if facts.is_of_monitor() { "Jobs and monitors" } else { "Jobs" };
        let _ = write!(text, " {what} in trouble: {}.", facts.jobs);
    }
    if facts.left_out > 0 {
        let _ =
            write!(text, " Before it, {} notices were left out: too many waited.", facts.left_out);
    }
    text
}

/// The page that explains it: the run, the job, the monitor, or the part of the cluster.
fn link(facts: &Facts, base: &str) -> String {
    match (&facts.part, facts.run) {
        (Some(Part::Node(_)), _) => format!("{base}/ui/cluster"),
        (Some(Part::Sink(name)), _) => format!("{base}/ui/sinks?edit={name}"),
        (None, Some(run)) => format!("{base}/ui/runs/{run}"),
        (None, None) if facts.is_of_monitor() => format!("{base}/ui/monitors?edit={}", facts.job),
        (None, None) => format!("{base}/ui/jobs/{}", facts.job),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, RunId};

    fn notice(kind: NoticeKind, trouble: Trouble, seq: u64) -> Notice {
        let at = Timestamp::from_secs(60);
        let facts = Facts {
            kind,
            incident: 3,
            rule: None,
            trouble,
            job: Name::parse("nightly-dump").unwrap(),
            part: None,
            job_no: 1,
            run: Some(RunId::new(at, 1, 9)),
            status: Some(RunStatus::Lost),
            detail: Some("no space".into()),
            since: at,
            troubles: 2,
            jobs: 1,
            left_out: 0,
        };
        let (channel, error) = (Name::parse("ops").unwrap(), None);
        Notice {
            seq,
            channel,
            at,
            not_before: at,
            tries: 0,
            error,
            held: false,
            window: None,
            facts,
        }
    }

    #[test]
    fn a_message_leads_to_its_run_and_has_one_key_however_often_it_is_made() {
        let failed = notice(NoticeKind::Opened, Trouble::Failed, 7);
        let made = message(&failed, "c1", "https://cron.example.org");
        assert_eq!(made, message(&failed, "c1", "https://cron.example.org"));
        assert_eq!((made.key.as_str(), made.kind, made.count), ("c1-7", MessageKind::Failed, 2));
        let link = made.link.unwrap();
        assert!(link.starts_with("https://cron.example.org/ui/runs/"), "{link}");
        assert!(made.reason.contains("lost"), "{}", made.reason);
        let over = notice(NoticeKind::Resolved, Trouble::Recovered, 8);
        let over = message(&over, "c1", "https://cron.example.org");
        assert_eq!((over.kind, over.count), (MessageKind::Recovered, 1));
        assert_eq!(over.incident, made.incident);
    }

    #[test]
    fn a_digest_names_each_and_its_key_says_which() {
        let two = [7, 9].map(|seq| Arc::new(notice(NoticeKind::Opened, Trouble::Late, seq)));
        let made = digest(&two, "c1", "http://a");
        assert_eq!(made.key, "c1-7-to-9-of-2");
        assert_eq!(made.reason.matches("nightly-dump: late").count(), 2, "{}", made.reason);
    }
}
