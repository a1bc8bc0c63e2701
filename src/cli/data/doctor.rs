//! `cronapi doctor`: what is wrong with a data directory.

use std::path::{Path, PathBuf};

use super::super::exit::{Failure, Outcome};
use super::super::output::line;
use super::failed;
use crate::offline::{self, Inspected};

/// Check a data directory.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The data directory; no node may run on it
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where copies are made and removed; as much room is needed as the directory takes
    /// [default: beside the directory]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

pub(in crate::cli) fn run(options: &Options) -> Outcome {
    let data = options.data.as_path();
    let scratch = scratch(data, options.scratch.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.map_err(failed)?;
    let found = runtime.block_on(offline::inspect(data, &scratch)).map_err(failed)?;
    for fault in &found.faults {
        let kind = if fault.grave { "FAULT" } else { "note" };
        line(&format!("{kind}  {}: {}", fault.file.display(), fault.what))?;
        line(&format!("       {}", fault.advice))?;
    }
    line(&summary(&found))?;
    match found.is_sound() {
        true => Ok(0),
        false => Err(Failure::failed(format!("{} is not sound", data.display()))),
    }
}

fn scratch(data: &Path, given: Option<&Path>) -> Result<PathBuf, Failure> {
    let name = format!(".cronapi-doctor-{}", std::process::id());
    let place = match given {
        Some(given) => given.to_owned(),
        None => {
            let whole = std::fs::canonicalize(data);
            let whole = whole.map_err(|e| Failure::failed(format!("{}: {e}", data.display())))?;
            whole.parent().map(Path::to_owned).unwrap_or(whole)
        }
    };
    Ok(place.join(name))
}

fn summary(found: &Inspected) -> String {
    let whose = match &found.identity {
        Some(identity) if identity.cluster_id.is_empty() => {
            format!("node {} of no cluster yet", identity.node_id)
        }
        Some(identity) => format!("node {} of cluster {}", identity.node_id, identity.cluster_id),
        None => "nobody's".to_owned(),
    };
    let graves = found.faults.iter().filter(|fault| fault.grave).count();
    format!(
        "{whose}: log to entry {}, checkpoint of entry {}, {} entries and {} rows read, {} jobs; \
         {graves} faults, {} notes",
        found.last_log,
        found.checkpoint,
        found.entries,
        found.rows,
        found.jobs,
        found.faults.len() - graves
    )
}
