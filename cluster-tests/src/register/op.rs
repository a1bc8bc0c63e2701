//! Operations on the register, and what each may do to it.

/// What the register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// How often it was written, plus one.
    pub version: u64,
    /// What was written last.
    pub value: u64,
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// What it holds.
    Read,
    /// To write a value.
    Write(u64),
    /// To write a value if the version is the expected one.
    Swap {
        /// That one.
        expected: u64,
        /// The value.
        value: u64,
    },
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// This is what it holds.
    Holds(State),
    /// It was written, as that version.
    Written(u64),
    /// The version is another one; nothing was written.
    Refused,
    /// Nothing, or that nobody knows: a write may happen at any later time, or never.
    Nothing,
}

/// An operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Who asked.
    pub client: usize,
    /// The node that answered.
    pub node: String,
    /// What for.
    pub asked: Asked,
    /// Microseconds from some begin until the question was sent.
    pub sent: u64,
    /// And until the answer was there; not looked at when nothing was told.
    pub answered: u64,
    /// The answer.
    pub told: Told,
}

impl Op {
    /// What the register holds after it, if it may happen to one that holds `state`.
    pub fn step(&self, state: State) -> Option<State> {
        let written = |value| State { version: state.version + 1, value };
        match (self.asked, self.told) {
            (Asked::Read, Told::Holds(held)) => (held == state).then_some(state),
            (Asked::Read, _) => None,
            (Asked::Write(value), Told::Written(version)) => {
                (version == state.version + 1).then(|| written(value))
            }
            (Asked::Write(value), Told::Nothing) => Some(written(value)),
            (Asked::Write(_), _) => None,
            (Asked::Swap { expected, value }, told) => match (expected == state.version, told) {
                (true, Told::Written(version)) => {
                    (version == state.version + 1).then(|| written(value))
                }
                (true, Told::Nothing) => Some(written(value)),
                (false, Told::Refused) => Some(state),
                // What changes nothing and tells nothing need not happen.
                _ => None,
            },
        }
    }

    /// The value that it writes.
    pub fn value(&self) -> Option<u64> {
        match self.asked {
            Asked::Read => None,
            Asked::Write(value) | Asked::Swap { value, .. } => Some(value),
        }
    }

    /// Whether it can't happen any more once the register holds `state`: versions only rise.
    pub fn is_late(&self, state: State) -> bool {
        match self.told {
            Told::Holds(held) => held.version < state.version,
            Told::Written(version) => version <= state.version,
            Told::Refused | Told::Nothing => false,
        }
    }
}
