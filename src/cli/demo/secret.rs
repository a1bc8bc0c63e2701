//! What nobody can guess.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::cli::exit::Failure;

/// Random letters and digits.
pub(super) fn secret() -> Result<String, Failure> {
    let mut bytes = [0_u8; 18];
    fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

pub(super) fn fill(bytes: &mut [u8]) -> Result<(), Failure> {
    let failed = |error| Failure::failed(format!("the system has no random bytes: {error}"));
    getrandom::fill(bytes).map_err(failed)
}
