//! What definitions are declared with: a struct, its parser that names every faulty field, and
//! the format of the cluster that each field needs.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::invalid::Invalid;
use super::job::{Need, elsewhere, near, not_one_of};
use super::name::Name;

/// A definition, field by field. `spec!` implements it.
pub trait Fields: Serialize + DeserializeOwned + Sized {
    /// The names of its fields.
    const FIELDS: &'static [&'static str];

    /// The one of that name in which nothing else is given.
    fn empty(name: Name) -> Self;

    /// Its name.
    fn name(&self) -> &Name;

    /// The fields that are given, each with the format that reads it.
    fn given(&self) -> Vec<(&'static str, u32)>;

    /// Takes the fields that it has out of `map`.
    fn fill(&mut self, map: &mut Map<String, Value>, faults: &mut Vec<Invalid>);

    /// Whether a field can hold a value.
    fn holds(field: &str, value: &Value) -> bool;

    /// It as a JSON object.
    fn to_map(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }
}

/// Declares a definition once: the struct, the parser that reports every faulty field
/// at once, and the list of names for "did you mean".
macro_rules! spec {
    (
        $(#[$outer:meta])* $spec:ident;
        $( $(#[$meta:meta])* $field:ident : $type:ty, since $since:literal; )*
    ) => {
        $(#[$outer])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $spec {
            /// 1 to 128 characters of `[A-Za-z0-9._-]`; unique in the cluster.
            pub name: $crate::model::Name,
            $( $(#[$meta])* pub $field: $type, )*
        }

        impl $crate::model::fields::Fields for $spec {
            const FIELDS: &'static [&'static str] =
                &["name", $( $crate::model::fields::bare(stringify!($field)), )*];

            fn empty(name: $crate::model::Name) -> Self {
                $spec { name, $( $field: Default::default(), )* }
            }

            fn name(&self) -> &$crate::model::Name {
                &self.name
            }

            fn given(&self) -> Vec<(&'static str, u32)> {
                let empty = Self::empty(self.name.clone());
                let all = [$( (
                    self.$field != empty.$field,
                    $crate::model::fields::bare(stringify!($field)),
                    $since,
                ), )*];
                all.into_iter().filter(|all| all.0).map(|(_, name, since)| (name, since)).collect()
            }

            fn fill(
                &mut self,
                map: &mut serde_json::Map<String, serde_json::Value>,
                faults: &mut Vec<$crate::model::Invalid>,
            ) {
                $( $crate::model::fields::take(
                    map,
                    $crate::model::fields::bare(stringify!($field)),
                    &mut self.$field,
                    faults,
                ); )*
            }

            fn holds(field: &str, value: &serde_json::Value) -> bool {
                match field {
                    $( it if it == $crate::model::fields::bare(stringify!($field)) => {
                        serde_json::from_value::<$type>(value.clone()).is_ok()
                    } )*
                    _ => value.is_string(),
                }
            }
        }
    };
}

pub(in crate::model) use spec;

/// The name of a field that is written with `r#` where it is a word of the language.
pub(in crate::model) const fn bare(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Reads `field` out of `map` into `slot`; a fault names the place inside it.
pub(in crate::model) fn take<T: DeserializeOwned>(
    map: &mut Map<String, Value>,
    field: &str,
    slot: &mut T,
    faults: &mut Vec<Invalid>,
) {
    match map.remove(field) {
        // A null leaves the default: what merge-patch and many clients mean by it.
        None | Some(Value::Null) => {}
        Some(value) => match serde_path_to_error::deserialize(value) {
            Ok(read) => *slot = read,
            Err(fault) => {
                let mut pointer = field.to_string();
                for segment in fault.path() {
                    let text = segment.to_string();
                    let text = text.trim_matches(['[', ']']);
                    if text != "?" {
                        pointer.push('/');
                        pointer.push_str(&text.replace('~', "~0").replace('/', "~1"));
                    }
                }
                faults.push(Invalid::new(pointer, fault.inner().to_string()));
            }
        },
    }
}

/// The empty definition of the name in `map`; none when not even a stand-in can be had.
pub(in crate::model) fn named<T: Fields>(
    map: &mut Map<String, Value>,
    noun: &str,
    faults: &mut Vec<Invalid>,
) -> Option<T> {
    let name = match map.remove("name") {
        Some(Value::String(text)) => match Name::parse(&text) {
            Ok(name) => Some(name),
            Err(detail) => {
                faults.push(Invalid::new("name", detail));
                None
            }
        },
        Some(_) => {
            faults.push(Invalid::new("name", "must be a string"));
            None
        }
        None => {
            faults.push(Invalid::new("name", format!("is missing; every {noun} has a name")));
            None
        }
    };
    name.or_else(|| Name::parse("unnamed").ok()).map(T::empty)
}

/// The fields of `T` that `map` has, and the name.
pub(in crate::model) fn present<T: Fields>(map: &Map<String, Value>) -> Vec<&'static str> {
    let here = |field: &&&str| **field == "name" || map.contains_key(**field);
    T::FIELDS.iter().filter(here).copied().collect()
}

/// Refuses what is left of `map`: it has no such fields. `given` are those that it has; `foreign`:
/// words of other schedulers are told what they are called here.
pub(in crate::model) fn refuse_unknown<T: Fields>(
    map: &Map<String, Value>,
    given: &[&str],
    foreign: bool,
    faults: &mut Vec<Invalid>,
) {
    for (key, value) in map {
        let fits = |field: &str| !given.contains(&field) && T::holds(field, value);
        let detail = match near(key, T::FIELDS, fits) {
            Some(name) => format!("is not a field; did you mean {name}?"),
            None => {
                elsewhere(key, value).filter(|_| foreign).unwrap_or_else(|| not_one_of(T::FIELDS))
            }
        };
        faults.push(Invalid::new(key.replace('~', "~0").replace('/', "~1"), detail));
    }
}

/// The part of a definition that needs the newest format; none: the first format reads all of it.
/// `inner` are parts of its fields.
pub(in crate::model) fn newest<T: Fields>(spec: &T, inner: Vec<(String, u32)>) -> Option<Need> {
    let own = spec.given().into_iter().map(|(field, format)| (field.to_owned(), format));
    let newest = own.chain(inner).max_by_key(|(_, format)| *format);
    newest.filter(|(_, format)| *format > 1).map(|(what, format)| Need { what, format })
}
