//! YAML as it is meant: a plain word is a number only when JSON would take it for one, and no
//! number at all where a definition has a text.
//!
//! `00501`, `1_000`, `0o17` and `+49` are texts: readers of YAML differ about each of them, and
//! who writes a postcode has no number in mind. `name: 42` is a name.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::{NonFiniteFloatPolicy, Spanned};

use crate::model::integers::{Unread, read_json};

/// What a part of a definition holds, as far as it matters for plain words.
enum Shape {
    /// What is written.
    Any,
    /// A text, whatever it looks like.
    Text,
    /// A list or an object of such.
    Each(&'static Shape),
    /// An object with these fields among others.
    Fields(&'static [(&'static str, Shape)]),
}

const TEXTS: Shape = Shape::Each(&Shape::Text);
/// A job, or an object that names one.
const FOLLOWER: Shape = Shape::Each(&Shape::Fields(&[("job", Shape::Text)]));

static DEFINITION: Shape = Shape::Fields(&[
    ("name", Shape::Text),
    ("kind", Shape::Text),
    ("description", Shape::Text),
    ("tags", TEXTS),
    ("expr", Shape::Text),
    ("timezone", Shape::Text),
    ("code", Shape::Text),
    ("queue", Shape::Text),
    ("dependencies", FOLLOWER),
    ("on_success", FOLLOWER),
    ("on_failure", FOLLOWER),
    ("on_finish", FOLLOWER),
    ("placement", Shape::Fields(&[("require", TEXTS), ("prefer", TEXTS)])),
    (
        "runner",
        Shape::Fields(&[
            ("code", Shape::Text),
            ("command", Shape::Text),
            ("argv", TEXTS),
            ("env", TEXTS),
            ("headers", TEXTS),
            ("cwd", Shape::Text),
            ("user", Shape::Text),
            ("url", Shape::Text),
            ("body", Shape::Text),
            ("hmac_secret", Shape::Text),
        ]),
    ),
]);
static DEFINITIONS: Shape = Shape::Each(&DEFINITION);
static ANSWER: Shape = Shape::Fields(&[("items", Shape::Each(&DEFINITION))]);

impl Shape {
    fn item(&self) -> &Shape {
        match self {
            Shape::Each(shape) => shape,
            // The API refuses a list that stands where a text does.
            _ => &Shape::Any,
        }
    }

    fn field(&self, name: &str) -> &Shape {
        match self {
            Shape::Each(shape) => shape,
            Shape::Fields(fields) => {
                let found = fields.iter().find(|(known, _)| *known == name);
                found.map_or(&Shape::Any, |(_, shape)| shape)
            }
            Shape::Any | Shape::Text => &Shape::Any,
        }
    }

    /// Whether a plain word here is a text. A follower is one, or an object.
    fn is_text(&self) -> bool {
        matches!(self, Shape::Text | Shape::Fields([("job", _)]))
    }
}

/// A part of a text, with its place.
type Node = Spanned<Kind>;

enum Kind {
    Nothing,
    Text(String),
    /// A plain word that was taken for a number, or for true or false.
    Word(Value),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::Word(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::Word(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::Word(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::Word(value.into()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_none<E>(self) -> Result<Kind, E> {
        Ok(Kind::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Kind, D::Error> {
        d.deserialize_any(Reader)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Kind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Kind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Kind, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Kind::Object(fields))
    }
}

/// The documents of a text, read as definitions, as lists of them, or as the answer to a list.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn documents(text: &str) -> Result<Vec<Value>, String> {
    let text = text.trim_start_matches('\u{feff}');
    // `yes`, `no` and `on` are words: a job may have a tag of that name.
    let options = serde_saphyr::options! {
        strict_booleans: true,
        with_snippet: false,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    };
    let nodes: Vec<Node> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|e| e.to_string())?;
    let document = |node: Node| {
        let shape = match &node.value {
            Kind::List(_) => &DEFINITIONS,
            Kind::Object(fields) if fields.iter().all(|(name, _)| name != "name") => &ANSWER,
            _ => &DEFINITION,
        };
        value(node, text, shape, "")
    };
    nodes.into_iter().map(document).collect()
}

/// The value of a node that stands at `place`, a JSON pointer.
fn value(node: Node, text: &str, shape: &Shape, place: &str) -> Result<Value, String> {
    let written = written(&node, text);
    match node.value {
        Kind::Nothing => Ok(Value::Null),
        Kind::Text(text) => Ok(Value::String(text)),
        Kind::Word(read) => match written {
            None => Ok(read),
            Some(word) => plain(word, read, shape.is_text()).map_err(|why| match place {
                "" => why,
                place => format!("{place}: {why}"),
            }),
        },
        Kind::List(items) => {
            let item = |(at, item)| value(item, text, shape.item(), &format!("{place}/{at}"));
            items.into_iter().enumerate().map(item).collect()
        }
        Kind::Object(fields) => {
            let mut map = Map::new();
            for (name, field) in fields {
                let place = format!("{place}/{name}");
                let field = value(field, text, shape.field(&name), &place)?;
                map.insert(name, field);
            }
            Ok(Value::Object(map))
        }
    }
}

/// The plain word that a node is written as; none: it is written in quotes or with a tag.
fn written<'a>(node: &Node, text: &'a str) -> Option<&'a str> {
    let span = node.defined.span();
    let from = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    let word = text.get(from..from.checked_add(length)?)?.trim();
    let plain = !word.is_empty() && !word.starts_with(['"', '\'', '!', '|', '>', '&', '*']);
    plain.then_some(word)
}

/// A plain word that was read as a number, or as true or false.
fn plain(word: &str, read: Value, is_text: bool) -> Result<Value, String> {
    if is_text {
        return Ok(Value::from(word));
    }
    if read.is_boolean() {
        return Ok(read);
    }
    match read_json(word.as_bytes()) {
        Ok(number) => Ok(number),
        Err(Unread::Wide(wide)) => Err(wide.detail()),
        // What is no finite number was read as nothing.
        Err(Unread::NotJson(_))
            if read.is_null() && word.contains(|c: char| c.is_ascii_digit()) =>
        {
            Err(format!("{word} is larger than a number may be; send it as a string"))
        }
        Err(Unread::NotJson(_)) => Ok(Value::from(word)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(text: &str) -> Value {
        let mut all = documents(text).unwrap();
        assert_eq!(all.len(), 1, "{text}");
        all.remove(0)
    }

    #[test]
    fn a_plain_word_is_a_number_only_as_json_has_them() {
        for word in [
            "00501",
            "007",
            "-012",
            "00",
            "1_000",
            "0o17",
            "0x1F",
            "0b11",
            "+49",
            "+1.5",
            ".5",
            "5.",
            "1e",
            ".inf",
            "-.Inf",
            ".nan",
            "12:30",
            "1.2.3",
            "2026-01-02",
            "0777",
            "1_0.5",
            "12e03x",
        ] {
            let read = one(&format!("name: a\nparameters:\n  x: {word}\n"));
            assert_eq!(read["parameters"]["x"], json!(word), "{word}");
            let read = one(&format!("{{name: a, parameters: {{x: [{word}, 1]}}}}"));
            assert_eq!(read["parameters"]["x"], json!([word, 1]), "{word}");
        }
        for (word, number) in [
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000.0)),
            ("true", json!(true)),
            ("null", json!(null)),
            ("~", json!(null)),
            ("\"7\"", json!("7")),
            ("'1.50'", json!("1.50")),
            ("!!str 7", json!("7")),
        ] {
            let read = one(&format!("name: a\nparameters: # é\n  x: {word} # why\n"));
            assert_eq!(read["parameters"]["x"], number, "{word}");
        }
    }

    #[test]
    fn where_a_definition_has_a_text_a_number_is_one() {
        let read = one("name: 42\ntags: [2024, 1.50, true]\nqueue: 007\ndescription: 1e3\n\
            runner:\n  type: shell\n  argv: [sleep, 10]\n  env: {PORT: 8080, DEBUG: true, E: ''}\n\
            on_success: [7, {job: 8, parameters: {n: 9}}]\nplacement: {require: {rack: 12}}\n\
            priority: 5\ntimeout: 30s\n");
        let wanted = json!({
            "name": "42", "tags": ["2024", "1.50", "true"], "queue": "007", "description": "1e3",
            "runner": {"type": "shell", "argv": ["sleep", "10"],
                "env": {"PORT": "8080", "DEBUG": "true", "E": ""}},
            "on_success": ["7", {"job": "8", "parameters": {"n": 9}}],
            "placement": {"require": {"rack": "12"}}, "priority": 5, "timeout": "30s",
        });
        assert_eq!(read, wanted);
        assert_eq!(one("- name: 1\n- name: 2\n"), json!([{"name": "1"}, {"name": "2"}]));
        assert_eq!(one("items:\n- name: 1\n"), json!({"items": [{"name": "1"}]}));
    }

    #[test]
    fn anchors_and_merges_mean_what_they_name() {
        let read = one("name: a\nparameters:\n  a: &zip 00501\n  b: *zip\n  c: &n 12\n  d: *n\n");
        assert_eq!(read["parameters"], json!({"a": "00501", "b": "00501", "c": 12, "d": 12}));
    }

    #[test]
    fn a_number_that_would_become_another_is_refused_with_its_place() {
        let told = documents("name: a\nparameters: {x: [1, 18446744073709551616]}\n").unwrap_err();
        assert!(told.starts_with("/parameters/x/1: 18446744073709551616 is larger"), "{told}");
        assert!(documents("name: a\nparameters: {x: 1e999}\n").unwrap_err().contains("1e999"));
    }
}
