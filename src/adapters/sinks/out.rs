//! The other side of a sink, whatever its type.

use std::sync::Arc;

use super::file::Lines;
use super::line::{Line, json_lines};
#[cfg(feature = "redis")]
use super::mirror::{Mirror, Now};
#[cfg(feature = "mongodb")]
use super::mongodb::{self, Collections};
#[cfg(feature = "postgres")]
use super::postgres::{self, Tables};
#[cfg(feature = "redis")]
use super::redis::{Added, Address, Stream};
#[cfg(any(feature = "postgres", feature = "mongodb"))]
use super::rows::Reader;
#[cfg(feature = "redis")]
use crate::adapters::kept::position_of;
use crate::adapters::parts::DutyParts;
use crate::machine::State;
use crate::machine::state::Duty;
#[cfg(feature = "redis")]
use crate::model::Fence;
#[cfg(feature = "redis")]
use crate::model::kind::sink::SinkWhat;
use crate::model::kind::sink::{SinkSpec, SinkType};
use crate::model::{Name, Position};

/// What takes lines.
pub(super) enum Out {
    /// A file.
    Lines(Lines),
    /// A stream.
    #[cfg(feature = "redis")]
    Stream(Box<Stream>),
    /// Tables of a database.
    #[cfg(feature = "postgres")]
    Tables(Box<Tables>),
    /// Collections of a database.
    #[cfg(feature = "mongodb")]
    Collections(Box<Collections>),
}

/// Where writing goes on.
pub(super) struct Begun {
    pub out: Out,
    /// Everything up to here is there.
    pub at: Position,
    /// What people should know of it.
    pub lost: Option<String>,
}

/// Opens what a sink names, and finds out how far it is.
pub(super) async fn open(
    parts: &DutyParts,
    state: Arc<State>,
    name: &Name,
    spec: &SinkSpec,
    duty: &Duty,
) -> Result<Begun, String> {
    match spec.r#type {
        Some(SinkType::File) => {
            let Some(directory) = &parts.directory else {
                return Err("this node was started without a directory for sinks".into());
            };
            drop(state);
            let cluster = parts.consensus.status().cluster_id;
            let out = Out::Lines(Lines::open(directory, &cluster, name).await?);
            // What else is there is not known to be of this sink as it is now: it is written
            // again, and known by its position.
            Ok(Begun { out, at: duty.position, lost: None })
        }
        #[cfg(feature = "redis")]
        Some(SinkType::Redis) => redis(parts, state, name, spec, duty).await,
        #[cfg(feature = "postgres")]
        Some(SinkType::Postgres) => tables(parts, state, name, spec, duty).await,
        #[cfg(feature = "mongodb")]
        Some(SinkType::Mongodb) => collections(parts, state, name, spec, duty).await,
        #[allow(unreachable_patterns, reason = "with all features there is no other type")]
        Some(other) => {
            Err(format!("this program was built without sinks of the type {}", other.as_str()))
        }
        None => Err("the sink has no type".into()),
    }
}

#[cfg(feature = "postgres")]
async fn tables(
    parts: &DutyParts,
    state: Arc<State>,
    name: &Name,
    spec: &SinkSpec,
    duty: &Duty,
) -> Result<Begun, String> {
    let url = parts.url(&state, spec.config.url.as_ref())?.ok_or("the sink has no address")?;
    let events = state.events;
    drop(state);
    let wanted = postgres::Wanted { reader: reader(parts, spec), url, sink: name.clone() };
    let (tables, at, lost) = Tables::open(wanted, &parts.env, duty, events).await?;
    Ok(Begun { out: Out::Tables(Box::new(tables)), at, lost })
}

#[cfg(feature = "mongodb")]
async fn collections(
    parts: &DutyParts,
    state: Arc<State>,
    name: &Name,
    spec: &SinkSpec,
    duty: &Duty,
) -> Result<Begun, String> {
    let url = parts.url(&state, spec.config.url.as_ref())?.ok_or("the sink has no address")?;
    let events = state.events;
    drop(state);
    let (reader, clock) = (reader(parts, spec), Arc::clone(&parts.clock));
    let wanted = mongodb::Wanted { reader, url, sink: name.clone(), clock };
    let (collections, at, lost) = Collections::open(wanted, &parts.env, duty, events).await?;
    Ok(Begun { out: Out::Collections(Box::new(collections)), at, lost })
}

/// What reads the rows that a sink wants.
#[cfg(any(feature = "postgres", feature = "mongodb"))]
fn reader(parts: &DutyParts, spec: &SinkSpec) -> Reader {
    Reader {
        consensus: parts.consensus.clone(),
        jobs: spec.select.jobs.clone(),
        pages: parts.public_url.clone(),
    }
}

/// A stream knows how far it is. Where it is not as far as it was, it lost something: that is
/// added again.
#[cfg(feature = "redis")]
async fn redis(
    parts: &DutyParts,
    state: Arc<State>,
    name: &Name,
    spec: &SinkSpec,
    duty: &Duty,
) -> Result<Begun, String> {
    use crate::model::limits;

    let url = parts.url(&state, spec.config.url.as_ref())?.or_else(|| parts.redis_url.clone());
    let events = state.events;
    drop(state);
    let Some(url) = url else { return Err("this node was started without REDIS_URL".into()) };
    let cluster = parts.consensus.status().cluster_id;
    let key = spec.config.key.clone().unwrap_or_else(|| format!("cronapi:{cluster}:{name}"));
    let max_len = spec.config.max_len.unwrap_or(limits::SINK_STREAM_LEN_DEFAULT);
    let trusted = spec.config.url.is_none();
    let mirror = spec.tells(SinkWhat::State).then(|| Mirror {
        cluster,
        key: key.clone(),
        jobs: spec.select.jobs.clone(),
        pages: parts.public_url.clone(),
        written: None,
    });
    let address = Address { url, key: key.clone(), max_len, trusted, mirror };
    let mut stream = Stream::open(address, &parts.env).await?;
    let begin = duty.begin.unwrap_or_default();
    let (place, lost) = match stream.last().await? {
        Some(last) if last.0 > *parts.consensus.applied().borrow() => {
            return Err(format!(
                "the stream {key} is at {}-{}, ahead of this cluster's log: another cluster \
                 writes it, or did; give the sink another key, or delete the stream",
                last.0, last.1
            ));
        }
        Some(last) if last >= duty.position.place() => (last, None),
        Some(last) => {
            (last, Some(format!("the stream {key} lost what came after {}-{}", last.0, last.1)))
        }
        None if duty.position == begin => (begin.place(), None),
        None => (begin.place(), Some(format!("the stream {key} is gone"))),
    };
    stream.create(place).await?;
    let present = duty.position;
    let ahead = place > present.place() && events.has_all_after(present);
    let at = if place == present.place() {
        present
    } else if ahead || events.covers(place) {
        let at = position_of(parts.consensus.history(), place, events.last).await;
        at.map_err(|e| format!("the history can't be read: {e}"))?
    } else {
        // Of what came after it nothing, or not all, is kept.
        Position { index: place.0, sub: place.1, number: 0 }
    };
    let lost = lost.map(|what| format!("{what}: what the history still has is added again"));
    Ok(Begun { out: Out::Stream(Box::new(stream)), at, lost })
}

impl Out {
    /// Adds lines; from then on everything from `from` up to `up_to` is there, and stays. Gives
    /// how many that were, or how many rows.
    pub async fn add(
        &mut self,
        from: Position,
        lines: &[Line],
        up_to: Position,
    ) -> Result<u64, String> {
        let all = lines.len() as u64;
        match self {
            Out::Lines(_) if lines.is_empty() => Ok(0),
            Out::Lines(file) => file.append(json_lines(lines)?).await.map(|()| all),
            #[cfg(feature = "redis")]
            Out::Stream(stream) => match stream.add(from.place(), lines, up_to.place()).await? {
                Added::All => Ok(all),
                Added::Elsewhere => Err("the stream is not as it was left".into()),
            },
            #[cfg(feature = "postgres")]
            Out::Tables(tables) => tables.add(from.place(), lines, up_to.place()).await,
            #[cfg(feature = "mongodb")]
            Out::Collections(collections) => {
                collections.add(from.place(), lines, up_to.place()).await
            }
        }
    }

    /// Writes a piece of what was before the sink, where that is wanted; none: all of it is there.
    pub async fn fill(&mut self) -> Result<Option<u64>, String> {
        match self {
            #[cfg(feature = "postgres")]
            Out::Tables(tables) => tables.fill().await,
            #[cfg(feature = "mongodb")]
            Out::Collections(collections) => collections.fill().await,
            _ => Ok(None),
        }
    }

    /// Writes what jobs and runs are now, where that is wanted. What changes again within a moment
    /// is written once.
    #[cfg(feature = "redis")]
    pub async fn mirror(
        &mut self,
        state: Arc<State>,
        fence: Fence,
        entry: u64,
    ) -> Result<(), String> {
        let Out::Stream(stream) = self else { return Ok(()) };
        let now = Now::of(&state, fence, entry);
        drop(state);
        stream.mirror(now).await
    }

    /// Whether it is still there, and where it was left. Asked where there is nothing to add.
    pub async fn check(&mut self, at: Position) -> Result<(), String> {
        match self {
            Out::Lines(_) => Ok(()),
            #[cfg(feature = "redis")]
            Out::Stream(stream) => match stream.last().await? {
                Some(last) if last == at.place() => Ok(()),
                _ => Err("the stream is not as it was left".into()),
            },
            #[cfg(feature = "postgres")]
            Out::Tables(tables) => tables.check(at.place()).await,
            #[cfg(feature = "mongodb")]
            Out::Collections(collections) => collections.check(at.place()).await,
        }
    }
}
