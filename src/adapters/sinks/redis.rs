//! The type `redis`: a stream, in which the id of an entry is the place of its event.
//!
//! One script adds a batch, and only where the stream's last id is the one that this node left
//! there: what another holder added, or what was flushed, is seen before anything is written. At
//! its end the last id is moved to the place up to which events were looked at. So the stream
//! itself says how far it is, also when none of the events was wanted.

use super::line::Line;
use super::mirror::{Mirror, Now};
use crate::adapters::redis::Redis;
use crate::executor::runner::RunnerEnv;

/// The last id of the stream; nothing: there is no stream.
const LAST: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then return '' end
local told = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #told, 2 do
  if told[i] == 'last-generated-id' then return told[i + 1] end
end
return redis.error_reply('the stream has no last id')
";

/// An empty stream with that last id, unless there is one.
const CREATE: &str = r"
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('XGROUP', 'CREATE', KEYS[1], 'cronapi', '$', 'MKSTREAM')
redis.call('XGROUP', 'DESTROY', KEYS[1], 'cronapi')
redis.call('XSETID', KEYS[1], ARGV[1])
return 1
";

/// Entries, after the last id that is expected. Answers with the last id that there is.
const ADD: &str = r"
local last = ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local told = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #told, 2 do
    if told[i] == 'last-generated-id' then last = told[i + 1] end
  end
end
if last ~= ARGV[1] then return last end
local at = 4
while at <= #ARGV do
  local fields = tonumber(ARGV[at + 1])
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], ARGV[at],
    unpack(ARGV, at + 2, at + 1 + fields))
  at = at + 2 + fields
end
redis.call('XSETID', KEYS[1], ARGV[2])
return ARGV[2]
";

/// The place of an event.
type Place = (u64, u32);

/// Where the stream is.
pub(super) struct Address {
    /// `redis://…`
    pub url: String,
    /// Its key.
    pub key: String,
    /// About so many entries are kept.
    pub max_len: u64,
    /// Whether the node's own settings name it: then it may be anywhere.
    pub trusted: bool,
    /// The state beside it, where that is wanted.
    pub mirror: Option<Mirror>,
}

/// What became of a batch.
pub(super) enum Added {
    /// It is there.
    All,
    /// The stream is at another place than where it was left; nothing was added.
    Elsewhere,
}

/// A stream; it is dropped after any fault.
pub(super) struct Stream {
    redis: Redis,
    key: String,
    max_len: u64,
    mirror: Option<Mirror>,
}

impl Stream {
    /// Connects, within the time of one call.
    pub async fn open(address: Address, env: &RunnerEnv) -> Result<Self, String> {
        let Address { url, key, max_len, trusted, mirror } = address;
        let redis = Redis::open(&url, (!trusted).then_some(env)).await?;
        Ok(Stream { redis, key, max_len, mirror })
    }

    /// Writes what jobs and runs are now, where that is wanted.
    pub async fn mirror(&mut self, now: Now) -> Result<(), String> {
        match &mut self.mirror {
            Some(mirror) => mirror.follow(&mut self.redis, now).await,
            None => Ok(()),
        }
    }

    /// The last id of the stream; none: there is no stream.
    pub async fn last(&mut self) -> Result<Option<Place>, String> {
        let mut call = redis::cmd("EVAL");
        call.arg(LAST).arg(1).arg(&self.key);
        let last: String = self.redis.call(&call).await?;
        if last.is_empty() {
            return Ok(None);
        }
        let place = place(&last);
        place.map(Some).ok_or_else(|| format!("{} has the last id {last}: not ours", self.key))
    }

    /// Makes an empty stream that is at this place, unless there is one.
    pub async fn create(&mut self, at: Place) -> Result<(), String> {
        let mut call = redis::cmd("EVAL");
        call.arg(CREATE).arg(1).arg(&self.key).arg(id(at));
        self.redis.call::<i64>(&call).await.map(drop)
    }

    /// Adds lines behind `last`; from then on the stream is at `up_to`.
    pub async fn add(
        &mut self,
        last: Place,
        lines: &[Line],
        up_to: Place,
    ) -> Result<Added, String> {
        let mut call = redis::cmd("EVAL");
        call.arg(ADD).arg(1).arg(&self.key).arg(id(last)).arg(id(up_to)).arg(self.max_len);
        for line in lines {
            let fields = line.fields();
            call.arg(line.position.to_string()).arg(fields.len() * 2);
            for (name, value) in fields {
                call.arg(name).arg(value);
            }
        }
        let now: String = self.redis.call(&call).await?;
        Ok(if place(&now) == Some(up_to) { Added::All } else { Added::Elsewhere })
    }
}

fn id((index, sub): Place) -> String {
    format!("{index}-{sub}")
}

fn place(id: &str) -> Option<Place> {
    let (index, sub) = id.split_once('-')?;
    Some((index.parse().ok()?, sub.parse().ok()?))
}
