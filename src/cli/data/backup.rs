//! `cronapi backup`: a file from a live cluster, and its check.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use futures_util::StreamExt;

use super::partial::Partial;
use super::passphrase::Passphrase;
use super::progress::{Progress, mib};
use super::remote::Remote;
use super::{Failure, ended};
use crate::backup::{Amount, Decoder, Encoder, Header, Piece};
use crate::offline;

/// Take or check a backup.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    verify: Option<Sub>,
    /// The file to write; it must not exist
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Debug, clap::Subcommand)]
enum Sub {
    /// Check a backup, offline: checksums, digest, and that all of it can be read
    Verify {
        /// The backup
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        passphrase: Passphrase,
    },
}

pub(in crate::cli) fn run(options: &Options) -> ExitCode {
    ended(match (&options.verify, &options.file) {
        (Some(Sub::Verify { file, passphrase }), _) => verify(file, passphrase),
        (None, Some(file)) => take(options, file),
        (None, None) => Err(Failure::usage("give a FILE")),
    })
}

fn take(options: &Options, path: &Path) -> Result<(), Failure> {
    let passphrase = options.passphrase.read()?;
    let told = |e: std::io::Error| Failure::new(format!("{}: {e}", path.display()));
    let partial = Partial::create(path).map_err(told)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::new)?;
    let (header, amount) =
        runtime.block_on(fetch(options, passphrase.as_deref(), partial, path))?;
    println!("{}: {}", path.display(), summary(&header, amount));
    if passphrase.is_none() {
        eprintln!(
            "cronapi: the file is not encrypted and holds password hashes and keys: keep it as \
             safe as the cluster itself"
        );
    }
    Ok(())
}

/// Reads, checks, and writes as it reads.
async fn fetch(
    options: &Options,
    passphrase: Option<&str>,
    mut partial: Partial,
    path: &Path,
) -> Result<(Header, Amount), Failure> {
    let told = |e: std::io::Error| Failure::new(format!("{}: {e}", path.display()));
    let mut pieces = Box::pin(options.remote.open().await?);
    let mut decoder = Decoder::new(None);
    let mut encoder: Option<(Header, Encoder)> = None;
    let mut progress = Progress::new("backup", None);
    let mut bytes = 0;
    while let Some(chunk) = pieces.next().await {
        let chunk = chunk?;
        bytes += chunk.len() as u64;
        progress.bytes(bytes);
        for piece in decoder.push(&chunk).map_err(Failure::new)? {
            let written = match (piece, &mut encoder) {
                (Piece::Header(header), None) => {
                    let (begun, first) =
                        Encoder::begin(&header, passphrase).map_err(Failure::new)?;
                    encoder = Some((header, begun));
                    first
                }
                (Piece::Part(part), Some((_, encoder))) => {
                    encoder.part(part).map_err(Failure::new)?
                }
                _ => return Err(Failure::new("the node did not send a backup")),
            };
            partial.write(&written).map_err(told)?;
        }
    }
    let amount = decoder.finish().map_err(Failure::new)?;
    let Some((header, encoder)) = encoder else {
        return Err(Failure::new("the node did not send a backup"));
    };
    partial.write(&encoder.end().map_err(Failure::new)?).map_err(told)?;
    partial.finish().map_err(told)?;
    Ok((header, amount))
}

fn verify(path: &Path, passphrase: &Passphrase) -> Result<(), Failure> {
    let passphrase = passphrase.read()?;
    let mut progress = Progress::new("verify", size(path));
    if passphrase.is_none() {
        let header = offline::verify_outside(path)?;
        if header.sealed.is_some() {
            drop(progress);
            println!("{}: entry {}, checksums and digest are right", path.display(), header.index);
            println!("not checked: what is inside, for want of the passphrase");
            return Ok(());
        }
    }
    let checked = offline::verify(path, passphrase.as_deref(), &mut |at| progress.bytes(at))?;
    drop(progress);
    println!("{}: sound; {}", path.display(), summary(&checked.header, checked.amount));
    Ok(())
}

pub(super) fn size(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|about| about.len())
}

/// What a backup is of, in a line.
pub(super) fn summary(header: &Header, amount: Amount) -> String {
    let counts = header.counts;
    format!(
        "cluster {} at entry {}, {}: {} jobs, {} users, {} open runs, {} rows of history, {} of \
         state",
        header.cluster_id,
        header.index,
        header.taken_at,
        counts.jobs,
        counts.users,
        counts.open_runs,
        amount.rows,
        mib(amount.checkpoint_bytes),
    )
}
