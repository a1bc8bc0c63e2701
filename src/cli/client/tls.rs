//! Who is trusted to be a server: the certificates of the system, and those that the user names.

use std::path::Path;

use rustls::ClientConfig;

use super::super::exit::Failure;
use crate::trust;

pub(super) fn config(ca: Option<&Path>) -> Result<ClientConfig, Failure> {
    let roots = match ca {
        None => trust::system(),
        Some(file) => trust::with_file(file)
            .map_err(|why| Failure::usage(format!("--ca {}: {why}", file.display())))?,
    };
    trust::client(roots).map_err(Failure::failed)
}
