//! Duties: which there are, and how far they are done.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::Name;

/// The kinds of duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DutyKind {
    /// Events are written to a sink.
    Sink,
    /// Notices are sent to a channel.
    Channel,
    /// A trigger is read; from format 7 on.
    Trigger,
    /// Browsers are told of troubles; from format 8 on.
    Push,
    /// Monitors elsewhere are told of jobs that succeeded; from format 8 on.
    Heartbeat,
}

impl DutyKind {
    /// As it is told.
    pub fn as_str(self) -> &'static str {
        match self {
            DutyKind::Sink => "sink",
            DutyKind::Channel => "channel",
            DutyKind::Trigger => "trigger",
            DutyKind::Push => "push",
            DutyKind::Heartbeat => "heartbeat",
        }
    }
}

/// Which duty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DutyKey {
    /// Its kind.
    pub kind: DutyKind,
    /// The name of what it serves.
    pub name: Name,
}

impl DutyKey {
    /// That of the sink of this name.
    pub fn sink(name: Name) -> Self {
        DutyKey { kind: DutyKind::Sink, name }
    }

    /// That of the channel of this name.
    pub fn channel(name: Name) -> Self {
        DutyKey { kind: DutyKind::Channel, name }
    }

    /// That of the trigger of this name.
    pub fn trigger(name: Name) -> Self {
        DutyKey { kind: DutyKind::Trigger, name }
    }

    /// The one of all pushes; none never comes.
    pub fn push() -> Option<Self> {
        let name = Name::parse("push").ok()?;
        Some(DutyKey { kind: DutyKind::Push, name })
    }

    /// The one of the heartbeats of all jobs; none never comes.
    pub fn heartbeats() -> Option<Self> {
        let name = Name::parse("heartbeats").ok()?;
        Some(DutyKey { kind: DutyKind::Heartbeat, name })
    }
}

impl fmt::Display for DutyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// A place among the events: everything up to it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The entry of the last event.
    pub index: u64,
    /// Its place in it.
    pub sub: u32,
    /// Its number among all that were kept ever.
    #[serde(default)]
    pub number: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.index, self.sub)
    }
}

impl Position {
    /// Its place.
    pub fn place(self) -> (u64, u32) {
        (self.index, self.sub)
    }
}

/// The id of an entry of a stream: the millisecond and the number in it. The position of a
/// trigger is that of the last entry that was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryId(pub u64, pub u64);

impl EntryId {
    /// Reads one, such as `1767225600000-0`.
    pub fn parse(text: &str) -> Option<Self> {
        let (millis, number) = text.split_once('-')?;
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(millis) || !digits(number) {
            return None;
        }
        Some(EntryId(millis.parse().ok()?, number.parse().ok()?))
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl From<EntryId> for Position {
    fn from(id: EntryId) -> Self {
        Position { index: id.0, sub: 0, number: id.1 }
    }
}

impl From<Position> for EntryId {
    fn from(position: Position) -> Self {
        EntryId(position.index, position.number)
    }
}
