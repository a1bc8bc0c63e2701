//! Pushes: browsers that want to be told when their page is closed, and what waits to be told them.
//!
//! Owns: subscriptions as a browser gives them (W3C Push API), the key that the cluster signs with
//! (VAPID, RFC 8292), notices on their way. Does not own: which troubles there are (`alert`), how
//! a message is encrypted and sent (`adapters`).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::alert::{Facts, ON_DEFAULT, Trouble, check_on};
use super::invalid::Invalid;
use super::kind::rule::RuleMatch;
use super::limits;
use super::name::Name;
use super::secret::DataKey;
use super::span::Span;
use super::time::Timestamp;

/// Bytes of a public key of P-256 as a browser gives it: uncompressed, RFC 8291 §3.1.
pub const PUBLIC_KEY_BYTES: usize = 65;
/// Bytes of the secret that a browser shares with whoever may send to it, RFC 8291 §3.2.
pub const AUTH_BYTES: usize = 16;

/// The key that the cluster signs pushes with. Browsers take pushes of that key alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushKey {
    /// Identity; what the secret is sealed to.
    pub id: Uuid,
    /// What browsers know: an uncompressed point of P-256.
    pub public: Vec<u8>,
    /// The private key; all zeros where `sealed` has it.
    pub secret: [u8; 32],
    /// The same, sealed with the key that nodes are started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Box<DataKey>>,
}

impl std::fmt::Debug for PushKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PushKey({})", self.id)
    }
}

/// A browser that is told of troubles, on behalf of a user.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSubscription {
    /// Identity.
    pub id: Uuid,
    /// Whose it is.
    pub user: Name,
    /// The user's identity when it was made.
    pub user_uid: Uuid,
    /// Where pushes go. Who knows it and the keys may write there.
    pub endpoint: String,
    /// The browser's public key.
    pub p256dh: Vec<u8>,
    /// The secret shared with the browser.
    pub auth: Vec<u8>,
    /// What is told; empty: the default of rules.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Trouble>,
    /// Of which jobs and monitors; none: of all that the user may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<RuleMatch>,
    /// What the user calls it, such as `phone`.
    pub label: String,
    /// Creation.
    pub created_at: Timestamp,
    /// When a push was last taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Troubles that were told and are not over.
    #[serde(default)]
    pub open: u32,
    /// Notices that wait.
    #[serde(default)]
    pub waiting: u32,
    /// Troubles that were only counted since the last push: too many waited, or are open.
    #[serde(default)]
    pub left_out: u64,
}

impl std::fmt::Debug for PushSubscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PushSubscription({} of {})", self.id, self.user)
    }
}

impl PushSubscription {
    /// What it tells of.
    pub fn on(&self) -> &[Trouble] {
        if self.on.is_empty() { ON_DEFAULT } else { &self.on }
    }

    /// Whether it tells of such a trouble of a job, a monitor, or a part of the cluster.
    pub fn takes(&self, what: Trouble, name: &str, tags: &[String]) -> bool {
        if !self.on().contains(&what) {
            return false;
        }
        let Some(wanted) = &self.wanted else { return true };
        if what.is_of_cluster() {
            wanted.is_all()
        } else {
            wanted.takes(what.is_of_monitors(), name, tags)
        }
    }

    /// Every fault of it, at the fields of the request that makes it.
    pub fn check(&self) -> Vec<Invalid> {
        let mut faults = Vec::new();
        if self.endpoint.len() > limits::PUSH_ENDPOINT_BYTES_MAX {
            let detail = format!("has over {} bytes", limits::PUSH_ENDPOINT_BYTES_MAX);
            faults.push(Invalid::new("endpoint", detail));
        }
        if self.p256dh.len() != PUBLIC_KEY_BYTES || self.p256dh.first() != Some(&4) {
            let detail = "is no key that a browser gives: 65 bytes in base64url, the first 4";
            faults.push(Invalid::new("keys/p256dh", detail));
        }
        if self.auth.len() != AUTH_BYTES {
            let detail = "is no secret that a browser gives: 16 bytes in base64url";
            faults.push(Invalid::new("keys/auth", detail));
        }
        check_on("", &self.on, &mut faults);
        if let Some(wanted) = &self.wanted {
            wanted.check(&mut faults);
        }
        let length = self.label.chars().count();
        if length > limits::NAME_LEN_MAX || self.label.chars().any(char::is_control) {
            let detail = format!("must have at most {} printable characters", limits::NAME_LEN_MAX);
            faults.push(Invalid::new("label", detail));
        }
        faults
    }
}

/// A notice that waits to be pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushNotice {
    /// Its number among all pushes ever.
    pub seq: u64,
    /// When it was decided, log time.
    pub at: Timestamp,
    /// It is not sent before.
    pub not_before: Timestamp,
    /// How often it was tried in vain.
    #[serde(default)]
    pub tries: u32,
    /// What it says.
    pub facts: Facts,
}

/// What became of notices that were pushed in one message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pushed {
    /// The subscription.
    pub to: Uuid,
    /// The notices.
    pub seqs: Vec<u64>,
    /// What became of them.
    pub outcome: PushOutcome,
}

/// What became of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushOutcome {
    /// The push service has it.
    Sent,
    /// It may be tried again, not before so long.
    Retry {
        /// Why it failed.
        error: String,
        /// What the push service asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Span>,
    },
    /// It never will be taken.
    Refused {
        /// Why.
        error: String,
    },
    /// The browser does not want pushes any more: the subscription ends.
    Gone,
    /// The user may not see what it tells of, any more.
    Withheld,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> PushSubscription {
        let mut p256dh = vec![4; PUBLIC_KEY_BYTES];
        p256dh[1] = 7;
        PushSubscription {
            id: Uuid::nil(),
            user: Name::parse("ann").unwrap(),
            user_uid: Uuid::nil(),
            endpoint: "https://push.example.org/a".into(),
            p256dh,
            auth: vec![1; AUTH_BYTES],
            on: Vec::new(),
            wanted: None,
            label: "phone".into(),
            created_at: Timestamp::ZERO,
            sent_at: None,
            fault: None,
            open: 0,
            waiting: 0,
            left_out: 0,
        }
    }

    #[test]
    fn it_tells_of_what_it_names_and_of_no_more() {
        let all = subscription();
        let none: &[String] = &[];
        assert!(all.takes(Trouble::Failed, "a", none) && all.takes(Trouble::Missed, "a", none));
        assert!(!all.takes(Trouble::Late, "a", none) && !all.takes(Trouble::NodeLost, "n", none));
        let some = PushSubscription {
            on: vec![Trouble::Failed, Trouble::NodeLost],
            wanted: Some(RuleMatch { jobs: vec!["etl-*".into()], ..RuleMatch::default() }),
            ..all
        };
        assert!(some.takes(Trouble::Failed, "etl-1", none));
        assert!(!some.takes(Trouble::Failed, "dump", none));
        assert!(!some.takes(Trouble::NodeLost, "node-1", none), "no node has the name of a job");
    }

    #[test]
    fn every_fault_is_told_at_its_field() {
        assert!(subscription().check().is_empty());
        let bad = PushSubscription {
            endpoint: "e".repeat(limits::PUSH_ENDPOINT_BYTES_MAX + 1),
            p256dh: vec![2; 33],
            auth: Vec::new(),
            on: vec![Trouble::Recovered],
            label: "a\nb".into(),
            ..subscription()
        };
        let told: Vec<String> = bad.check().into_iter().map(|fault| fault.pointer).collect();
        assert_eq!(told, ["/endpoint", "/keys/p256dh", "/keys/auth", "/on", "/label"]);
    }

    #[test]
    fn no_key_and_no_address_is_in_what_is_logged() {
        let shown = format!("{:?}", subscription());
        assert!(!shown.contains("push.example.org"), "{shown}");
    }
}
