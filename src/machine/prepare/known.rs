//! Schemas that were compiled, by what they say: a definition's is compiled once, however often
//! its job is triggered. What is kept is no state: it changes no answer, only how soon it comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::schema::{Schema, compile};

/// Schemas that are kept.
const SCHEMAS_MAX: usize = 256;
/// Patterns in all of them: each holds some memory of its own.
const PATTERNS_MAX: usize = 512;

/// The schemas, with when each was used last.
#[derive(Default)]
struct Known {
    count: u64,
    patterns: usize,
    schemas: HashMap<[u8; 32], (u64, Arc<Schema>)>,
}

fn known() -> &'static Mutex<Known> {
    static KNOWN: OnceLock<Mutex<Known>> = OnceLock::new();
    KNOWN.get_or_init(Mutex::default)
}

/// The compiled form of `schema`.
pub(super) fn compiled(schema: &Value) -> Result<Arc<Schema>, String> {
    let key: [u8; 32] = match serde_json::to_vec(schema) {
        Ok(text) => Sha256::digest(text).into(),
        Err(error) => return Err(error.to_string()),
    };
    if let Some(found) = known().lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
        return Ok(found);
    }
    // Not under the lock: it takes a while.
    let made = Arc::new(compile(schema)?);
    known().lock().unwrap_or_else(PoisonError::into_inner).put(key, &made);
    Ok(made)
}

impl Known {
    fn get(&mut self, key: &[u8; 32]) -> Option<Arc<Schema>> {
        self.count += 1;
        let (used, schema) = self.schemas.get_mut(key)?;
        *used = self.count;
        Some(Arc::clone(schema))
    }

    fn put(&mut self, key: [u8; 32], schema: &Arc<Schema>) {
        self.count += 1;
        if self.schemas.insert(key, (self.count, Arc::clone(schema))).is_none() {
            self.patterns += schema.patterns;
        }
        while self.schemas.len() > SCHEMAS_MAX
            || (self.patterns > PATTERNS_MAX && self.schemas.len() > 1)
        {
            let oldest = self.schemas.iter().min_by_key(|(_, (used, _))| *used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { return };
            if let Some((_, gone)) = self.schemas.remove(&oldest) {
                self.patterns -= gone.patterns;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_compiled_once_and_the_number_kept_is_bounded() {
        let mut known = Known::default();
        let schema = |n: usize| Arc::new(compile(&json!({ "pattern": format!("a{n}") })).unwrap());
        for n in 0..600_usize {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            known.put(key, &schema(n));
        }
        assert_eq!((known.schemas.len(), known.patterns), (SCHEMAS_MAX, SCHEMAS_MAX));
        let one = compiled(&json!({ "pattern": "once" })).unwrap();
        assert!(Arc::ptr_eq(&one, &compiled(&json!({ "pattern": "once" })).unwrap()));
        assert!(compiled(&json!({ "$ref": "#" })).is_err());
    }
}
