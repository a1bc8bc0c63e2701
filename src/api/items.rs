//! A list of definitions, `[…]` or `{"items": […]}`: checked whole, kept as text, and each read
//! when its turn comes. As values they would take many times the memory.

use std::fmt;

use axum::body::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::problem::Problem;
use super::strict::{self, Strict};
use crate::model::Invalid;
use crate::model::integers::first_wide;
use crate::model::limits::{APPLY_ITEMS_MAX, APPLY_VALUES_MAX, VALUES_MAX};
use crate::service::Definition;

/// A definition that waits for its turn.
pub(super) struct Item {
    kind: String,
    name: String,
    text: Vec<u8>,
}

impl Definition for Item {
    fn kind(&self) -> &str {
        &self.kind
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn bytes(&self) -> usize {
        self.text.len()
    }

    fn read(self) -> Result<Map<String, Value>, Vec<Invalid>> {
        let read = serde_json::from_slice(&self.text);
        read.map_err(|fault| vec![Invalid::new("", fault.to_string())])
    }
}

struct List(Vec<Item>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    items: List,
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_seq(Reader).map(List)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Vec<Item>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of definitions")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Item>, A::Error> {
        let (mut items, mut left) = (Vec::new(), APPLY_VALUES_MAX);
        loop {
            let most = left.min(VALUES_MAX);
            strict::begin(most);
            let Some(Strict(value)) = seq.next_element()? else { return Ok(items) };
            left -= most - strict::left();
            let Value::Object(map) = value else {
                return Err(A::Error::custom("a definition is an object"));
            };
            if items.len() == APPLY_ITEMS_MAX {
                let detail = format!("has over {APPLY_ITEMS_MAX} items, which is the most");
                return Err(A::Error::custom(detail));
            }
            let name = map.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let kind = map.get("kind").map_or("", |kind| kind.as_str().unwrap_or("?")).to_owned();
            let text = serde_json::to_vec(&map).map_err(A::Error::custom)?;
            items.push(Item { kind, name, text });
        }
    }
}

/// Reads a list.
pub(super) fn parse(body: &Bytes) -> Result<Vec<Item>, Problem> {
    strict::begin(VALUES_MAX);
    strict::take_large();
    let bare = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = match bare {
        true => serde_path_to_error::deserialize::<_, List>(&mut reader),
        false => serde_path_to_error::deserialize::<_, Whole>(&mut reader).map(|whole| whole.items),
    };
    let List(items) = read.map_err(|fault| refused(&fault))?;
    reader.end().map_err(|fault| Problem::at("malformed-json", "", fault.to_string()))?;
    if strict::take_large() {
        strict::refuse_wide(first_wide(body))?;
    }
    Ok(items)
}

fn refused(fault: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    if strict::doubtful() && strict::left() == 0 {
        return Problem::new(
            "too-large",
            format!(
                "a definition has at most {VALUES_MAX} values, and all together have at most \
                 {APPLY_VALUES_MAX}"
            ),
        );
    }
    let (place, detail) = (strict::pointer(fault.path()), fault.inner().to_string());
    if strict::doubtful() || !fault.inner().is_data() {
        return Problem::at("malformed-json", place, detail);
    }
    Problem::invalid(vec![Invalid::new(place, detail)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_that_would_become_another_is_refused_with_its_place() {
        let text = r#"{"items":[{"name":"a"},{"parameters":{"x":[1,36893488147419103232]}}]}"#;
        let fault = parse(&Bytes::from(text)).map(|_| ()).unwrap_err();
        assert_eq!(fault.code(), "invalid");
        assert!(format!("{fault:?}").contains("/items/1/parameters/x/1"), "{fault:?}");
        assert_eq!(code(r#"[{"name":"a","parameters":{"x":18446744073709551615,"y":1e30}}]"#), "");
    }

    fn code(text: &str) -> &'static str {
        parse(&Bytes::copy_from_slice(text.as_bytes())).map_or_else(|p| p.code(), |_| "")
    }

    #[test]
    fn a_list_is_checked_whole_and_read_one_by_one() {
        let text = r#" {"items": [{"name": "a", "x": 1.5}, {"name": 7}, {}]} "#;
        let items = parse(&Bytes::from(text)).unwrap();
        let names: Vec<&str> = items.iter().map(Definition::name).collect();
        assert_eq!(names, ["a", "", ""]);
        let first = items.into_iter().next().unwrap();
        assert_eq!(Value::Object(first.read().unwrap()).to_string(), r#"{"name":"a","x":1.5}"#);
        for (text, wanted) in [
            ("[]", ""),
            ("[{}", "malformed-json"),
            ("[{}] []", "malformed-json"),
            (r#"[{"a":1,"a":1}]"#, "malformed-json"),
            ("[1]", "invalid"),
            ("{}", "invalid"),
            (r#"{"itms":[]}"#, "invalid"),
            ("7", "invalid"),
        ] {
            assert_eq!(code(text), wanted, "{text}");
        }
        assert_eq!(code(&format!("[{}{{}}]", "{},".repeat(APPLY_ITEMS_MAX))), "invalid");
        assert_eq!(code(&format!("[{}{{}}]", "{},".repeat(APPLY_ITEMS_MAX - 1))), "");
        let wide = format!("[{{\"x\":[{}0]}}]", "0,".repeat(VALUES_MAX));
        assert_eq!(code(&wide), "too-large");
        let fifty = format!("{{\"x\":[{}0]}},", "0,".repeat(APPLY_VALUES_MAX / 20));
        assert_eq!(code(&format!("[{}{{}}]", fifty.repeat(30))), "too-large");
    }
}
