//! What a push says: a title and a few words for a small screen, and the page to go to. Facts
//! only; nothing that a run wrote but the short reason of its end.

use serde::Serialize;

use super::super::tell::message_of;
use crate::model::limits::PUSH_PAYLOAD_BYTES_MAX;
use crate::model::{Facts, MessageKind, NoticeKind, PushNotice, Timestamp};

/// Of several notices so many are named.
const NAMED_MAX: usize = 8;

/// What the page's worker is handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Words {
    /// One line.
    pub title: String,
    /// The rest.
    pub body: String,
    /// The page that explains it, below the address that the browser knows the cluster by.
    pub url: String,
    /// What it is about: a later push of the same takes its place.
    pub tag: String,
    /// When it happened, milliseconds since 1970.
    pub at: u64,
    /// Something is wrong, rather than well again.
    pub wrong: bool,
}

impl Words {
    /// Of one notice.
    pub fn one(notice: &PushNotice, cluster: &str, left_out: u64) -> Words {
        let facts = &notice.facts;
        let message = message_of(facts, notice.at, cluster, "").bounded();
        let mut body = message.reason.clone();
        if let Some(error) = &message.error {
            body = format!("{body}\n{error}");
        }
        if left_out > 0 {
            body = format!("{body}\n{left_out} more were left out.");
        }
        Words {
            title: message.text(None).subject,
            body,
            url: message.link.unwrap_or_default(),
            tag: tag(facts),
            at: notice.at.millis(),
            wrong: facts.kind != NoticeKind::Resolved && message.kind != MessageKind::BackfillDone,
        }
    }

    /// Of several, which are too many for one each.
    pub fn several<'a>(
        notices: impl ExactSizeIterator<Item = &'a PushNotice>,
        cluster: &str,
        left_out: u64,
    ) -> Words {
        let count = notices.len() as u64 + left_out;
        let (mut lines, mut at, mut wrong) = (Vec::new(), Timestamp::ZERO, false);
        for notice in notices {
            let one = Words::one(notice, cluster, 0);
            (at, wrong) = (notice.at, wrong || one.wrong);
            if lines.len() < NAMED_MAX {
                lines.push(one.title);
            }
        }
        if count > lines.len() as u64 {
            lines.push(format!("and {} more", count - lines.len() as u64));
        }
        Words {
            title: format!("{count} notices"),
            body: lines.join("\n"),
            url: "/ui/".into(),
            tag: "several".into(),
            at: at.millis(),
            wrong,
        }
    }

    /// One that tries a subscription.
    pub fn test(who: &str, at: Timestamp) -> Words {
        Words {
            title: "A test from CronAPI".into(),
            body: format!("{who} tries this browser. Nothing is wrong."),
            url: "/ui/settings".into(),
            tag: "test".into(),
            at: at.millis(),
            wrong: false,
        }
    }

    /// As JSON, within the bytes that a push may have.
    ///
    /// # Errors
    /// None in practice: texts and numbers.
    pub fn payload(&self) -> Result<Vec<u8>, String> {
        let pack = |words: &Words| serde_json::to_vec(words).map_err(|e| e.to_string());
        let whole = pack(self)?;
        if whole.len() <= PUSH_PAYLOAD_BYTES_MAX {
            return Ok(whole);
        }
        // An escape has six bytes at most.
        let room = PUSH_PAYLOAD_BYTES_MAX.saturating_sub(pack(&self.cut(0))?.len()) / 6;
        pack(&self.cut(room))
    }

    fn cut(&self, most: usize) -> Words {
        let body = self.body[..self.body.floor_char_boundary(most)].to_owned();
        Words { body, ..self.clone() }
    }
}

fn tag(facts: &Facts) -> String {
    let what = if facts.part.is_some() {
        "part"
    } else if facts.is_of_monitor() {
        "monitor"
    } else {
        "job"
    };
    format!("{what}:{}", facts.job)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, RunId, RunStatus, Trouble};

    fn notice(seq: u64, kind: NoticeKind, detail: &str) -> PushNotice {
        let at = Timestamp::from_secs(60);
        let trouble = match kind {
            NoticeKind::Resolved => Trouble::Recovered,
            _ => Trouble::Failed,
        };
        let facts = Facts {
            kind,
            incident: 0,
            rule: None,
            trouble,
            job: Name::parse("nightly-dump").unwrap(),
            part: None,
            job_no: 1,
            run: Some(RunId::new(at, 1, 9)),
            status: Some(RunStatus::Failed),
            detail: Some(detail.into()),
            since: at,
            troubles: 1,
            jobs: 1,
            left_out: 0,
        };
        PushNotice { seq, at, not_before: at, tries: 0, facts }
    }

    #[test]
    fn one_says_what_happened_and_leads_to_its_run() {
        let failed = Words::one(&notice(1, NoticeKind::Opened, "exit code 3"), "c1", 2);
        assert_eq!(failed.title, "nightly-dump failed");
        assert_eq!(failed.body, "A run failed.\nexit code 3\n2 more were left out.");
        assert!(failed.url.starts_with("/ui/runs/") && failed.wrong, "{failed:?}");
        let well = Words::one(&notice(2, NoticeKind::Resolved, ""), "c1", 0);
        assert_eq!((well.title.as_str(), well.wrong), ("nightly-dump is well again", false));
        assert_eq!(well.tag, failed.tag, "the end takes the place of the beginning");
    }

    #[test]
    fn several_are_named_as_far_as_there_is_room() {
        let all: Vec<PushNotice> =
            (1..=20).map(|seq| notice(seq, NoticeKind::Opened, "")).collect();
        let words = Words::several(all.iter(), "c1", 3);
        assert_eq!(words.title, "23 notices");
        assert_eq!(words.body.lines().count(), NAMED_MAX + 1);
        assert!(words.body.ends_with("and 15 more"), "{}", words.body);
    }

    #[test]
    fn no_push_is_longer_than_services_take() {
        let mut words = Words::one(&notice(1, NoticeKind::Opened, "x"), "c1", 0);
        words.body = "\u{1}".repeat(8_000);
        let payload = words.payload().unwrap();
        assert!(payload.len() <= PUSH_PAYLOAD_BYTES_MAX, "{}", payload.len());
        let read: serde_json::Value = serde_json::from_slice(&payload).unwrap();
        assert!(read["body"].as_str().unwrap().len() > 400, "{read}");
    }
}
