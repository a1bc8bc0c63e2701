//! What is wrong with a channel, whatever the cluster holds.

use lettre::message::Mailbox;

use super::{ChannelConfig, ChannelSpec, ChannelType, MailTls};
use crate::model::limits::{
    CHANNEL_HEADERS_MAX, CHANNEL_RATE_LIMIT_MAX, CHANNEL_RATE_PER_MAX, CHANNEL_RECIPIENTS_MAX,
    CHANNEL_TEMPLATE_BYTES_MAX, CHANNEL_URL_BYTES_MAX,
};
use crate::model::notice::template;
use crate::model::{Invalid, Setting, Span};

/// Fields that a channel must have, and those that it may have.
fn fields(of: ChannelType) -> (&'static [&'static str], &'static [&'static str]) {
    match of {
        ChannelType::Email => (&["host", "from", "to"], &["port", "tls", "username", "password"]),
        ChannelType::Slack | ChannelType::Teams => (&["url"], &[]),
        ChannelType::Webhook => (&["url"], &["headers", "sign"]),
        ChannelType::Pagerduty => (&["routing_key"], &["severity", "url"]),
        ChannelType::Ntfy => (&["topic"], &["url", "token", "priority"]),
    }
}

/// The fields of a config, each with whether it is given.
fn given(config: &ChannelConfig) -> [(&'static str, bool); 15] {
    [
        ("url", config.url.is_some()),
        ("headers", !config.headers.is_empty()),
        ("sign", config.sign.is_some()),
        ("host", config.host.is_some()),
        ("port", config.port.is_some()),
        ("tls", config.tls.is_some()),
        ("username", config.username.is_some()),
        ("password", config.password.is_some()),
        ("from", config.from.is_some()),
        ("to", !config.to.is_empty()),
        ("routing_key", config.routing_key.is_some()),
        ("severity", config.severity.is_some()),
        ("topic", config.topic.is_some()),
        ("token", config.token.is_some()),
        ("priority", config.priority.is_some()),
    ]
}

/// What is wrong with a channel.
pub(super) fn channel(spec: &ChannelSpec, faults: &mut Vec<Invalid>) {
    match spec.r#type {
        None => {
            let all = ChannelType::ALL.map(ChannelType::as_str).join(", ");
            faults.push(Invalid::new("type", format!("is missing; it is one of {all}")));
        }
        Some(of) => {
            right_fields(of, &spec.config, faults);
            address(of, &spec.config, faults);
        }
    }
    headers(&spec.config, faults);
    mail(&spec.config, faults);
    if let Some(priority) = spec.config.priority.filter(|priority| !(1..=5).contains(priority)) {
        faults.push(Invalid::new("config/priority", format!("is {priority}; from 1 to 5")));
    }
    if let Some(Setting::Text(topic)) = &spec.config.topic
        && !is_topic(topic)
    {
        let detail = "is from 1 to 64 letters, digits, dashes and underlines";
        faults.push(Invalid::new("config/topic", detail));
    }
    texts(spec, faults);
    rate(spec, faults);
}

/// Whether ntfy would take it.
fn is_topic(topic: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=64).contains(&topic.len()) && topic.chars().all(fits)
}

fn right_fields(of: ChannelType, config: &ChannelConfig, faults: &mut Vec<Invalid>) {
    let (must, may) = fields(of);
    let what = of.as_str();
    for (field, given) in given(config) {
        if !given && must.contains(&field) {
            let detail = format!("is missing; a channel of the type {what} needs it");
            faults.push(Invalid::new(format!("config/{field}"), detail));
        }
        if given && !must.contains(&field) && !may.contains(&field) {
            let has = [must, may].concat().join(", ");
            let detail = format!("is not for a channel of the type {what}, which has {has}");
            faults.push(Invalid::new(format!("config/{field}"), detail));
        }
    }
}

fn address(of: ChannelType, config: &ChannelConfig, faults: &mut Vec<Invalid>) {
    let Some(Setting::Text(url)) = &config.url else { return };
    let mut fault = |detail: &str| faults.push(Invalid::new("config/url", detail));
    if matches!(of, ChannelType::Slack | ChannelType::Teams) {
        return fault(
            "is a secret, since who knows it may write there: keep it with PUT /secrets/{name}, \
             and give {\"secret\": \"name\"} here",
        );
    }
    let Some(rest) = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")) else {
        return fault("must begin with https:// or http://");
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        fault("has no host");
    }
    if authority.contains('@') {
        fault(
            "must not have a password in it: give the whole address as {\"secret\": \"name\"}, or \
             the password in a header",
        );
    }
    if url.len() > CHANNEL_URL_BYTES_MAX {
        fault(&format!("has over {CHANNEL_URL_BYTES_MAX} bytes"));
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        fault("has a space or a control character in it");
    }
}

/// Headers that the request has of its own, or that belong to the connection.
const OWN: [&str; 10] = [
    "content-type",
    "content-length",
    "host",
    "connection",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "user-agent",
    "idempotency-key",
];

fn headers(config: &ChannelConfig, faults: &mut Vec<Invalid>) {
    if config.headers.len() > CHANNEL_HEADERS_MAX {
        let detail = format!("has over {CHANNEL_HEADERS_MAX} headers");
        faults.push(Invalid::new("config/headers", detail));
    }
    for (name, value) in &config.headers {
        let lower = name.to_ascii_lowercase();
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let at = format!("config/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        if name.is_empty() || name.len() > 128 || !name.chars().all(token) {
            faults.push(Invalid::new(&at, "is not a name that a header can have"));
        } else if OWN.contains(&lower.as_str()) || lower.starts_with("x-cronapi-") {
            faults.push(Invalid::new(&at, "is set by CronAPI and can't be given"));
        }
        let Setting::Text(text) = value else { continue };
        let telling =
            ["authorization", "token", "secret", "cookie", "password", "api-key", "apikey"];
        if telling.iter().any(|word| lower.contains(word)) {
            let detail = "is a secret by its name: keep it with PUT /secrets/{name}, and give \
                          {\"secret\": \"name\"} here, with \"prefix\": \"Bearer \" if need be";
            faults.push(Invalid::new(&at, detail));
        }
        if text.len() > CHANNEL_URL_BYTES_MAX || text.chars().any(char::is_control) {
            let detail = format!("has a control character, or over {CHANNEL_URL_BYTES_MAX} bytes");
            faults.push(Invalid::new(&at, detail));
        }
    }
}

fn mail(config: &ChannelConfig, faults: &mut Vec<Invalid>) {
    let mut fault = |at: String, detail: String| faults.push(Invalid::new(at, detail));
    let from = config.from.iter().map(|from| ("config/from".to_owned(), from));
    let to = config.to.iter().enumerate().map(|(at, to)| (format!("config/to/{at}"), to));
    for (at, address) in from.chain(to) {
        let read = address.parse::<Mailbox>().ok();
        let usable = read.is_some_and(|read| read.email.to_string().is_ascii());
        if !usable || address.chars().any(char::is_control) {
            let detail = "is not an address such as ann@example.org or Ann <ann@example.org>, in \
                          ASCII but for the name";
            fault(at, detail.to_owned());
        }
    }
    if config.to.len() > CHANNEL_RECIPIENTS_MAX {
        fault("config/to".into(), format!("has over {CHANNEL_RECIPIENTS_MAX} addresses"));
    }
    if let Some(host) = &config.host {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
        if host.is_empty() || host.len() > 253 || !host.chars().all(fits) {
            let detail = "is the name or the address of a server, without a port";
            fault("config/host".into(), detail.to_owned());
        }
    }
    if config.port == Some(0) {
        fault("config/port".into(), "must be from 1 to 65535".into());
    }
    if config.username.is_some() != config.password.is_some() {
        let lacks = if config.username.is_some() { "password" } else { "username" };
        let detail = "is missing: a login has a username and a password";
        fault(format!("config/{lacks}"), detail.to_owned());
    }
    if config.tls == Some(MailTls::None) && config.password.is_some() {
        let detail =
            "must be starttls or tls where there is a password: it would be read on its way";
        fault("config/tls".into(), detail.to_owned());
    }
}

fn texts(spec: &ChannelSpec, faults: &mut Vec<Invalid>) {
    let Some(template) = &spec.template else { return };
    for (field, text) in [("subject", &template.subject), ("body", &template.body)] {
        let Some(text) = text else { continue };
        let at = format!("template/{field}");
        if text.len() > CHANNEL_TEMPLATE_BYTES_MAX {
            let detail = format!("has over {CHANNEL_TEMPLATE_BYTES_MAX} bytes");
            faults.push(Invalid::new(at, detail));
        } else if let Err(detail) = template::check(text) {
            faults.push(Invalid::new(at, detail));
        }
    }
}

fn rate(spec: &ChannelSpec, faults: &mut Vec<Invalid>) {
    let Some(rate) = &spec.rate else { return };
    if rate.limit == 0 || rate.limit > CHANNEL_RATE_LIMIT_MAX {
        let detail = format!("must be from 1 to {CHANNEL_RATE_LIMIT_MAX}");
        faults.push(Invalid::new("rate/limit", detail));
    }
    if rate.per == Span::ZERO || rate.per > CHANNEL_RATE_PER_MAX {
        let detail = format!("must be over 0, and {CHANNEL_RATE_PER_MAX} at most");
        faults.push(Invalid::new("rate/per", detail));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::Kind;

    fn faults(value: Value) -> Vec<String> {
        let mut map = value.as_object().cloned().unwrap();
        map.insert("name".into(), "c".into());
        let read = Kind::Channel.read(map);
        read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_type_is_taken_with_what_it_needs() {
        let secret = json!({ "secret": "s" });
        let good = [
            json!({ "type": "slack", "config": { "url": secret } }),
            json!({ "type": "teams", "config": { "url": secret } }),
            json!({ "type": "webhook", "config": { "url": "http://a/", "sign": secret,
                "headers": { "Authorization": { "secret": "s", "prefix": "Bearer " } } } }),
            json!({ "type": "pagerduty", "config": { "routing_key": secret } }),
            json!({ "type": "ntfy", "config": { "topic": "c", "token": secret, "priority": 5 } }),
            json!({ "type": "email", "config": { "host": "mail.example.org", "username": "cron",
                "password": secret, "from": "CronAPI <cron@example.org>",
                "to": ["ann@example.org"] } }),
        ];
        for good in good {
            assert_eq!(faults(good.clone()), Vec::<String>::new(), "{good}");
        }
    }

    #[test]
    fn each_fault_is_told_where_it_stands() {
        let secret = json!({ "secret": "s" });
        let told = [
            (json!({}), "/type: is missing"),
            (json!({ "type": "slack" }), "/config/url: is missing"),
            (
                json!({ "type": "slack", "config": { "url": "https://a/" } }),
                "/config/url: is a sec",
            ),
            (
                json!({ "type": "slack", "config": { "url": secret, "topic": "a" } }),
                "/config/topic: is not for",
            ),
            (
                json!({ "type": "webhook", "config": { "url": "ftp://a" } }),
                "/config/url: must begin",
            ),
            (
                json!({ "type": "webhook", "config": { "url": "http://a:b@c/" } }),
                "/config/url: must not have a password",
            ),
            (
                json!({ "type": "webhook", "config": { "url": "http://c/",
                    "headers": { "X-Api-Token": "abc" } } }),
                "/config/headers/X-Api-Token: is a secret",
            ),
            (
                json!({ "type": "webhook", "config": { "url": "http://c/",
                    "headers": { "Host": "abc" } } }),
                "/config/headers/Host: is set by",
            ),
            (
                json!({ "type": "email", "config": { "host": "a", "from": "a@b.org",
                    "to": ["a@b.org\r\nBcc: c@d.org"] } }),
                "/config/to/0: is not an address",
            ),
            (
                json!({ "type": "email", "config": { "host": "a", "from": "a@b.org",
                    "to": ["a@b.org"], "tls": "none", "username": "u", "password": secret } }),
                "/config/tls: must be",
            ),
            (
                json!({ "type": "email", "config": { "host": "a", "from": "a@b.org",
                    "to": ["a@b.org"], "username": "u" } }),
                "/config/password: is missing",
            ),
            (json!({ "type": "ntfy", "config": { "topic": "a b" } }), "/config/topic: is from 1"),
            (
                json!({ "type": "ntfy", "config": { "topic": "a" },
                    "template": { "body": "{{ jbo }}" } }),
                "/template/body: ",
            ),
            (
                json!({ "type": "ntfy", "config": { "topic": "a" },
                    "rate": { "limit": 0, "per": "1m" } }),
                "/rate/limit: must be",
            ),
        ];
        for (value, wanted) in told {
            let faults = faults(value.clone());
            assert!(faults.iter().any(|fault| fault.starts_with(wanted)), "{value}: {faults:?}");
        }
    }
}
