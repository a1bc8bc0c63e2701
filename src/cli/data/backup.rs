//! `cronapi backup`: a file from a live cluster, and its check.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::timeout;

use super::super::client::{Client, Request, reason};
use super::super::connection::AsUser;
use super::super::exit::{Code, Failure, Outcome};
use super::super::output::line;
use super::super::session::Session;
use super::failed;
use super::partial::Partial;
use super::passphrase::Passphrase;
use super::progress::{Progress, mib};
use crate::backup::{Amount, Decoder, Encoder, Header, Piece};
use crate::offline;

/// Between two pieces, or until the first.
const SILENCE: Duration = Duration::from_secs(90);

/// Take or check a backup.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Options {
    #[command(subcommand)]
    verify: Option<Sub>,
    /// The file to write; it must not exist
    #[arg(value_name = "FILE", required = true)]
    file: Option<PathBuf>,
    /// Take what this node has, without asking a leader: when there is none
    #[arg(long)]
    local: bool,
    #[command(flatten)]
    who: AsUser,
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

impl Options {
    pub(in crate::cli) async fn run(self, session: &Session) -> Outcome {
        match (&self.verify, &self.file) {
            (Some(Sub::Verify { file, passphrase }), _) => verify(file, passphrase)?,
            (None, Some(file)) => self.take(session, file).await?,
            (None, None) => return Err(Failure::usage("give a FILE")),
        }
        Ok(0)
    }

    async fn take(&self, session: &Session, path: &Path) -> Result<(), Failure> {
        let passphrase = self.passphrase.read()?;
        let told = |e: std::io::Error| failed(format!("{}: {e}", path.display()));
        let partial = Partial::create(path).map_err(told)?;
        let client = session.client_as(&self.who).await?;
        let (header, amount) =
            fetch(&client, self.local, passphrase.as_deref(), partial, path).await?;
        line(&format!("{}: {}", path.display(), summary(&header, amount)))?;
        if passphrase.is_none() {
            session.say(
                "note: the file is not encrypted and holds password hashes and keys: keep it as \
                 safe as the cluster itself",
            );
        }
        Ok(())
    }
}

/// Reads, checks, and writes as it reads.
async fn fetch(
    client: &Client,
    local: bool,
    passphrase: Option<&str>,
    mut partial: Partial,
    path: &Path,
) -> Result<(Header, Amount), Failure> {
    let told = |e: std::io::Error| failed(format!("{}: {e}", path.display()));
    let query = if local { "?consistency=local" } else { "" };
    let asked = Request::get(format!("/cluster/backup{query}"));
    let away = |why: String| Failure::new(Code::Unavailable, why).of("the backup broke off");
    let slow = |_| away(format!("nothing came for {} s", SILENCE.as_secs()));
    let answer = timeout(SILENCE, client.open(&asked, None)).await.map_err(slow)??;
    let status = answer.status();
    if !status.is_success() {
        return Err(client.refusal(status, &answer.bytes().await.unwrap_or_default()));
    }
    let mut pieces = answer.bytes_stream();
    let mut decoder = Decoder::new(None);
    let mut encoder: Option<(Header, Encoder)> = None;
    let mut progress = Progress::new("backup", None);
    let mut bytes = 0;
    while let Some(chunk) = timeout(SILENCE, pieces.next()).await.map_err(slow)? {
        let chunk = chunk.map_err(|error| away(reason(&error)))?;
        bytes += chunk.len() as u64;
        progress.bytes(bytes);
        for piece in decoder.push(&chunk).map_err(failed)? {
            let written = match (piece, &mut encoder) {
                (Piece::Header(header), None) => {
                    let (begun, first) = Encoder::begin(&header, passphrase).map_err(failed)?;
                    encoder = Some((header, begun));
                    first
                }
                (Piece::Part(part), Some((_, encoder))) => encoder.part(part).map_err(failed)?,
                _ => return Err(failed("the node did not send a backup")),
            };
            partial.write(&written).map_err(told)?;
        }
    }
    let amount = decoder.finish().map_err(failed)?;
    let Some((header, encoder)) = encoder else {
        return Err(failed("the node did not send a backup"));
    };
    partial.write(&encoder.end().map_err(failed)?).map_err(told)?;
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
            let (path, index) = (path.display(), header.index);
            line(&format!("{path}: entry {index}, checksums and digest are right"))?;
            return line("not checked: what is inside, for want of the passphrase");
        }
    }
    let checked = offline::verify(path, passphrase.as_deref(), &mut |at| progress.bytes(at))?;
    drop(progress);
    line(&format!("{}: sound; {}", path.display(), summary(&checked.header, checked.amount)))
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
