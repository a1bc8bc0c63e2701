//! The chain of the audit: each record's hash covers the one before it, so that none can be
//! changed, taken out or put in without all that follow.

use sha2::{Digest, Sha256};

use crate::model::AuditRecord;

/// The hash of `record` (its own hash left out) after `before`: SHA-256 over the hash
/// before and the record as JSON.
pub fn chain_hash(before: &[u8; 32], record: &AuditRecord) -> [u8; 32] {
    let json = if record.hash.is_empty() {
        serde_json::to_vec(record)
    } else {
        serde_json::to_vec(&AuditRecord { hash: String::new(), ..record.clone() })
    };
    let mut hasher = Sha256::new();
    hasher.update(before);
    hasher.update(json.unwrap_or_default());
    hasher.finalize().into()
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// A walk along the chain, from its first record.
pub struct Walk {
    /// The place of the next record, from 1.
    pub expected: u64,
    /// The hash of the last one.
    pub hash: [u8; 32],
}

impl Default for Walk {
    fn default() -> Self {
        Self { expected: 1, hash: [0; 32] }
    }
}

impl Walk {
    /// Takes the next record.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn step(&mut self, record: &AuditRecord) -> Result<(), String> {
        if record.seq != self.expected {
            return Err(format!("record {} is missing", self.expected));
        }
        let hash = chain_hash(&self.hash, record);
        if record.hash != hex(&hash) {
            return Err(format!("record {} is not as it was written", record.seq));
        }
        (self.expected, self.hash) = (self.expected + 1, hash);
        Ok(())
    }

    /// Whether it has come to the end: the last record that there was, and its hash.
    ///
    /// # Errors
    /// What is wrong, in a sentence.
    pub fn ends(&self, last: u64, head: &[u8; 32]) -> Result<(), String> {
        if self.expected <= last {
            return Err(format!("record {} is missing", self.expected));
        }
        if self.hash != *head {
            return Err("the records do not lead to the hash in the replicated state".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::model::Timestamp;

    fn record(seq: u64, before: &[u8; 32], target: &str) -> (AuditRecord, [u8; 32]) {
        let mut record = AuditRecord {
            seq,
            at: Timestamp::from_secs(1_800_000_000),
            actor: "ann".into(),
            action: "job.update".into(),
            target: target.into(),
            from: None,
            request_id: None,
            change: Value::Null,
            hash: String::new(),
        };
        let hash = chain_hash(before, &record);
        record.hash = hex(&hash);
        (record, hash)
    }

    #[test]
    fn a_changed_or_missing_record_shows() {
        let (one, hash) = record(1, &[0; 32], "a");
        let (two, head) = record(2, &hash, "b");
        let mut walk = Walk::default();
        assert!(walk.step(&one).is_ok());
        assert!(walk.ends(2, &head).unwrap_err().contains("2 is missing"));
        assert!(walk.step(&two).is_ok() && walk.ends(2, &head).is_ok());
        assert!(walk.ends(2, &hash).is_err());
        let mut walk = Walk::default();
        let forged = AuditRecord { target: "c".into(), ..one.clone() };
        assert!(walk.step(&forged).is_err());
        assert!(walk.step(&two).unwrap_err().contains("1 is missing"));
    }
}
