//! Where a request stands in a trace: the `traceparent` of W3C Trace Context.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A `traceparent` that can be passed on, such as
/// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = String, example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
pub struct TraceParent(String);

/// Bytes of version 00.
const LEN: usize = 55;

impl TraceParent {
    /// Reads the header. One that is not understood is left out, as the recommendation asks;
    /// of a later version, what version 00 has is taken.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let known = text.get(..LEN)?;
        let parts: Vec<&str> = known.split('-').collect();
        let [version, trace, parent, flags] = parts.as_slice() else { return None };
        let sizes = [version.len(), trace.len(), parent.len(), flags.len()] == [2, 32, 16, 2];
        let hex = |part: &&str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let zero = |part: &str| part.bytes().all(|b| b == b'0');
        let more = text.get(LEN..).unwrap_or_default();
        let fits = match *version {
            "ff" => false,
            "00" => more.is_empty(),
            _ => more.is_empty() || more.starts_with('-'),
        };
        let good = sizes && fits && parts.iter().all(hex) && !zero(trace) && !zero(parent);
        good.then(|| Self(format!("00-{trace}-{parent}-{flags}")))
    }

    /// As a header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_recommendation_allows_is_read_and_nothing_else() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(TraceParent::parse(good).unwrap().as_str(), good);
        let later = good.replacen("00", "cc", 1) + "-more";
        assert_eq!(TraceParent::parse(&later).unwrap().as_str(), good);
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319cé-b7ad6b716920333-01",
            "000af7651916cd43dd8448eb211c80319c--b7ad6b7169203331--01",
        ] {
            assert_eq!(TraceParent::parse(bad), None, "{bad}");
        }
    }
}
