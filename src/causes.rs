//! What an error was caused by: the chain of its sources, as an iterator and as one sentence.

use std::error::Error;

/// The causes of an error, the nearest first; not the error itself.
pub fn of<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

/// An error and its causes, which mostly say more than itself. What was said is not repeated.
pub fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in of(error) {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Outer {
        said: &'static str,
        #[source]
        cause: io::Error,
    }

    #[test]
    fn each_cause_is_told_once() {
        let outer = |said| Outer { said, cause: io::Error::other("the disk is full") };
        assert_eq!(told(&outer("can't write")), "can't write: the disk is full");
        let said = "can't write: the disk is full";
        assert_eq!(told(&outer(said)), said);
        assert_eq!(of(&outer(said)).count(), 1);
    }
}
