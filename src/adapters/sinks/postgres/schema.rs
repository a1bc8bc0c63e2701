//! The tables and views: made when they are not there, by the first sink that needs them.

use tokio_postgres::Client;

use super::{ask, told};

/// The version of [`TABLES`]. A later one alters what an earlier one made.
const VERSION: i32 = 1;

/// All of them.
const TABLES: &str = include_str!("schema.sql");

/// `cron`, `api`: one at a time looks at the tables and makes them.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1668443758, 6385769)";

/// Whether what there is is of this version, and whole; whether the rows of runs are there.
const LOOK: &str = "SELECT
    to_regclass('cronapi.schema_version') IS NOT NULL,
    to_regclass('cronapi.runs') IS NOT NULL AND to_regclass('cronapi.ledger') IS NOT NULL,
    (SELECT count(*) = 6 FROM unnest(ARRAY['positions', 'timings', 'latest', 'failures', 'daily',
        'not_run']) AS name WHERE to_regclass('cronapi.' || name) IS NOT NULL)";

/// Makes what is missing. Where rows were gone, no sink is taken to be anywhere any more: each
/// writes all it has again.
pub(super) async fn ensure(client: &mut Client) -> Result<(), String> {
    if look(client).await? == (Some(VERSION), true, true) {
        return Ok(());
    }
    let alone = ask(client.transaction()).await?;
    ask(alone.batch_execute(LOCK)).await?;
    let (_, rows, _) = look(alone.client()).await?;
    ask(alone.batch_execute(TABLES)).await?;
    if !rows {
        ask(alone.batch_execute("DELETE FROM cronapi.positions")).await?;
    }
    let version = format!(
        "DELETE FROM cronapi.schema_version; INSERT INTO cronapi.schema_version VALUES ({VERSION})"
    );
    ask(alone.batch_execute(&version)).await?;
    ask(alone.commit()).await
}

/// The version, whether the rows are there, and whether all else is.
async fn look(client: &Client) -> Result<(Option<i32>, bool, bool), String> {
    let row = ask(client.query_typed(LOOK, &[])).await?;
    let row = row.first().ok_or("PostgreSQL does not say what there is")?;
    let is = |n: usize| row.try_get::<_, bool>(n).map_err(|e| told(&e));
    let (versioned, rows, rest) = (is(0)?, is(1)?, is(2)?);
    if !versioned {
        return Ok((None, rows, rest));
    }
    let version = "SELECT max(version) FROM cronapi.schema_version";
    let version = ask(client.query_typed(version, &[])).await?;
    let version = version.first().and_then(|row| row.try_get::<_, Option<i32>>(0).ok().flatten());
    if let Some(newer) = version.filter(|version| *version > VERSION) {
        return Err(format!(
            "the tables are of version {newer}, made by a later CronAPI; this one knows {VERSION}"
        ));
    }
    Ok((version, rows, rest))
}
