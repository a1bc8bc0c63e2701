//! Where output of a run came from.

use serde::Serialize;

/// Where output came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A note of the scheduler.
    System,
}

/// How it is stored: `o`, `e` or `s`, which keeps a command with output small.
pub mod letter {
    use serde::de::{Deserialize, Deserializer, Error, Unexpected};
    use serde::ser::Serializer;

    use super::LogStream;

    /// One letter.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(stream: &LogStream, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_char(match stream {
            LogStream::Stdout => 'o',
            LogStream::Stderr => 'e',
            LogStream::System => 's',
        })
    }

    /// # Errors
    /// It is another letter.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<LogStream, D::Error> {
        match char::deserialize(from)? {
            'o' => Ok(LogStream::Stdout),
            'e' => Ok(LogStream::Stderr),
            's' => Ok(LogStream::System),
            other => Err(D::Error::invalid_value(Unexpected::Char(other), &"o, e or s")),
        }
    }
}
