//! JSON whose whole numbers stay what they are.
//!
//! A whole number that 64 bits don't hold would be read as the double next to it: another
//! number, and nobody told. Such a number is refused, with its place.

use std::fmt;

use serde_json::Value;

/// Digits of a number that are shown.
const SHOWN_MAX: usize = 40;

/// A whole number that 64 bits don't hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wide {
    /// Where it stands, as a JSON pointer.
    pub place: String,
    digits: String,
}

impl Wide {
    /// What is wrong with it, and what to do.
    pub fn detail(&self) -> String {
        format!("{} is larger than 64 bits; send it as a string", self.digits)
    }
}

impl fmt::Display for Wide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.detail())
    }
}

/// Why a text is not taken for JSON.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// It is none.
    #[error("not JSON: {0}")]
    NotJson(#[from] serde_json::Error),
    /// It holds a number that would become another.
    #[error("{0}")]
    Wide(Wide),
}

/// Reads a JSON text.
///
/// # Errors
/// It is none, or holds a whole number that 64 bits don't.
pub fn read_json(text: &[u8]) -> Result<Value, Unread> {
    let value = serde_json::from_slice(text)?;
    match wide_in(&value, text) {
        Some(wide) => Err(Unread::Wide(wide)),
        None => Ok(value),
    }
}

/// The first whole number of `text` that 64 bits don't hold; `value` is what was read from it.
pub fn wide_in(value: &Value, text: &[u8]) -> Option<Wide> {
    // Nearly always nothing is that large, and the text need not be looked at again.
    if is_large(value) { first_wide(text) } else { None }
}

/// Whether there is a number in it so large that it may stand for another.
pub fn is_large(value: &Value) -> bool {
    match value {
        // Two to the power of 63: from here on a double may stand for a whole number.
        Value::Number(number) if number.is_f64() => {
            number.as_f64().is_some_and(|number| number.abs() >= 9_223_372_036_854_775_808.0)
        }
        Value::Array(items) => items.iter().any(is_large),
        Value::Object(map) => map.values().any(is_large),
        _ => false,
    }
}

/// A step on the way to where the text is read.
enum Step {
    Item(usize),
    /// With its name, once that was read.
    Field(Option<String>),
}

/// The same of any JSON texts, one behind the other.
pub fn first_wide(text: &[u8]) -> Option<Wide> {
    let mut way: Vec<Step> = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let mut end = at + 1;
        match byte {
            b'"' => {
                end = string_end(text, at);
                if let Some(Step::Field(name @ None)) = way.last_mut() {
                    *name = Some(serde_json::from_slice(&text[at..end]).unwrap_or_default());
                }
            }
            b'{' => way.push(Step::Field(None)),
            b'[' => way.push(Step::Item(0)),
            b'}' | b']' => drop(way.pop()),
            b',' => match way.last_mut() {
                Some(Step::Field(name)) => *name = None,
                Some(Step::Item(number)) => *number += 1,
                None => {}
            },
            b'-' | b'0'..=b'9' => {
                let rest = &text[at..];
                let more = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                end = at + rest.iter().take_while(|byte| more(byte)).count();
                let digits = std::str::from_utf8(&text[at..end]).unwrap_or_default();
                if is_wide(digits) {
                    return Some(Wide { place: pointer(&way), digits: shown(digits) });
                }
            }
            _ => {}
        }
        at = end;
    }
    None
}

/// Whether a number is a whole one that 64 bits don't hold.
fn is_wide(digits: &str) -> bool {
    let whole = digits.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit());
    whole && digits.parse::<i64>().is_err() && digits.parse::<u64>().is_err()
}

/// Where the string that begins at `at` is over.
fn string_end(text: &[u8], at: usize) -> usize {
    let mut end = at + 1;
    while let Some(byte) = text.get(end) {
        match byte {
            b'\\' => end += 2,
            b'"' => return end + 1,
            _ => end += 1,
        }
    }
    text.len()
}

fn pointer(way: &[Step]) -> String {
    way.iter().fold(String::new(), |mut made, step| {
        made.push('/');
        match step {
            Step::Item(number) => made.push_str(&number.to_string()),
            Step::Field(name) => {
                let name = name.as_deref().unwrap_or_default();
                made.push_str(&name.replace('~', "~0").replace('/', "~1"));
            }
        }
        made
    })
}

fn shown(digits: &str) -> String {
    match digits.get(..SHOWN_MAX) {
        Some(first) if first.len() < digits.len() => format!("{first}…"),
        _ => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_stays_or_is_refused_with_its_place() {
        for kept in [
            "18446744073709551615",
            "-9223372036854775808",
            "0",
            "-0",
            "1e30",
            "123456789012345678901234567890.5",
            r#"{"a":"18446744073709551616","18446744073709551616":[1]}"#,
            r#"["\"", 1e300, "99999999999999999999"]"#,
        ] {
            assert!(read_json(kept.as_bytes()).is_ok(), "{kept}");
        }
        for (text, told) in [
            ("18446744073709551616", "18446744073709551616 is larger than 64 bits"),
            ("-9223372036854775809", "-9223372036854775809 is larger than 64 bits"),
            (r#"{"a":{"x":18446744073709551616}}"#, "/a/x: 18446744073709551616 is larger"),
            (r#"{"a":[1,{"b":2},[3,36893488147419103232]]}"#, "/a/2/1: 36893488147419103232"),
            (r#"{"a\"/~b":99999999999999999999 }"#, "/a\"~1~0b: 99999999999999999999"),
            (r#"{"a":[],"b":"]","c":{},"d":-99999999999999999999}"#, "/d: -99999999999999999999"),
        ] {
            let why = read_json(text.as_bytes()).unwrap_err().to_string();
            assert!(why.starts_with(told), "{text}: {why}");
        }
        let long = read_json("9".repeat(300).as_bytes()).unwrap_err().to_string();
        assert!(long.len() < 120 && long.contains('…'), "{long}");
        assert!(read_json(b"{").unwrap_err().to_string().starts_with("not JSON"));
    }
}
