//! Lines of a crontab that stay where they are, and tell a monitor: the command of each becomes an
//! argument of `cronapi exec`, as it is written, so that cron reads `%` and `\%` in it as before.

use std::collections::BTreeMap;

use super::crontab::cut;

/// Bytes of a command that Vixie's and Debian's cron take.
pub(super) const COMMAND_BYTES_MAX: usize = 998;

/// Whether a command tells a monitor already.
pub(super) fn is_wrapped(command: &str) -> bool {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or_default().trim_matches('\'');
    let ours = program.rsplit('/').next() == Some("cronapi");
    ours && words.next() == Some("exec")
}

/// The crontab with the lines of these numbers behind what they are given to.
pub(super) fn wrapped(text: &[u8], system: bool, with: &BTreeMap<usize, String>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 200 * with.len());
    for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.push(b'\n');
        }
        let read =
            with.get(&(at + 1)).and_then(|exec| Some((exec, std::str::from_utf8(line).ok()?)));
        match read {
            Some((exec, line)) => out.extend(line_with(line, system, exec).into_bytes()),
            None => out.extend(line),
        }
    }
    out
}

fn line_with(line: &str, system: bool, exec: &str) -> String {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (_, _, rest) = cut(line.trim_start(), system);
    let before = &line[..line.len() - rest.len()];
    let (command, input) = rest.split_at(command_end(rest));
    format!("{before}{exec} -c {}{input}", quoted(command.trim_end()))
}

/// As one word for a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Where the first `%` stands that no backslash precedes: what follows is read by the command.
fn command_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == '%' && !escaped {
            return at;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_times_and_what_it_reads() {
        for (line, system, wrapped) in [
            ("30 2 * * * dump it", false, "30 2 * * * X -c 'dump it'"),
            ("  @daily\tdump\r", false, "  @daily\tX -c 'dump'"),
            ("0 1 * * * mail ann%it's%done", false, "0 1 * * * X -c 'mail ann'%it's%done"),
            (r"0 1 * * * date '+\%F' && a|b", false, r"0 1 * * * X -c 'date '\''+\%F'\'' && a|b'"),
            ("-0 1 * * * root  dump", true, "-0 1 * * * root  X -c 'dump'"),
        ] {
            assert_eq!(line_with(line, system, "X"), wrapped, "{line}");
        }
        let text = b"# nightly\nA=1\n0 1 * * * a\n0 2 * * * b\n";
        let with = BTreeMap::from([(3, "X".to_owned())]);
        let made = b"# nightly\nA=1\n0 1 * * * X -c 'a'\n0 2 * * * b\n";
        assert_eq!(wrapped(text, false, &with), made);
    }

    #[test]
    fn what_is_wrapped_is_known_again() {
        assert!(is_wrapped("/usr/bin/cronapi exec http://a/ping/b -c 'dump'"));
        assert!(is_wrapped("'/opt/bin/cronapi' exec x -c 'dump'"));
        assert!(!is_wrapped("cronapi backup x") && !is_wrapped("dump exec"));
    }
}
