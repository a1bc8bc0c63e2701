//! A digest of all that the log did: what replicas hold against each other.

use std::hash::Hasher;
use std::io;

use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};

use super::State;

/// Of everything from the first entry that was proven up to `index`: equal on two nodes only if
/// they applied the same entries with the same outcome. It depends on the one before, so that a
/// difference shows in every later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// The last entry with commands.
    pub index: u64,
    /// The digest.
    pub digest: [u8; 16],
}

impl Proof {
    /// Nothing was proven yet.
    pub fn is_none(&self) -> bool {
        self.index == 0
    }
}

/// Takes in what is proven. It guards against damage and bugs, not against forgers.
#[derive(Default)]
pub struct Digester(SipHasher13);

impl Digester {
    /// A number.
    pub fn number(&mut self, number: u64) {
        self.0.write(&number.to_le_bytes());
    }

    /// Bytes, after their length.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.write(bytes);
    }

    /// The digest.
    pub fn finish(&self) -> [u8; 16] {
        self.0.finish128().as_u128().to_le_bytes()
    }
}

impl io::Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl State {
    /// The digest of the whole state as it stands in memory. It takes as long as encoding it.
    ///
    /// # Errors
    /// The encoder refused it, which only a bug in the state's own types can cause.
    pub fn digest(&self) -> Result<[u8; 16], rmp_serde::encode::Error> {
        let mut digester = Digester::default();
        rmp_serde::encode::write_named(&mut digester, self)?;
        Ok(digester.finish())
    }
}
