//! The forms in which a secret may come back: in JSON, in a URL, in base64, in hexadecimal.
//!
//! Only those that differ from the secret itself, and are long enough not to be met by chance.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

/// Secrets that are shorter are only looked for as they are.
const SECRET_BYTES_MIN: usize = 4;
/// The same for what an encoding makes of them.
const ENCODED_BYTES_MIN: usize = 8;
/// Lengths of lines that long base64 is broken into: by `base64`, in mail, by `openssl`.
const LINES: [usize; 2] = [76, 64];

/// All of them, none twice.
pub(super) fn forms(secret: &str) -> Vec<String> {
    if secret.len() < SECRET_BYTES_MIN {
        return Vec::new();
    }
    let mut all = BTreeSet::new();
    all.extend(in_json(secret));
    all.extend(in_urls(secret));
    let encoded = in_base64(secret.as_bytes()).into_iter().chain(in_hex(secret.as_bytes()));
    all.extend(encoded.filter(|form| form.len() >= ENCODED_BYTES_MIN));
    all.remove(secret);
    all.into_iter().collect()
}

/// Within quotes, as is; with everything but ASCII escaped; with slashes escaped, as some do.
fn in_json(secret: &str) -> Vec<String> {
    let quoted = serde_json::Value::from(secret).to_string();
    let plain = quoted[1..quoted.len() - 1].to_owned();
    let ascii = |upper: bool| {
        plain.chars().fold(String::new(), |mut made, c| {
            if c.is_ascii() && c != '\u{7f}' {
                made.push(c);
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    made.push_str(&match upper {
                        true => format!("\\u{unit:04X}"),
                        false => format!("\\u{unit:04x}"),
                    });
                }
            }
            made
        })
    };
    let mut all = vec![ascii(false), ascii(true), plain.clone()];
    // Go and others keep these out of HTML.
    let html = [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026")];
    let html = |text: &str| html.iter().fold(text.to_owned(), |text, (c, by)| text.replace(*c, by));
    all.extend(all.clone().iter().map(|form| html(form)));
    all.extend(all.clone().iter().map(|form| form.replace('/', "\\/")));
    // A string within a string, as in a log of JSON lines.
    let twice = serde_json::Value::from(plain).to_string();
    all.push(twice[1..twice.len() - 1].to_owned());
    all
}

/// Percent-encoded: as RFC 3986 has it, as forms have it, and as JavaScript's two functions do.
fn in_urls(secret: &str) -> Vec<String> {
    let kept =
        ["-._~", "-._", "-._~/", "-._~!'()*", "-._~!'()*;,/?:@&=+$#", "-._*", "-._~!$&'()*+,;=:@"];
    let mut all = Vec::new();
    for kept in kept {
        for space in ["%20", "+"] {
            let upper = percent(secret, kept, space);
            all.push(lower_hex(&upper));
            all.push(upper);
        }
    }
    all
}

fn percent(text: &str, kept: &str, space: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut made, byte| {
        match byte {
            b' ' => made.push_str(space),
            _ if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => {
                made.push(char::from(byte));
            }
            _ => made.push_str(&format!("%{byte:02X}")),
        }
        made
    })
}

/// The same with the digits behind each `%` in lower case.
fn lower_hex(text: &str) -> String {
    let mut left = 0;
    let lower = |c: char| {
        if c == '%' {
            left = 2;
            return c;
        }
        if left > 0 {
            left -= 1;
            return c.to_ascii_lowercase();
        }
        c
    };
    text.chars().map(lower).collect()
}

/// What of base64 a secret alone decides: it may begin at any of three places in a group, and
/// what stands before and behind it is not known.
fn in_base64(secret: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
        for before in 0..3 {
            let bytes = [&[0; 2][..before.min(2)], secret].concat();
            let encoded = engine.encode(&bytes);
            // The first characters hold bits of what stands before, the last of what follows.
            let first = (before * 8).div_ceil(6);
            let end = bytes.len() * 8 / 6;
            all.push(encoded.get(first..end).unwrap_or_default().to_owned());
            for width in LINES.into_iter().filter(|width| before == 0 && encoded.len() > *width) {
                let lines = encoded.as_bytes()[..end].chunks(width);
                all.extend(lines.map(|line| String::from_utf8_lossy(line).into_owned()));
            }
        }
    }
    all
}

fn in_hex(secret: &[u8]) -> [String; 2] {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    [hex.to_ascii_uppercase(), hex]
}

#[cfg(test)]
mod tests {
    use super::super::mask::Masker;
    use super::*;

    const SECRET: &str = "p@ss/w\"ö rd\\+<1>&";

    fn masked(text: &str) -> String {
        Masker::new(&[SECRET.to_owned()]).text(text)
    }

    #[test]
    fn in_json_and_urls() {
        for form in [
            SECRET,
            r#"p@ss/w\"ö rd\\+<1>&"#,
            r#"p@ss/w\"\u00f6 rd\\+<1>&"#,
            r#"p@ss\/w\"\u00F6 rd\\+<1>&"#,
            r#"p@ss/w\"ö rd\\+\u003c1\u003e\u0026"#,
            r#"p@ss/w\\\"ö rd\\\\+<1>&"#,
            "p%40ss%2Fw%22%C3%B6%20rd%5C%2B%3C1%3E%26",
            "p%40ss%2fw%22%c3%b6+rd%5c%2b%3c1%3e%26",
            "p%40ss/w%22%C3%B6%20rd%5C%2B%3C1%3E%26",
            "p@ss/w%22%C3%B6%20rd%5C+%3C1%3E&",
        ] {
            assert_eq!(masked(&format!("[{form}]")), "[***]", "{form}");
        }
    }

    #[test]
    fn in_base64_wherever_it_begins_and_in_hex() {
        use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
        let secret = "hunter2-hunter2?>~";
        let masker = Masker::new(&[secret.to_owned()]);
        for before in ["", "u", "us", "user:", "\u{7ff}\u{7ff}"] {
            for behind in ["", "x", "xy", "xyz\n"] {
                let text = format!("{before}{secret}{behind}");
                for encoded in [BASE64_STANDARD.encode(&text), BASE64_URL_SAFE.encode(&text)] {
                    let told = masker.text(&encoded);
                    assert!(told.contains("***") && told.len() < 24, "{encoded}: {told}");
                }
                let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
                assert!(masker.text(&hex).contains("***"));
                assert!(masker.text(&hex.to_uppercase()).contains("***"));
            }
        }
        let long = "0123456789abcdef~?>".repeat(12);
        let masker = Masker::new(std::slice::from_ref(&long));
        let lines: Vec<String> = BASE64_STANDARD
            .encode(&long)
            .as_bytes()
            .chunks(76)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        assert!(lines.len() > 2);
        for line in &lines[..lines.len() - 1] {
            assert_eq!(masker.text(line), "***");
        }
    }

    #[test]
    fn a_short_secret_is_not_met_by_chance() {
        assert!(forms("abc").is_empty());
        assert!(forms("abcd").iter().all(|form| form.len() >= 8), "{:?}", forms("abcd"));
        assert_eq!(forms("hunter22").iter().filter(|form| form.as_str() == "hunter22").count(), 0);
    }
}
