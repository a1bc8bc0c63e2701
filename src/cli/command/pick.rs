//! What a word of the user means: a run by the beginning of its id, jobs by a tag; and commands
//! that do the same to several things.

use serde_json::Value;

use super::super::client::{Client, with_query};
use super::super::exit::{Code, Failure};
use super::get::{all, is_run};

/// Runs that are looked through for the beginning of an id, the newest.
const RUNS_LOOKED_AT: usize = 10_000;
/// Fewer would be a guess.
const PART_MIN: usize = 4;

/// Whether a word may be the beginning of the id of a run.
pub(super) fn is_part(word: &str) -> bool {
    (PART_MIN..36).contains(&word.len())
        && word.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The id of a run, of which its beginning is enough.
pub(super) async fn run_id(client: &Client, word: &str) -> Result<String, Failure> {
    if is_run(word) {
        return Ok(word.to_owned());
    }
    let list = format!("`cronapi runs {word}` lists the runs of a job with their ids");
    if !is_part(word) {
        return Err(Failure::usage(format!("{word} is not the id of a run")).advise(list));
    }
    let runs = all(client, "/runs", RUNS_LOOKED_AT).await?;
    let ids = runs["items"].as_array().into_iter().flatten().filter_map(|run| run["id"].as_str());
    let begins = word.to_ascii_lowercase();
    let found: Vec<&str> = ids.filter(|id| id.starts_with(&begins)).collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => {
            Err(Failure::new(Code::NotFound, format!("no run has an id that begins with {word}"))
                .advise("`cronapi runs` lists runs"))
        }
        several => {
            let some: Vec<&str> = several.iter().take(5).copied().collect();
            let text = format!("the ids of {} runs begin with {word}", several.len());
            Err(Failure::usage(text).advise(format!("such as {}", some.join(", "))))
        }
    }
}

/// The jobs that are named, and those that have all of the tags.
pub(super) async fn jobs(
    client: &Client,
    names: &[String],
    tags: &[String],
) -> Result<Vec<String>, Failure> {
    let mut found = names.to_vec();
    if !tags.is_empty() {
        let query: Vec<_> = tags.iter().map(|tag| ("tag", Some(tag.clone()))).collect();
        let known = all(client, &with_query("/jobs", &query), 0).await?;
        let known = known["items"].as_array().into_iter().flatten();
        found.extend(known.filter_map(|job| job["name"].as_str()).map(str::to_owned));
    }
    if found.is_empty() {
        let text = format!("no job has the tag {}", tags.join(" and "));
        return Err(Failure::new(Code::NotFound, text));
    }
    Ok(found)
}

/// What became of several things: each is tried, and every fault is told.
#[derive(Default)]
pub(super) struct Several {
    pub(super) done: Vec<Value>,
    failed: Vec<(String, Failure)>,
}

impl Several {
    pub(super) fn add(&mut self, what: &str, outcome: Result<Value, Failure>) {
        match outcome {
            Ok(value) => self.done.push(value),
            Err(failure) => self.failed.push((what.to_owned(), failure)),
        }
    }

    /// The failure, if there is one: of a single thing its own.
    pub(super) fn end(mut self) -> Result<u8, Failure> {
        if self.done.is_empty() && self.failed.len() == 1 {
            return Err(self.failed.remove(0).1);
        }
        let Some((_, first)) = self.failed.first() else { return Ok(0) };
        let (failed, all) = (self.failed.len(), self.failed.len() + self.done.len());
        let lines: Vec<String> =
            self.failed.iter().map(|(what, failure)| format!("\n  {what}: {failure}")).collect();
        let done = if failed == all { "" } else { "; the others are done" };
        let text = format!("{failed} of {all} failed{done}:{}", lines.concat());
        Err(Failure::new(first.code, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_is_no_name_of_a_job_by_chance() {
        for part in ["01a2", "01a207f4-", "01A207F4-1111-7abc"] {
            assert!(is_part(part), "{part}");
        }
        for other in ["01a", "backup", "01a207f41", "01a207f4-1111-7abc-8def-0123456789ab"] {
            assert!(!is_part(other), "{other}");
        }
    }
}
