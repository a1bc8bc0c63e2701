//! Keeps secrets out of what an attempt leaves: output, error, result.
//!
//! Bytes pass through one masker a stream. What may be the beginning of a secret is held back
//! until it is known, so a secret that comes in two pieces is masked as well.

use serde_json::Value;

/// Stands in place of a secret.
const MASK: &[u8] = b"***";
/// Lines of a secret that are shorter than this are not masked by themselves.
const LINE_BYTES_MIN: usize = 8;

/// What is masked, and what is held back of one stream.
#[derive(Clone, Default)]
pub(super) struct Masker {
    /// Longest first.
    secrets: Vec<Vec<u8>>,
    held: Vec<u8>,
}

impl Masker {
    /// Masks these values, and the lines of those that have several.
    pub(super) fn new(values: &[String]) -> Self {
        let lines = |value: &String| {
            let several = value.trim_end().contains('\n');
            let lines = value.lines().map(str::trim);
            let lines = lines.filter(|line| several && line.len() >= LINE_BYTES_MIN);
            lines.map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>()
        };
        let whole = values.iter().map(|value| value.trim_end_matches(['\r', '\n']));
        let mut secrets: Vec<Vec<u8>> = whole.map(|value| value.as_bytes().to_vec()).collect();
        secrets.extend(values.iter().flat_map(lines));
        secrets.retain(|secret| !secret.is_empty());
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets, held: Vec::new() }
    }

    /// Whether there is anything to mask.
    pub(super) fn is_idle(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Takes the next bytes of the stream; gives those that can go on.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(bytes);
        let (out, held) = self.masked(&text, false);
        self.held = held;
        out
    }

    /// The stream is over: what was held back, masked.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let text = std::mem::take(&mut self.held);
        self.masked(&text, true).0
    }

    /// A text that is whole.
    pub(super) fn text(&self, text: &str) -> String {
        if self.is_idle() {
            return text.to_owned();
        }
        String::from_utf8_lossy(&self.masked(text.as_bytes(), true).0).into_owned()
    }

    /// The texts in a JSON value, names of fields too.
    pub(super) fn json(&self, value: Value) -> Value {
        match value {
            _ if self.is_idle() => value,
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(name, value)| (self.text(&name), self.json(value))).collect()
            }
            // A number may be a secret too.
            Value::Number(number) => match self.text(&number.to_string()) {
                same if same == number.to_string() => Value::Number(number),
                masked => Value::String(masked),
            },
            other => other,
        }
    }

    /// What can go on, and what must wait for more.
    fn masked(&self, text: &[u8], whole: bool) -> (Vec<u8>, Vec<u8>) {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let begins = |secret: &&Vec<u8>| secret.first() == rest.first();
            let mut candidates = self.secrets.iter().filter(begins).peekable();
            if candidates.peek().is_none() {
                out.push(rest[0]);
                at += 1;
                continue;
            }
            // Longest first: what may become a longer one waits, though a shorter one is there.
            let mut found = None;
            for secret in candidates {
                if rest.starts_with(secret) {
                    found = Some(secret.len());
                    break;
                }
                if !whole && rest.len() < secret.len() && secret.starts_with(rest) {
                    return (out, rest.to_vec());
                }
            }
            match found {
                Some(length) => {
                    out.extend_from_slice(MASK);
                    at += length;
                }
                None => {
                    out.push(rest[0]);
                    at += 1;
                }
            }
        }
        (out, Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn through(secrets: &[&str], pieces: &[&str]) -> String {
        let secrets: Vec<String> = secrets.iter().map(ToString::to_string).collect();
        let mut masker = Masker::new(&secrets);
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(masker.feed(piece.as_bytes()));
        }
        out.extend(masker.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_masked_however_it_is_cut() {
        let text = "user=ann pass=s3cr3t-v4lue; s3cr3t-v4lues3cr3t-v4lue s3cr3t-";
        let masked = "user=ann pass=***; ****** s3cr3t-";
        for step in 1..text.len() {
            let pieces: Vec<&str> =
                text.as_bytes().chunks(step).map(|c| std::str::from_utf8(c).unwrap()).collect();
            assert_eq!(through(&["s3cr3t-v4lue"], &pieces), masked, "pieces of {step}");
        }
    }

    #[test]
    fn of_two_that_begin_alike_the_longer_is_masked_whole() {
        assert_eq!(through(&["abcd", "abcdefgh"], &["abcd", "efgh abcd", "e abc"]), "*** ***e abc");
        assert_eq!(through(&["aab"], &["aaab"]), "a***", "it may begin within what looked like it");
    }

    #[test]
    fn what_is_no_secret_is_not_held_back_for_ever() {
        let mut masker = Masker::new(&["secret".to_owned()]);
        assert_eq!(masker.feed(b"a line\nse"), b"a line\n");
        assert_eq!(masker.feed(b"t it up\n"), b"set it up\n");
    }

    #[test]
    fn lines_of_a_long_secret_are_masked_one_by_one() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nxyz\n-----END KEY-----\n";
        assert_eq!(through(&[key], &["the key is MIIEvQIBADANBgkq, xyz"]), "the key is ***, xyz");
        assert_eq!(through(&["s3cr3t-v4lue\n"], &["[s3cr3t-v4lue]"]), "[***]");
    }

    #[test]
    fn results_and_errors_are_masked_too() {
        let masker = Masker::new(&["hunter22".to_owned(), "12345678".to_owned()]);
        let value = json!({"a": ["x hunter22", 12345678, 5], "hunter22": {"b": null}});
        assert_eq!(masker.json(value), json!({"a": ["x ***", "***", 5], "***": {"b": null}}));
        assert_eq!(masker.text("no hunter22 here"), "no *** here");
    }
}
