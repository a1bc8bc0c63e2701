//! Texts that can't command the terminal they are shown on: what others wrote may hold escape
//! sequences that move, hide, rename or answer.

use std::borrow::Cow;

/// Whether a character does something to a terminal, or to the order in which others are read.
pub(super) fn commands(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text, with what would command a terminal written out: `\x1b`. Lines and tabs stay.
pub(super) fn visible(text: &str) -> Cow<'_, str> {
    written_out(text, |_| None)
}

/// The same, but colours stay: for what this program made itself.
pub(super) fn colored(text: &str) -> Cow<'_, str> {
    written_out(text, color)
}

/// The length of the sequence at the beginning of a text, if it sets nothing but colours.
fn color(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\u{1b}[")?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    rest[end..].starts_with('m').then_some("\u{1b}[".len() + end + 1)
}

fn written_out(text: &str, passes: fn(&str) -> Option<usize>) -> Cow<'_, str> {
    let shows = |c: char| matches!(c, '\n' | '\t') || !commands(c);
    if text.chars().all(shows) {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        if shows(c) {
            made.push(c);
        } else if let Some(passing) = passes(rest) {
            made.push_str(&rest[..passing]);
            length = passing;
        } else if rest.starts_with("\r\n") {
            // The end of a line on Windows.
        } else if c.is_ascii() {
            made.push_str(&format!("\\x{:02x}", u32::from(c)));
        } else {
            made.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
        }
        rest = &rest[length..];
    }
    Cow::Owned(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_commands_the_terminal() {
        assert_eq!(visible("a\tb\nüß€ 🦀"), "a\tb\nüß€ 🦀");
        assert_eq!(visible("\u{1b}[31mred\u{1b}]0;t\u{7}"), "\\x1b[31mred\\x1b]0;t\\x07");
        assert_eq!(visible("one\r\ntwo\rthree"), "one\ntwo\\x0dthree");
        assert_eq!(visible("\u{9b}2J \u{7f} \u{202e}x"), "\\u{9b}2J \\x7f \\u{202e}x");
        for code in (0..0x20).chain(0x7f..0xa0) {
            let text = visible(&String::from(char::from(code))).into_owned();
            assert!(!text.chars().any(|c| commands(c) && c != '\n' && c != '\t'), "{code}");
        }
    }

    #[test]
    fn colours_of_our_own_stay() {
        assert_eq!(colored("\u{1b}[1;32mok\u{1b}[0m"), "\u{1b}[1;32mok\u{1b}[0m");
        assert_eq!(colored("\u{1b}[2Jx\u{1b}[3"), "\\x1b[2Jx\\x1b[3");
    }
}
