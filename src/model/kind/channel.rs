//! Channels: ways to tell people that something happened.

mod check;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Area, Define};
use crate::model::fields::spec;
use crate::model::flow::StartRate;
use crate::model::{Invalid, SecretRef, Setting, limits};

spec! {
    /// A way to tell people: where messages go, and what they say.
    ChannelSpec;
    /// What speaks to whom.
    #[serde(default)]
    #[schema(required = true, nullable = false)]
    r#type: Option<ChannelType>, since 6;
    /// Where messages go; which fields it has hangs on the type.
    #[serde(default)]
    #[schema(required = true)]
    config: ChannelConfig, since 6;
    /// What messages say; without it they say what happened in plain words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    template: Option<ChannelTemplate>, since 6;
    /// Messages in any window of time; beyond it they are put together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rate: Option<StartRate>, since 6;
}

/// What a channel speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChannelType {
    /// Mail, by SMTP.
    Email,
    /// An incoming webhook of Slack.
    Slack,
    /// A workflow of Microsoft Teams.
    Teams,
    /// A request with JSON, signed.
    Webhook,
    /// Events of PagerDuty, version 2.
    Pagerduty,
    /// A topic of ntfy.
    Ntfy,
}

impl ChannelType {
    /// All of them.
    pub const ALL: [ChannelType; 6] = [
        ChannelType::Email,
        ChannelType::Slack,
        ChannelType::Teams,
        ChannelType::Webhook,
        ChannelType::Pagerduty,
        ChannelType::Ntfy,
    ];

    /// Such as `email`.
    pub fn as_str(self) -> &'static str {
        match self {
            ChannelType::Email => "email",
            ChannelType::Slack => "slack",
            ChannelType::Teams => "teams",
            ChannelType::Webhook => "webhook",
            ChannelType::Pagerduty => "pagerduty",
            ChannelType::Ntfy => "ntfy",
        }
    }
}

/// Where the messages of a channel go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelConfig {
    /// `slack`, `teams`: the address of the webhook, as `{"secret": "name"}`, since who knows it
    /// may write there. `webhook`: where the request goes. `ntfy`: the server, if it is not
    /// `https://ntfy.sh`. `pagerduty`: where events go, if it is not PagerDuty itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<Setting>,
    /// `webhook`: headers beside those that each request has: texts, or `{"secret": "name"}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Setting>,
    /// `webhook`: what requests are signed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub sign: Option<SecretRef>,
    /// `email`: the server that takes the mail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub host: Option<String>,
    /// `email`: its port; 587 with `starttls`, 465 with `tls`, 25 with `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1)]
    pub port: Option<u16>,
    /// `email`: how the connection is protected; default: `starttls`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tls: Option<MailTls>,
    /// `email`: who logs in at the server; none: nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub username: Option<Setting>,
    /// `email`: with what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub password: Option<SecretRef>,
    /// `email`: who the mail is from: `cron@example.org`, or `CronAPI <cron@example.org>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub from: Option<String>,
    /// `email`: who gets it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    pub to: Vec<String>,
    /// `pagerduty`: the integration key of the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub routing_key: Option<SecretRef>,
    /// `pagerduty`: how bad it is; default: `error`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub severity: Option<Severity>,
    /// `ntfy`: the topic, as text or as `{"secret": "name"}`: who knows it may read along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub topic: Option<Setting>,
    /// `ntfy`: an access token of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub token: Option<SecretRef>,
    /// `ntfy`: from 1 to 5; default: 4 when something is wrong, 3 when it is well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 5)]
    pub priority: Option<u8>,
}

/// How a connection to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MailTls {
    /// It begins in the clear and is refused unless the server goes over to TLS.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// In the clear, without a password.
    None,
}

/// How bad PagerDuty takes it to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The worst.
    Critical,
    /// The default.
    Error,
    /// Less.
    Warning,
    /// The least.
    Info,
}

/// What the messages of a channel say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelTemplate {
    /// One line: `{{ job }} {{ kind }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 16384)]
    pub subject: Option<String>,
    /// The text: `{{ body }}`, and what you add to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, max_length = 16384)]
    pub body: Option<String>,
}

impl ChannelConfig {
    /// The secrets in it, each with where it stands.
    fn secrets(&self) -> Vec<(String, &SecretRef)> {
        fn of(setting: Option<&Setting>) -> Option<&SecretRef> {
            match setting {
                Some(Setting::Secret(place)) => Some(place),
                _ => None,
            }
        }
        let single = [
            ("url", of(self.url.as_ref())),
            ("sign", self.sign.as_ref()),
            ("username", of(self.username.as_ref())),
            ("password", self.password.as_ref()),
            ("routing_key", self.routing_key.as_ref()),
            ("topic", of(self.topic.as_ref())),
            ("token", self.token.as_ref()),
        ];
        let single = single
            .into_iter()
            .filter_map(|(field, place)| place.map(|place| (format!("config/{field}"), place)));
        let headers = self.headers.iter().filter_map(|(name, value)| {
            let name = name.replace('~', "~0").replace('/', "~1");
            of(Some(value)).map(|place| (format!("config/headers/{name}"), place))
        });
        single.chain(headers).collect()
    }
}

impl Define for ChannelSpec {
    const MOST: usize = limits::CHANNELS_MAX;
    const AREA: Area = Area::Outside;
    const MASKED: &'static [&'static str] = &["config"];

    fn check(&self, faults: &mut Vec<Invalid>) {
        check::channel(self, faults);
    }

    fn secrets(&self) -> Vec<(String, &SecretRef)> {
        self.config.secrets()
    }

    fn example() -> Value {
        json!({
            "name": "on-call",
            "type": "webhook",
            "config": {
                "url": "https://alerts.example.org/cronapi",
                "sign": { "secret": "alerts-key" },
            },
            "template": { "subject": "{{ job }}: {{ kind }}", "body": "{{ body }}" },
            "rate": { "limit": 20, "per": "10m" },
        })
    }

    fn patch() -> Value {
        json!({ "rate": { "limit": 40, "per": "10m" } })
    }
}
