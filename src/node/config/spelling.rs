//! Variables that are set and not read: nearly the name of a setting, or for what is not there.

use super::sources::Sources;
use super::table::TABLE;
use crate::model::job::unknown_field;

const PREFIX: &str = "CRONAPI_";
/// What the command line's other commands and the image read.
const OTHERS: &[&str] =
    &["CRONAPI_SERVER", "CRONAPI_TOKEN", "CRONAPI_CONTEXT", "CRONAPI_CLI_CONFIG"];

/// Warns of each. Others may be anybody's: Kubernetes makes `CRONAPI_PORT` and the like.
pub(super) fn look(sources: &mut Sources<'_>, names: &[String]) {
    let ours = TABLE.iter().flat_map(|row| row.variables());
    let known: Vec<String> = ours.chain(OTHERS.iter().map(|name| (*name).to_owned())).collect();
    let mut warnings = Vec::new();
    for name in names.iter().filter(|name| name.starts_with(PREFIX)) {
        if known.contains(name) {
            continue;
        }
        let bare = |name: &str| name.trim_start_matches(PREFIX).to_string();
        let bares: Vec<String> = known.iter().map(|name| bare(name)).collect();
        let bares: Vec<&str> = bares.iter().map(String::as_str).collect();
        if let Some((_, near)) = unknown_field(&bare(name), &bares).split_once("did you mean ") {
            let near = near.trim_end_matches('?');
            warnings.push(format!("{name}: is not read; did you mean {PREFIX}{near}?"));
        }
    }
    if cfg!(not(feature = "redis")) && sources.variable("REDIS_URL").is_some() {
        warnings.push("REDIS_URL: this program was built without Redis".to_string());
    }
    sources.warnings.extend(warnings);
}
