//! `cronapi restore`: a new cluster from a backup.

use std::path::PathBuf;

use super::super::exit::{Failure, Outcome};
use super::super::output::line;
use super::backup::{size, summary};
use super::passphrase::Passphrase;
use super::progress::Progress;
use crate::clock;
use crate::model::Timestamp;
use crate::offline::{self, AsOf, Restoring};

/// Make a data directory of a backup.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data directory to make; it must not exist or be empty
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Up to when the old cluster may have started runs: now, an RFC 3339 time, or backup when it
    /// did nothing after the backup was taken. Times up to then are skipped, later ones are for
    /// the misfire policy of their job
    #[arg(long, value_name = "TIME", default_value = "now")]
    as_of: String,
    #[command(flatten)]
    passphrase: Passphrase,
}

pub(in crate::cli) fn run(options: &Options) -> Outcome {
    let passphrase = options.passphrase.read()?;
    let now = clock::now();
    let as_of = match options.as_of.as_str() {
        "now" => AsOf::At(now),
        "backup" => AsOf::Backup,
        text => AsOf::At(
            Timestamp::parse(text)
                .map_err(|why| Failure::usage(format!("--as-of: {why}; or give now, or backup")))?,
        ),
    };
    let user = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    let who = user.map_or("cronapi restore".to_owned(), |user| format!("cronapi restore ({user})"));
    let passphrase = passphrase.as_deref();
    let (file, data) = (options.file.as_path(), options.data.as_path());
    let restoring = Restoring { file, data, passphrase, as_of, who, now };
    let mut progress = Progress::new("restore", size(file).map(|bytes| 2 * bytes));
    let (mut done, mut last) = (0, 0);
    let restored = offline::restore(&restoring, &mut |at| {
        // It begins again: first it is checked, then it is used.
        done += at.checked_sub(last).unwrap_or(at);
        last = at;
        progress.bytes(done);
    })?;
    drop(progress);
    line(&format!("{}: {}", file.display(), summary(&restored.header, restored.amount)))?;
    line(&format!("{}: the new cluster {}", data.display(), restored.cluster))?;
    line(&format!(
        "{} runs that were open are lost; times of {} jobs are skipped, as of {}",
        restored.lost, restored.skipped_jobs, options.as_of
    ))?;
    line(&format!(
        "next: make sure that no node of the old cluster runs, then: cronapi serve --data {}",
        data.display()
    ))?;
    Ok(0)
}
