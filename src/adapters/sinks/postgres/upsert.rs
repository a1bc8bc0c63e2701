//! How rows are written: from JSON, whatever is there before.

use serde_json::Value;

/// Writes rows: `$1` is the cluster, `$2` the rows as JSON. A row that is there is replaced, or
/// kept.
pub(super) fn upsert(table: &str, columns: &[(&str, &str)], keys: usize, replace: bool) -> String {
    let list = |of: &dyn Fn(&(&str, &str)) -> String, from: usize| {
        columns[from..].iter().map(of).collect::<Vec<_>>().join(", ")
    };
    let names = list(&|(name, _)| (*name).to_owned(), 0);
    let typed = list(&|(name, kind)| format!("{name} {kind}"), 0);
    let key = columns[..keys].iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let then = if replace {
        format!("UPDATE SET {}", list(&|(name, _)| format!("{name} = excluded.{name}"), keys))
    } else {
        "NOTHING".to_owned()
    };
    format!(
        "INSERT INTO cronapi.{table} (cluster, {names}) \
         SELECT $1, {names} FROM json_to_recordset($2::json) AS t({typed}) \
         ON CONFLICT (cluster, {key}) DO {then}"
    )
}

/// Rows as JSON.
pub(super) fn array<'a>(rows: impl Iterator<Item = &'a Value>) -> String {
    Value::Array(rows.cloned().collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::sinks::rows::{LEDGER, RUNS};

    #[test]
    fn the_columns_are_those_of_the_tables() {
        let tables = include_str!("schema.sql");
        for (table, columns) in [("runs", RUNS), ("ledger", LEDGER)] {
            let begin = format!("cronapi.{table} (\n    cluster text NOT NULL,\n");
            let body = tables
                .split(&begin)
                .last()
                .and_then(|rest| rest.split("    PRIMARY KEY").next())
                .unwrap();
            let made: Vec<String> = body.lines().map(str::trim).map(str::to_owned).collect();
            let told = columns.iter().zip(&made).map(|((name, kind), line)| {
                let not_null = if line.contains("NOT NULL") { " NOT NULL" } else { "" };
                format!("{name} {kind}{not_null},")
            });
            assert_eq!(made, told.collect::<Vec<_>>());
            assert_eq!(made.len(), columns.len());
        }
    }

    #[test]
    fn a_row_that_is_there_is_replaced_or_kept() {
        let columns = &[("a", "uuid"), ("b", "text")];
        assert_eq!(
            upsert("t", columns, 1, true),
            "INSERT INTO cronapi.t (cluster, a, b) SELECT $1, a, b \
             FROM json_to_recordset($2::json) AS t(a uuid, b text) \
             ON CONFLICT (cluster, a) DO UPDATE SET b = excluded.b"
        );
        assert!(upsert("t", columns, 1, false).ends_with("DO NOTHING"));
    }
}
