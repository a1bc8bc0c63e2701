//! What a parameter may be, for the document: a client then has the words to choose from.

use std::collections::BTreeSet;

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use crate::model::job::near;

/// What to say of a word that is none of a list. What stands before the dot of one is a family,
/// which is written with `rest` behind it.
pub(super) fn unknown(given: &str, known: &[&str], rest: &str) -> String {
    let shown: String = given.chars().take(64).collect();
    let families = known.iter().filter_map(|word| Some(word.split_once('.')?.0));
    let families: BTreeSet<&str> = families.filter(|family| !known.contains(family)).collect();
    let all: Vec<&str> = known.iter().copied().chain(families.iter().copied()).collect();
    match near(given, &all, |_| true) {
        Some(family) if families.contains(family) => {
            format!("{shown:?} is not known; did you mean {family}{rest}?")
        }
        Some(word) => format!("{shown:?} is not known; did you mean {word}?"),
        None => format!("{shown:?} is not known; there are {}", known.join(", ")),
    }
}

/// Declares a schema of words; the name of each is for languages in which the word is none.
macro_rules! choices {
    ($($(#[doc = $text:literal])* $kind:ident { $($word:literal $name:literal,)* })*) => {
        $($(#[doc = $text])*
        pub(super) struct $kind;

        impl utoipa::PartialSchema for $kind {
            fn schema() -> RefOr<Schema> {
                let names = [("x-enum-varnames", json!([$($name),*]))];
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .description(Some(concat!($($text),*).trim()))
                    .enum_values(Some([$($word),*]))
                    .extensions(Some(names.into_iter().collect::<Extensions>()))
                    .into()
            }
        }

        impl utoipa::ToSchema for $kind {})*
    };
}

choices! {
    /// What carries out a job's runs.
    RunnerKind {
        "python" "PYTHON",
        "shell" "SHELL",
        "http" "HTTP",
        "workflow" "WORKFLOW",
        "none" "NONE",
    }

    /// Jobs with tasks, or those without.
    JobKind {
        "workflow" "WORKFLOW",
        "job" "JOB",
    }

    /// The order of jobs: least first, or with `-` the other way round.
    JobOrder {
        "name" "NAME",
        "-name" "NAME_DOWN",
        "next_fire_at" "NEXT_FIRE_AT",
        "-next_fire_at" "NEXT_FIRE_AT_DOWN",
        "created_at" "CREATED_AT",
        "-created_at" "CREATED_AT_DOWN",
        "updated_at" "UPDATED_AT",
        "-updated_at" "UPDATED_AT_DOWN",
        "last_run_at" "LAST_RUN_AT",
        "-last_run_at" "LAST_RUN_AT_DOWN",
    }
}
