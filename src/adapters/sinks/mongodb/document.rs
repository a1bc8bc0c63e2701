//! Rows as documents.

use mongodb::bson::{Bson, DateTime, Document};
use serde_json::Value;

use crate::model::Timestamp;

/// A server takes 100 levels of documents; what is deeper than this in a field is its JSON as text.
const DEPTH_MAX: usize = 64;

/// The document of a row: those of `columns` that have a value, with the cluster. Its `_id` is
/// made of the cluster and of the first `keys` columns, as `cluster/key`: what they tell of is
/// unique in its cluster alone, and a restored cluster has the runs of the one before.
pub(super) fn document(
    cluster: &str,
    row: &Value,
    columns: &[(&str, &str)],
    keys: usize,
) -> Document {
    let mut id = cluster.to_owned();
    for (name, _) in &columns[..keys] {
        id.push('/');
        id.push_str(row[*name].as_str().unwrap_or_default());
    }
    let mut document = Document::new();
    document.insert("_id", id);
    document.insert("cluster", cluster);
    for (name, kind) in columns {
        let value = match (&row[*name], *kind) {
            (Value::Null, _) => continue,
            (value, "timestamptz") => time(value),
            (value, _) if depth(value) > DEPTH_MAX => Bson::String(value.to_string()),
            (value, _) => bson(value),
        };
        document.insert(*name, value);
    }
    document
}

/// A date has milliseconds: what is finer is left out.
fn time(value: &Value) -> Bson {
    match serde_json::from_value::<Timestamp>(value.clone()) {
        Ok(time) => Bson::DateTime(DateTime::from_millis(time.micros() / 1000)),
        Err(_) => bson(value),
    }
}

/// JSON as it is: nothing in it stands for something else, as it would in extended JSON. Servers
/// before 5.0 refuse names that begin with `$`, and later ones some of them.
fn bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(is) => Bson::Boolean(*is),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            None => number.as_f64().map_or(Bson::Null, Bson::Double),
        },
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(items) => Bson::Array(items.iter().map(bson).collect()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| match name.strip_prefix('$') {
                Some(rest) => (format!("\u{ff04}{rest}"), bson(value)),
                None => (name.clone(), bson(value)),
            });
            Bson::Document(fields.collect())
        }
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The key that a text is of, if it is.
pub(super) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(|pair| byte(pair).filter(|_| pair.len() == 2)).collect()
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;
    use serde_json::json;

    use super::*;
    use crate::adapters::sinks::rows::{LEDGER, RUNS};
    use crate::machine::chain::hex;

    #[test]
    fn a_document_has_what_the_row_has_and_an_id_of_its_cluster() {
        let row = json!({ "id": "0196-1", "job": "a", "status": "failed", "error": null,
            "finished_at": "2027-01-04T02:30:00.112999Z", "attempts": 2,
            "peak_memory_bytes": 5_000_000_000_u64,
            "result": { "$set": { "$oid": "x" }, "a.b": 1.5 } });
        let made = document("c", &row, RUNS, 1);
        let finished = DateTime::from_millis(1_799_029_800_112);
        let wanted = doc! { "_id": "c/0196-1", "cluster": "c", "id": "0196-1", "job": "a",
        "status": "failed", "finished_at": finished, "attempts": 2,
        "result": { "\u{ff04}set": { "\u{ff04}oid": "x" }, "a.b": 1.5 },
        "peak_memory_bytes": 5_000_000_000_i64 };
        assert_eq!(made, wanted);
        let row =
            json!({ "job_uid": "u", "nominal_time": "2027-01-04T02:30:00Z", "outcome": "fired" });
        let made = document("c", &row, LEDGER, 2);
        assert_eq!(made.get_str("_id").unwrap(), "c/u/2027-01-04T02:30:00Z");
        assert!(made.get_datetime("nominal_time").is_ok());
    }

    #[test]
    fn what_is_deeper_than_a_server_takes_is_a_text() {
        let deep = (0..100).fold(json!(1), |inner, _| json!([inner]));
        let made = document("c", &json!({ "id": "1", "result": deep }), RUNS, 1);
        assert_eq!(made.get_str("result").unwrap().len(), 201);
    }

    #[test]
    fn a_number_that_is_too_large_is_about_that() {
        assert_eq!(bson(&json!(u64::MAX)), Bson::Double(u64::MAX as f64));
        assert_eq!(bson(&json!(i64::MIN)), Bson::Int64(i64::MIN));
    }

    #[test]
    fn a_key_goes_round() {
        for key in [vec![], vec![0, 10, 255], b"r".to_vec()] {
            assert_eq!(from_hex(&hex(&key)), Some(key));
        }
        assert_eq!((from_hex("abc"), from_hex("zz")), (None, None));
    }
}
