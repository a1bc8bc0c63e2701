//! JSON read strictly: what some readers would take one way and some another is refused.
//! Keys given twice, numbers that no double holds, more than 128 levels, text behind the
//! value.

use std::fmt;

use axum::body::Bytes;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use super::problem::Problem;
use crate::model::Invalid;

/// A value in which no key stands twice.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(Reader).map(Strict)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("the number is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Strict(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is given twice")));
            }
            let Strict(value) = access.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads a body.
pub(super) fn parse(body: &Bytes) -> Result<Value, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize::<_, Strict>(&mut reader);
    let Strict(value) = read.map_err(|fault| {
        let place = pointer(fault.path());
        Problem::at("malformed-json", place, fault.inner().to_string())
    })?;
    reader.end().map_err(|fault| Problem::at("malformed-json", "", fault.to_string()))?;
    Ok(value)
}

/// Reads a typed value; a fault names its place.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|fault| {
        let place = pointer(fault.path());
        Problem::invalid(vec![Invalid::new(place, fault.inner().to_string())])
    })
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                text.push('/');
                text.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubtful_texts_are_refused() {
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        for bad in [
            r#"{"a":1,"a":2}"#,
            r#"{"x":{"b":1,"b":1}}"#,
            "1e400",
            "{} {}",
            "",
            "{'a':1}",
            "[1,]",
            "NaN",
            "\"\\ud800\"",
            "\u{feff}{}",
            &deep,
        ] {
            let body = Bytes::copy_from_slice(bad.as_bytes());
            assert_eq!(parse(&body).unwrap_err().code(), "malformed-json", "{bad:.30}");
        }
        assert!(parse(&Bytes::from_static(b"\"\xff\"")).is_err());
    }

    #[test]
    fn plain_values_come_through_whole() {
        let text = r#"{"a":[1,-2,2.5,true,null,"x"],"b":{"c":18446744073709551615}}"#;
        let value = parse(&Bytes::from(text)).unwrap();
        assert_eq!(value.to_string(), text);
    }

    proptest::proptest! {
        /// Whatever is taken, another reader takes for the same.
        #[test]
        fn texts_at_random_are_refused_or_read_as_others_read_them(
            text in r#"[\[\]{}":,0-9eE+.\-a-c\\u tfnrl]{0,40}"#
        ) {
            if let Ok(value) = parse(&Bytes::from(text.clone())) {
                let other: Value = serde_json::from_str(&text).unwrap();
                proptest::prop_assert_eq!(value, other);
            }
        }
    }
}
