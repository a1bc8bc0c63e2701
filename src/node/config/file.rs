//! The configuration file: each key on its line, and every fault at once.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use crate::model::job::unknown_field;

use super::sources::Sources;
use super::table::{Form, TABLE};

impl Sources<'_> {
    pub(super) fn read_file(&mut self, path: &Path, at: &str) {
        let shown = path.display().to_string();
        self.kept.push(path.to_owned());
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => return self.fault(at, format!("{shown}: {error}")),
        };
        let place = |offset: usize| {
            let before = text.get(..offset).unwrap_or(&text);
            format!("{shown}:{}", 1 + before.matches('\n').count())
        };
        let (table, errors) = DeTable::parse_recoverable(&text);
        for error in errors {
            self.fault(place(error.span().map_or(0, |span| span.start)), error.message());
        }
        let span = table.span();
        let rows: BTreeMap<String, Form> =
            TABLE.iter().filter_map(|row| Some((row.file_key()?, row.form))).collect();
        let keys: Vec<&str> = rows.keys().map(String::as_str).collect();
        for (key, value) in table.into_inner() {
            let (name, at) = (key.get_ref().to_string(), place(key.span().start));
            let at = format!("{at}: {name}");
            let Some(form) = rows.get(&name) else {
                self.fault(at, unknown_field(&name, &keys));
                continue;
            };
            // Each by itself: a table is given up at its first fault.
            let mut alone = DeTable::new();
            alone.insert(key, value);
            if let Err(error) = self.keep(&name, *form, Spanned::new(span.clone(), alone)) {
                self.fault(at.clone(), error.message());
            }
            self.places.insert(name, at);
        }
    }

    fn keep(
        &mut self,
        name: &str,
        form: Form,
        alone: Spanned<DeTable<'_>>,
    ) -> Result<(), toml::de::Error> {
        let text = match form {
            Form::Text | Form::Secret => value::<String>(alone)?,
            Form::Number => value::<i64>(alone)?.map(|number| number.to_string()),
            Form::Switch => value::<bool>(alone)?.map(|on| if on { "on" } else { "off" }.into()),
            Form::List => value::<Vec<String>>(alone)?.map(|list| list.join(",")),
            Form::Labels => value::<BTreeMap<String, String>>(alone)?.map(|labels| {
                let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
                pairs.collect::<Vec<_>>().join(",")
            }),
            Form::Section => {
                self.provider = value(alone)?;
                None
            }
        };
        if let Some(text) = text {
            self.file.insert(name.to_owned(), text);
        }
        Ok(())
    }
}

/// The value of a table that has one.
fn value<T: DeserializeOwned>(alone: Spanned<DeTable<'_>>) -> Result<Option<T>, toml::de::Error> {
    let one = BTreeMap::<String, T>::deserialize(Deserializer::from(alone))?;
    Ok(one.into_values().next())
}
