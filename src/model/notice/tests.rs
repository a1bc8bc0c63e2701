//! What messages say.

use super::*;

fn message() -> Message {
    Message {
        kind: MessageKind::Failed,
        job: Name::parse("nightly-dump").ok(),
        error: Some("pg_dump: \"a\"\u{1b}[31m\r\nsecond line ü\u{0}".into()),
        reason: "The run ended with exit code 1.".into(),
        count: 3,
        link: Some("https://cron/ui/runs/1".into()),
        ..Message::test("k".into(), "prod".into(), "mail", "ann", Timestamp::from_secs(1_000))
    }
}

fn template(subject: &str, body: &str) -> ChannelTemplate {
    ChannelTemplate { subject: Some(subject.into()), body: Some(body.into()) }
}

#[test]
fn plain_words_say_what_happened() {
    let text = message().text(None);
    assert_eq!(text.subject, "nightly-dump failed (3 times)");
    let wanted = "The run ended with exit code 1.\n\npg_dump: \"a\"[31m\nsecond line ü\n\n\
                  job: nightly-dump\n";
    assert!(text.body.starts_with(wanted), "{}", text.body);
    assert!(text.body.ends_with("cluster: prod\n\nhttps://cron/ui/runs/1\n"), "{}", text.body);
    assert_eq!(text.fallback, None);
}

#[test]
fn a_template_puts_it_otherwise_and_a_subject_stays_one_line() {
    let made = template("{{ job }}\r\nBcc: x\n{{ kind }}", "{% if error %}{{ error }}{% endif %}!");
    let text = message().bounded().text(Some(&made));
    assert_eq!(text.subject, "nightly-dump Bcc: x failed");
    assert_eq!(text.body, "pg_dump: \"a\"[31m\nsecond line ü!");
}

#[test]
fn what_can_not_be_used_is_told_with_its_line() {
    let told = |text: &str| template::check(text).unwrap_err();
    assert!(told("a\n{{ jbo }}").starts_with("line 2: it names what there is not; known: at, b"));
    assert!(told("{{ job").starts_with("line 1: syntax error"), "{}", told("{{ job"));
    assert!(told("{% include 'a' %}").starts_with("line 1: "));
    assert!(
        told("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}")
            .contains("too many steps")
    );
    for good in ["{{ body }}", "{{ job|upper }} {{ run_id }} {{ since }} {{ link }} {{ group }}"] {
        assert_eq!(template::check(good), Ok(()), "{good}");
    }
}

#[test]
fn a_template_without_end_or_measure_is_given_up_and_the_plain_text_is_sent() {
    let letters = "{% for a in error %}{% for b in error %}{% for c in error %}x{% endfor %}\
                   {% endfor %}{% endfor %}";
    let doubled = "{% set n = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(64) %}\
                   {% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}";
    let wide = "{{ 'a' * 1000000000 }}";
    let filled = "{{ 'a'|indent(1000000000) }}";
    for endless in [letters, doubled, wide, filled] {
        let mut message = message();
        message.error = Some("e".repeat(10_000));
        let text = message.text(Some(&template("s", endless)));
        assert_eq!(text.subject, "nightly-dump failed (3 times)", "{endless}");
        assert!(text.fallback.is_some(), "{endless}");
        assert!(text.body.contains("(The template of this channel could not be used: "));
        assert!(text.body.len() < 3 * MESSAGE_TEXT_BYTES_MAX);
    }
}

#[test]
fn long_texts_are_cut_where_a_character_ends_and_say_so() {
    let mut message = message();
    message.error = Some("ü".repeat(100_000));
    let error = message.bounded().error.unwrap();
    assert!(error.len() <= MESSAGE_TEXT_BYTES_MAX && error.ends_with("ü\n… (cut)"));
    message.reason = "a".repeat(1_000);
    message.job = Name::parse(&"j".repeat(128)).ok();
    message.group = Some("g".repeat(500));
    assert!(message.text(None).subject.chars().count() <= MESSAGE_SUBJECT_LEN_MAX);
}
