//! Definitions, and the way many of them get into a cluster.

use bytes::Bytes;
use cluster_tests::harness::Client;
use reqwest::Method;
use serde_json::{Value, json};

use crate::Failure;

/// Definitions in one request: each has to be answered within the client's patience.
const CHUNK: usize = 1_000;

/// A definition without a name that is so many bytes of JSON and is due at three in the morning.
pub fn sized(bytes: usize) -> Bytes {
    let with = |filling: usize| {
        json!({"expr": "0 3 * * *", "description": "x".repeat(filling)}).to_string()
    };
    Bytes::from(with(bytes.saturating_sub(with(0).len())))
}

/// Is due every second, and its run succeeds at once. Spread over the second, or not.
pub fn noop(number: usize, spread: bool) -> Value {
    let mut job = json!({"name": noop_name(number), "expr": "* * * * * *"});
    if spread {
        job["jitter"] = json!("999ms");
    }
    job
}

/// Its name.
pub fn noop_name(number: usize) -> String {
    format!("noop-{number}")
}

/// From a nominal time to when a job that is spread over the second is due, in microseconds:
/// the product's frozen function of the name.
pub fn share(name: &str) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    i64::try_from(hash % 1_000).unwrap_or_default() * 1_000
}

/// Creates or replaces them all.
pub async fn apply(
    client: &Client,
    definitions: impl IntoIterator<Item = Value>,
) -> Result<(), Failure> {
    let mut definitions = definitions.into_iter();
    loop {
        let chunk: Vec<Value> = definitions.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        let answer = client.write(Method::POST, "/apply", Some(&json!(chunk)), "").await?.body;
        if answer["refused"] != 0 {
            let items = answer["items"].as_array().into_iter().flatten();
            let refused = items.into_iter().find(|item| item["action"] == "refused");
            return Err(format!("a definition is refused: {refused:?}").into());
        }
    }
}
