//! A batch of commands: what one raft entry carries.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;

use super::{Error, proto};
use crate::machine::Command;

/// The format written today; anything up to it can be read.
const FORMAT: u32 = 1;

/// One command beside its bytes, so it is encoded once, by whoever submits it.
#[derive(Clone, Debug)]
pub struct EncodedCommand {
    command: Command,
    bytes: Bytes,
}

impl EncodedCommand {
    /// Encodes a command.
    ///
    /// # Errors
    /// The encoder refused it, which only a bug in the command's own types can cause.
    pub fn new(command: Command) -> Result<Self, Error> {
        let bytes = rmp_serde::to_vec_named(&command)?.into();
        Ok(Self { command, bytes })
    }

    /// Size of the encoded command in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

/// Commands in the order they are applied, beside their encoded form. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Batch {
    commands: Arc<[Command]>,
    encoded: Bytes,
}

impl Batch {
    /// Joins commands that are already encoded.
    pub fn new(commands: Vec<EncodedCommand>) -> Self {
        let mut bytes = Vec::with_capacity(commands.len());
        let mut plain = Vec::with_capacity(commands.len());
        for command in commands {
            bytes.push(command.bytes);
            plain.push(command.command);
        }
        let encoded = proto::Batch { format: FORMAT, commands: bytes }.encode_to_vec().into();
        Self { commands: plain.into(), encoded }
    }

    /// Decodes what [`Batch::encoded`] gave, in this version of the program or an older one.
    ///
    /// # Errors
    /// The batch is of a newer format, or one command can't be read. The caller must stop: a
    /// command that is skipped here would be applied elsewhere.
    pub fn decode(encoded: Bytes) -> Result<Self, Error> {
        let message = proto::Batch::decode(encoded.clone())?;
        if message.format == 0 || message.format > FORMAT {
            let (found, newest) = (message.format, FORMAT);
            return Err(Error::Version { what: "batch", found, newest });
        }
        let decode = |(position, bytes): (usize, &Bytes)| {
            rmp_serde::from_slice(bytes).map_err(|source| Error::Command { position, source })
        };
        let commands: Result<Vec<Command>, Error> =
            message.commands.iter().enumerate().map(decode).collect();
        Ok(Self { commands: commands?.into(), encoded })
    }

    /// The commands, in order.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// The encoded batch.
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_an_error_and_not_skipped() {
        let unknown = rmp_serde::to_vec_named(&"NoSuchCommand").unwrap().into();
        let bytes = proto::Batch { format: FORMAT, commands: vec![unknown] }.encode_to_vec();
        let refused = Batch::decode(bytes.into());
        assert!(matches!(refused, Err(Error::Command { position: 0, .. })));
    }

    #[test]
    fn a_newer_batch_is_refused() {
        let bytes = proto::Batch { format: FORMAT + 1, commands: vec![] }.encode_to_vec();
        assert!(matches!(Batch::decode(bytes.into()), Err(Error::Version { found: 2, .. })));
    }
}
