//! Where the passphrase of a backup comes from: never from an argument, which others can see.

use std::path::PathBuf;

use super::super::exit::Failure;

const VARIABLE: &str = "CRONAPI_BACKUP_PASSPHRASE";
/// Characters, at least.
const LENGTH_MIN: usize = 8;

#[derive(Debug, clap::Args)]
pub(super) struct Passphrase {
    /// File with the passphrase that the backup is encrypted with
    /// [env: CRONAPI_BACKUP_PASSPHRASE is the passphrase itself]
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    /// The passphrase, when one is given.
    pub(super) fn read(&self) -> Result<Option<String>, Failure> {
        let (from, text) = match &self.passphrase_file {
            Some(path) => {
                let read = std::fs::read_to_string(path);
                let text = read.map_err(|e| Failure::usage(format!("{}: {e}", path.display())))?;
                ("--passphrase-file", text)
            }
            None => match std::env::var(VARIABLE) {
                Ok(text) if !text.is_empty() => (VARIABLE, text),
                _ => return Ok(None),
            },
        };
        let text = text.trim_end_matches(['\r', '\n']);
        if text.chars().count() < LENGTH_MIN {
            return Err(Failure::usage(format!("{from}: give at least {LENGTH_MIN} characters")));
        }
        Ok(Some(text.to_owned()))
    }
}
