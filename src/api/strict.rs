//! JSON read strictly: what some readers would take one way and some another is refused.
//! Keys given twice, numbers that no double holds, whole ones that 64 bits don't, more than
//! 128 levels, text behind the value.

use std::cell::Cell;
use std::fmt;

use axum::body::Bytes;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use super::problem::Problem;
use crate::model::Invalid;
use crate::model::integers::{Wide, is_large, wide_in};
use crate::model::limits::VALUES_MAX;

thread_local! {
    /// Values that may still be read: each takes ten times the memory of its text, and more.
    static LEFT: Cell<usize> = const { Cell::new(VALUES_MAX) };
    /// What was read could be taken in two ways.
    static DOUBT: Cell<bool> = const { Cell::new(false) };
    /// A number was so large that it may have been a whole one that 64 bits don't hold.
    static LARGE: Cell<bool> = const { Cell::new(false) };
}

/// Begins with a text in which so many values may stand.
pub(super) fn begin(values: usize) {
    LEFT.set(values);
    DOUBT.set(false);
}

/// Values that were left at the end.
pub(super) fn left() -> usize {
    LEFT.get()
}

/// Whether what failed is a text that some read one way and some another.
pub(super) fn doubtful() -> bool {
    DOUBT.get()
}

/// Whether such a number was read since this was last asked.
pub(super) fn take_large() -> bool {
    LARGE.replace(false)
}

/// Refuses a whole number that 64 bits don't hold.
pub(super) fn refuse_wide(wide: Option<Wide>) -> Result<(), Problem> {
    wide.map_or(Ok(()), |wide| Err(Problem::at("invalid", wide.place.clone(), wide.detail())))
}

fn doubt<E: Error>(detail: impl fmt::Display) -> E {
    DOUBT.set(true);
    E::custom(detail)
}

/// Too many values.
pub(super) fn too_many(most: usize) -> Problem {
    Problem::new("too-large", format!("the body has over {most} values, which is the most here"))
}

/// A value in which no key stands twice.
pub(super) struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match LEFT.get().checked_sub(1) {
            Some(left) => LEFT.set(left),
            None => return Err(doubt("too many values")),
        }
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
        let number = Number::from_f64(value).map(Value::Number);
        let number = number.ok_or_else(|| doubt("the number is not finite"))?;
        if is_large(&number) {
            LARGE.set(true);
        }
        Ok(number)
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
                return Err(doubt(format!("the key {key:?} is given twice")));
            }
            let Strict(value) = access.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

/// Reads a body.
pub(super) fn parse(body: &Bytes) -> Result<Value, Problem> {
    begin(VALUES_MAX);
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize::<_, Strict>(&mut reader);
    let Strict(value) = read.map_err(|fault| {
        if doubtful() && left() == 0 {
            return too_many(VALUES_MAX);
        }
        let place = pointer(fault.path());
        Problem::at("malformed-json", place, fault.inner().to_string())
    })?;
    reader.end().map_err(|fault| Problem::at("malformed-json", "", fault.to_string()))?;
    refuse_wide(wide_in(&value, body))?;
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
pub(super) fn pointer(path: &serde_path_to_error::Path) -> String {
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
    fn a_whole_number_that_would_become_another_is_refused_with_its_place() {
        let body = Bytes::from(r#"{"parameters":{"x":18446744073709551616}}"#);
        let fault = parse(&body).unwrap_err();
        assert_eq!(fault.code(), "invalid");
        let said = format!("{fault:?}");
        assert!(said.contains("/parameters/x"), "{said}");
        assert!(said.contains("18446744073709551616 is larger than 64 bits"), "{said}");
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
