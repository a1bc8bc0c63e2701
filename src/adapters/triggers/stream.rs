//! The type `redis_stream`: entries after a place, as many as fit.

use super::entry::{parameters, too_large};
use crate::adapters::redis::Redis;
use crate::executor::runner::RunnerEnv;
use crate::machine::prepare::Given;
use crate::model::EntryId;
use crate::model::limits::{TRIGGER_BATCH_BYTES_MAX, TRIGGER_BATCH_MAX, TRIGGER_ENTRY_BYTES_MAX};

/// The last id of the stream, and entries from an id on. One that is too large is told by its size
/// alone: what whoever writes the stream puts in costs this node nothing.
const READ: &str = r"
if redis.call('EXISTS', KEYS[1]) == 0 then return {'', {}} end
local last = ''
local told = redis.call('XINFO', 'STREAM', KEYS[1])
for i = 1, #told, 2 do
  if told[i] == 'last-generated-id' then last = told[i + 1] end
end
local entries, all = {}, 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])) do
  local size = 0
  for _, part in ipairs(entry[2]) do size = size + #part end
  if size > tonumber(ARGV[3]) then
    entries[#entries + 1] = {entry[1], size, {}}
  else
    all = all + size
    if all > tonumber(ARGV[4]) then break end
    entries[#entries + 1] = {entry[1], 0, entry[2]}
  end
end
return {last, entries}
";

/// A stream; it is dropped after any fault.
pub(super) struct Stream {
    redis: Redis,
    key: String,
}

/// An entry as it comes: its id, its size if it is too large, and its fields.
type Raw = (String, u64, Vec<Vec<u8>>);

/// What was read.
pub(super) struct Read {
    /// The last id of the stream; none: there is no stream.
    pub last: Option<EntryId>,
    /// In order.
    pub entries: Vec<(EntryId, Given)>,
}

impl Stream {
    /// Connects, within the time of one call.
    pub async fn open(url: &str, key: &str, guard: Option<&RunnerEnv>) -> Result<Self, String> {
        Ok(Stream { redis: Redis::open(url, guard).await?, key: key.to_owned() })
    }

    /// Entries after `at`.
    pub async fn read(&mut self, at: EntryId) -> Result<Read, String> {
        let EntryId(millis, number) = at;
        let from = match number.checked_add(1) {
            Some(number) => EntryId(millis, number),
            None => EntryId(millis.saturating_add(1), 0),
        };
        let mut call = redis::cmd("EVAL");
        call.arg(READ).arg(1).arg(&self.key).arg(from.to_string());
        call.arg(TRIGGER_BATCH_MAX).arg(TRIGGER_ENTRY_BYTES_MAX).arg(TRIGGER_BATCH_BYTES_MAX);
        let (last, raw): (String, Vec<Raw>) = self.redis.call(&call).await?;
        let no_id = |id: &str| format!("{} has the id {id}, which is none", self.key);
        let id = |text: &str| EntryId::parse(text).ok_or_else(|| no_id(text));
        let entries = raw.into_iter().map(|(text, size, fields)| {
            let given = if size > 0 { too_large(size) } else { parameters(&fields) };
            Ok((id(&text)?, given))
        });
        let entries = entries.collect::<Result<_, String>>()?;
        let last = if last.is_empty() { None } else { Some(id(&last)?) };
        Ok(Read { last, entries })
    }
}
