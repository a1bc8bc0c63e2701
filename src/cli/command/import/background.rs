//! `&` in a command: what it starts outlives the line under cron, and here ends with the run.

/// What a command starts beside itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Background {
    /// Nothing.
    None,
    /// All of it: the command without its last `&`.
    Whole(String),
    /// Some of it.
    Part,
}

/// Looks for the operator `&`, outside of quotes and comments, that is not part of another one.
pub(super) fn look(command: &str) -> Background {
    let found = operators(command);
    let Some(last) = found.last().copied() else { return Background::None };
    let rest = command[last + 1..].trim_start();
    let whole = found.len() == 1 && (rest.is_empty() || rest.starts_with('#'));
    if whole {
        return Background::Whole(command[..last].trim_end().to_owned());
    }
    // Whoever waits for what was started knows of it.
    let mut words = command[last + 1..].split(|c: char| !(c.is_alphanumeric() || c == '_'));
    if words.any(|word| word == "wait") { Background::None } else { Background::Part }
}

/// Places of the operator.
fn operators(command: &str) -> Vec<usize> {
    let bytes = command.as_bytes();
    let at = |place: Option<usize>| place.and_then(|place| bytes.get(place)).copied();
    let (mut quote, mut place, mut found) = (None, 0, Vec::new());
    while let Some(&byte) = bytes.get(place) {
        let before = at(place.checked_sub(1)).unwrap_or(b' ');
        match (quote, byte) {
            (None | Some(b'"'), b'\\') => place += 1,
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            (None, b'#') if before.is_ascii_whitespace() || b";&|(".contains(&before) => break,
            (None, b'&') if at(Some(place + 1)) == Some(b'&') => place += 1,
            (None, b'&') if b"<>|".contains(&before) || at(Some(place + 1)) == Some(b'>') => {}
            (None, b'&') => found.push(place),
            _ => {}
        }
        place += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_operator_counts() {
        for none in [
            "a && b",
            "a > x 2>&1",
            "a &> x",
            "a |& b",
            "echo 'a & b'",
            "echo \"a & b\"",
            "echo a \\& b",
            "echo a # & b",
            "curl 'http://x/?a=1&b=2'",
            "a & b & wait",
            "a <&3",
        ] {
            assert_eq!(look(none), Background::None, "{none}");
        }
        for (command, without) in [
            ("a &", "a"),
            ("a && b&", "a && b"),
            ("nohup a >/dev/null 2>&1 &  ", "nohup a >/dev/null 2>&1"),
            ("(a; b) & # starts it", "(a; b)"),
        ] {
            assert_eq!(look(command), Background::Whole(without.into()), "{command}");
        }
        for part in ["a & b", "a & b &", "(a &)", "a & echo waiting", "wait; a & b"] {
            assert_eq!(look(part), Background::Part, "{part}");
        }
    }
}
