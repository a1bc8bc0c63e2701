//! Indexes of the collections: made by the first sink that misses them.

use mongodb::bson::{Bson, Document, doc};

use super::store::Store;

/// The name of an index, and its fields in their order.
type Index = (&'static str, &'static [&'static str]);

/// The indexes of each collection. One without the first of them is not the one that was made here:
/// it was dropped, and is there again because somebody wrote into it, or is new.
const INDEXES: &[(&str, &[Index])] = &[
    (
        "runs",
        &[
            ("by_job", &["job", "nominal_time"]),
            ("by_job_and_end", &["job", "finished_at"]),
            ("by_status", &["status", "finished_at"]),
            ("by_id", &["id"]),
        ],
    ),
    ("ledger", &[("by_job", &["job", "nominal_time"])]),
];

/// What a collection misses.
pub(super) struct Missing {
    pub collection: &'static str,
    /// Whether it is not the one that was made here.
    anew: bool,
    indexes: Vec<Document>,
}

/// The collections that miss something.
pub(super) async fn missing(store: &Store) -> Result<Vec<Missing>, String> {
    let mut found = Vec::new();
    for (collection, wanted) in INDEXES {
        let there = store.indexes(collection).await?;
        let gone: Vec<bool> =
            wanted.iter().map(|(_, fields)| !there.iter().any(|one| is_of(one, fields))).collect();
        let indexes: Vec<Document> = wanted
            .iter()
            .zip(&gone)
            .filter(|(_, gone)| **gone)
            .map(|((name, fields), _)| {
                let key: Document =
                    fields.iter().map(|field| ((*field).to_owned(), Bson::Int32(1))).collect();
                doc! { "key": key, "name": *name }
            })
            .collect();
        if !indexes.is_empty() {
            let anew = gone.first() == Some(&true);
            found.push(Missing { collection, anew, indexes });
        }
    }
    Ok(found)
}

/// Makes what is missing. Where rows were gone, no sink is taken to be anywhere any more: each
/// writes all it has again. That comes first, so that one who is killed in between has not hidden
/// it.
pub(super) async fn ensure(store: &Store) -> Result<(), String> {
    let missing = missing(store).await?;
    if missing.iter().any(|missing| missing.anew) {
        store.clear("positions").await?;
    }
    for Missing { collection, indexes, .. } in missing {
        store.index(collection, indexes).await?;
    }
    Ok(())
}

fn is_of(index: &Document, fields: &[&str]) -> bool {
    let key = index.get_document("key");
    key.is_ok_and(|key| key.keys().map(String::as_str).eq(fields.iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_known_by_its_fields_whatever_its_name() {
        let index = doc! { "v": 2, "key": { "job": 1, "finished_at": 1.0 }, "name": "mine" };
        assert!(is_of(&index, &["job", "finished_at"]));
        assert!(!is_of(&index, &["finished_at", "job"]) && !is_of(&index, &["job"]));
    }
}
