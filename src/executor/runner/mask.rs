//! Keeps secrets out of what an attempt leaves: output, error, result.
//!
//! Bytes pass through one masker a stream. What may be the beginning of a secret is held back
//! until it is known, so a secret that comes in two pieces is masked as well. So is one that
//! comes in another form: `mask_forms` knows which.

use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::mask_forms::forms;

/// Stands in place of a secret.
const MASK: &[u8] = b"***";
/// Lines of a secret that are shorter than this are not masked by themselves.
const LINE_BYTES_MIN: usize = 8;
/// Texts that are longer are cut here before they are masked.
const TEXT_BYTES_MAX: usize = 40_000;

/// What is masked, and what is held back of one stream.
#[derive(Clone, Default)]
pub(super) struct Masker {
    wanted: Arc<Wanted>,
    held: Vec<u8>,
}

/// The byte strings that are looked for.
#[derive(Default)]
struct Wanted {
    /// By their first byte; of those with the same, the longest first.
    all: Vec<Vec<u8>>,
    /// Where those of each first byte stand; empty when nothing is looked for.
    of: Vec<Range<usize>>,
}

impl Wanted {
    fn new(mut all: Vec<Vec<u8>>) -> Self {
        all.retain(|bytes| !bytes.is_empty());
        all.sort_by(|a, b| a[0].cmp(&b[0]).then(b.len().cmp(&a.len())).then_with(|| a.cmp(b)));
        all.dedup();
        let from = |first: u16| all.partition_point(|bytes| u16::from(bytes[0]) < first);
        let of = (0..=255).map(|first| from(first)..from(first + 1)).collect();
        Self { all, of }
    }

    fn beginning_with(&self, first: u8) -> &[Vec<u8>] {
        let range = self.of.get(usize::from(first)).cloned();
        range.and_then(|range| self.all.get(range)).unwrap_or_default()
    }
}

impl Masker {
    /// Masks these values, the lines of those that have several, and the forms they may take.
    pub(super) fn new(values: &[String]) -> Self {
        let lines = |value: &String| {
            let several = value.trim_end().contains('\n');
            let lines = value.lines().map(str::trim);
            let lines = lines.filter(|line| several && line.len() >= LINE_BYTES_MIN);
            lines.map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>()
        };
        let whole = || values.iter().map(|value| value.trim_end_matches(['\r', '\n']));
        let mut all: Vec<Vec<u8>> = whole().map(|value| value.as_bytes().to_vec()).collect();
        all.extend(values.iter().flat_map(lines));
        all.extend(whole().flat_map(forms).map(String::into_bytes));
        Self { wanted: Arc::new(Wanted::new(all)), held: Vec::new() }
    }

    /// Whether there is anything to mask.
    pub(super) fn is_idle(&self) -> bool {
        self.wanted.all.is_empty()
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

    /// The beginning of a text of any length. Of one that is cut, so is what may be the beginning
    /// of a secret.
    pub(super) fn long_text(&self, text: &str) -> String {
        if text.len() <= TEXT_BYTES_MAX {
            return self.text(text);
        }
        let end = (0..=TEXT_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        String::from_utf8_lossy(&self.masked(&text.as_bytes()[..end], false).0).into_owned()
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
            let begins = |byte: &u8| !self.wanted.beginning_with(*byte).is_empty();
            let plain = rest.iter().position(begins).unwrap_or(rest.len());
            out.extend_from_slice(&rest[..plain]);
            at += plain;
            let rest = &rest[plain..];
            let Some(first) = rest.first() else { break };
            let candidates = self.wanted.beginning_with(*first);
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
                    out.push(*first);
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
    fn a_text_that_is_cut_does_not_end_in_the_beginning_of_a_secret() {
        let secret = "s3cr3t-".repeat(100);
        let masker = Masker::new(std::slice::from_ref(&secret));
        for shift in 0..secret.len() {
            let text = format!("{}{}", "x".repeat(shift), secret.repeat(100));
            let masked = masker.long_text(&text);
            assert!(!masked.contains("s3c") && masked.contains("***"), "{shift}: {masked}");
        }
        assert_eq!(masker.long_text(&"é".repeat(30_000)).chars().count(), 20_000);
    }

    #[test]
    fn results_and_errors_are_masked_too() {
        let masker = Masker::new(&["hunter22".to_owned(), "12345678".to_owned()]);
        let value = json!({"a": ["x hunter22", 12345678, 5], "hunter22": {"b": null}});
        assert_eq!(masker.json(value), json!({"a": ["x ***", "***", 5], "***": {"b": null}}));
        assert_eq!(masker.text("no hunter22 here"), "no *** here");
    }
}
