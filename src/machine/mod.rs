//! Stand-in for the replicated machine: numbered slots that may each be taken once.
#![allow(missing_docs)]

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    pub slots: imbl::OrdMap<u64, u64>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub enum Command {
    Take { slot: u64 },
    Record { key: Vec<u8>, value: Option<Vec<u8>> },
    Boom,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Reply {
    Taken { at: u64 },
    Recorded,
}

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub enum Rejection {
    AlreadyTaken { at: u64 },
}

pub type Answer = Result<Reply, Rejection>;

#[derive(Default)]
pub struct Output {
    pub rows: Vec<Row>,
    pub events: Vec<Event>,
}

pub struct Row {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize, Clone, Debug)]
pub struct Event {
    pub index: u64,
    pub sub: u32,
    pub slot: u64,
}

pub fn apply(state: &mut State, index: u64, command: &Command, out: &mut Output) -> Answer {
    match command {
        Command::Take { slot } => {
            if let Some(at) = state.slots.get(slot) {
                return Err(Rejection::AlreadyTaken { at: *at });
            }
            state.slots.insert(*slot, index);
            let sub = out.events.len() as u32;
            out.events.push(Event { index, sub, slot: *slot });
            let value = Some(index.to_be_bytes().to_vec());
            out.rows.push(Row { key: slot.to_be_bytes().to_vec(), value });
            Ok(Reply::Taken { at: index })
        }
        Command::Record { key, value } => {
            out.rows.push(Row { key: key.clone(), value: value.clone() });
            Ok(Reply::Recorded)
        }
        Command::Boom => panic!("a bug in the machine"),
    }
}
