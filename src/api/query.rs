//! The query string: typed, strict UTF-8, unknown and repeated parameters refused by name.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use super::problem::Problem;

/// Parameters in one request.
const PARAMETERS_MAX: usize = 200;

/// The query, read into `T`.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default(), Source::Query).map(Query)
    }
}

/// Where pairs stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In the query string.
    Query,
    /// In the body, as a form.
    Form,
}

impl Source {
    /// The place of a parameter, as problems name it.
    fn place(self, name: &str) -> String {
        match self {
            Source::Query => format!("query:{name}"),
            Source::Form => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        }
    }
}

/// Pairs as browsers write them, read into `T`.
pub(super) fn read<T: DeserializeOwned>(text: &str, from: Source) -> Result<T, Problem> {
    let mut values: BTreeMap<String, Texts> = BTreeMap::new();
    for (count, pair) in text.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        if count == PARAMETERS_MAX {
            let detail = format!("there are over {PARAMETERS_MAX} parameters");
            return Err(Problem::new("invalid-parameter", detail));
        }
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok_or_else(|| {
            Problem::new("invalid-parameter", "the name of a parameter is not UTF-8")
        })?;
        let value =
            decode(value).ok_or_else(|| Problem::parameter(from.place(&name), "is not UTF-8"))?;
        values.entry(name).or_default().0.push(value);
    }
    // How fresh a read must be: every read may say it.
    if from == Source::Query
        && let Some(consistency) = values.remove("consistency")
    {
        let known = |text: &String| matches!(text.as_str(), "linearizable" | "local");
        if consistency.0.len() != 1 || !consistency.0.iter().all(known) {
            let detail = "must be linearizable or local";
            return Err(Problem::parameter("query:consistency", detail));
        }
    }
    let source = MapDeserializer::<_, Fault>::new(values.into_iter());
    serde_path_to_error::deserialize(source).map_err(|fault| {
        let text = fault.inner().to_string();
        match fault.path().iter().next() {
            Some(serde_path_to_error::Segment::Map { key }) => {
                Problem::parameter(from.place(key), text)
            }
            _ => Problem::new("invalid-parameter", text),
        }
    })
}

/// Percent-decoded, `+` as a space; none: not UTF-8, or a `%` that is none.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What is wrong with a parameter.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Fault(String);

impl de::Error for Fault {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Fault(text.to_string())
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Fault(match expected {
            [] => format!("the parameter {field:?} is not known; there is none here"),
            known => {
                format!("the parameter {field:?} is not known; there are {}", known.join(", "))
            }
        })
    }
}

/// What was given for one parameter. A list may be given as `a=x&a=y` or `a=x,y`.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn single(mut self) -> Result<String, Fault> {
        match (self.0.pop(), self.0.is_empty()) {
            (Some(text), true) => Ok(text),
            _ => Err(Fault("is given twice".into())),
        }
    }

    fn number<T: std::str::FromStr>(self) -> Result<T, Fault> {
        let text = self.single()?;
        let shown: String = text.chars().take(40).collect();
        text.parse().map_err(|_| Fault(format!("{shown:?} is not a number in range")))
    }
}

impl IntoDeserializer<'_, Fault> for Texts {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident $type:ty,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            visitor.$visit(self.number::<$type>()?)
        })*
    };
}

impl<'de> Deserializer<'de> for Texts {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_string(self.single()?)
    }

    numbers! {
        deserialize_u16 visit_u16 u16,
        deserialize_i32 visit_i32 i32,
        deserialize_u32 visit_u32 u32,
        deserialize_i64 visit_i64 i64,
    }

    /// Up to what a signed number holds: JSON Schema knows no wider `int64`.
    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self.number::<i64>()?;
        let positive = u64::try_from(number).map_err(|_| Fault("must not be negative".into()))?;
        visitor.visit_u64(positive)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.single()?.as_str() {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            _ => Err(Fault("must be true or false".into())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let items: Vec<Texts> = self
            .0
            .iter()
            .flat_map(|text| text.split(','))
            .map(|text| Texts(vec![text.to_owned()]))
            .collect();
        visitor.visit_seq(SeqDeserializer::new(items.into_iter()))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_enum(self.single()?.into_deserializer())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i128 u8 u128 f32 f64 char str string bytes byte_buf unit unit_struct tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
        super::read(query, Source::Query)
    }

    #[derive(Debug, serde::Deserialize, PartialEq, Default)]
    #[serde(deny_unknown_fields, default)]
    struct Asked {
        limit: Option<u32>,
        force: bool,
        tag: Vec<String>,
        exclude: Vec<crate::model::Role>,
        role: Option<crate::model::Role>,
        at: Option<crate::model::Timestamp>,
    }

    #[test]
    fn parameters_are_typed_and_lists_take_both_forms() {
        let asked: Asked = read("limit=5&force=true&tag=a,b&tag=c&role=admin").unwrap();
        assert_eq!((asked.limit, asked.force, asked.tag.len()), (Some(5), true, 3));
        assert_eq!(asked.role, Some(crate::model::Role::Admin));
        assert_eq!(read::<Asked>("").unwrap(), Asked::default());
        assert!(read::<Asked>("at=2027-01-01T00%3A00%3A00%2B01%3A00").unwrap().at.is_some());
    }

    #[test]
    fn a_faulty_parameter_is_named() {
        for (query, named) in [
            ("limit=x", "query:limit"),
            ("limit=-1", "query:limit"),
            ("limit=99999999999999999999", "query:limit"),
            ("limit=1&limit=2", "query:limit"),
            ("force=yes", "query:force"),
            ("role=king", "query:role"),
            ("at=noon", "query:at"),
            ("limt=1", "limt"),
            ("exclude=", "query:exclude"),
            ("exclude=&exclude=", "query:exclude"),
            ("exclude=admin,,viewer", "query:exclude"),
            ("tag=%ff", "query:tag"),
            ("tag=%zz", "query:tag"),
            ("consistency=eventual", "query:consistency"),
        ] {
            let problem = read::<Asked>(query).unwrap_err();
            assert_eq!(problem.code(), "invalid-parameter");
            assert!(format!("{problem:?}").contains(named), "{query}: {problem:?}");
        }
    }
}
