//! What jobs say themselves: a line at the start and one at the end of every attempt, in a
//! file that the daemon does not know of.
//!
//! ```text
//! run_id attempt fence nominal trigger node generation start|end micros
//! ```
//!
//! Each line is one write to a file opened for appending, so lines of attempts that overlap
//! do not mix. `generation` names the edit of the definition that the attempt carries; what
//! is not told to an attempt is `-`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::moment::Moment;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The job's name.
    pub job: String,
    /// The run's id.
    pub run: String,
    /// The attempt's number.
    pub attempt: u32,
    /// Its fencing token.
    pub fence: u64,
    /// The nominal time it was told.
    pub nominal: Option<Moment>,
    /// The trigger it was told.
    pub trigger: Option<String>,
    /// The node it was told that it runs on.
    pub node: Option<String>,
    /// The edit of the definition it carries.
    pub generation: u32,
    /// Whether this is the end, and not the start.
    pub end: bool,
    /// When.
    pub at: Moment,
}

impl Mark {
    /// The line, without its end.
    pub fn line(&self) -> String {
        let nominal = self.nominal.map_or("-".to_string(), |time| time.to_string());
        let trigger = self.trigger.as_deref().unwrap_or("-");
        let node = self.node.as_deref().unwrap_or("-");
        let word = if self.end { "end" } else { "start" };
        format!(
            "{} {} {} {nominal} {trigger} {node} {} {word} {}",
            self.run, self.attempt, self.fence, self.generation, self.at.0
        )
    }

    /// Reads a line of the file of `job`.
    pub fn parse(job: &str, line: &str) -> Option<Mark> {
        let words: Vec<&str> = line.split(' ').collect();
        let [run, attempt, fence, nominal, trigger, node, generation, word, at] = words[..] else {
            return None;
        };
        Some(Mark {
            job: job.to_string(),
            run: run.to_string(),
            attempt: attempt.parse().ok()?,
            fence: fence.parse().ok()?,
            nominal: match nominal {
                "-" => None,
                text => Some(Moment::parse(text)?),
            },
            trigger: Some(trigger.to_string()).filter(|text| text != "-"),
            node: Some(node.to_string()).filter(|text| text != "-"),
            generation: generation.parse().ok()?,
            end: match word {
                "start" => false,
                "end" => true,
                _ => return None,
            },
            at: Moment(at.parse().ok()?),
        })
    }
}

/// The file of a job.
pub fn file(folder: &Path, job: &str) -> PathBuf {
    folder.join(format!("{job}.log"))
}

/// Appends a line in one write.
///
/// # Errors
/// The file can't be written.
pub fn append(folder: &Path, mark: &Mark) -> io::Result<()> {
    let path = file(folder, &mark.job);
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{}\n", mark.line()).as_bytes())
}

/// What a folder of files holds.
#[derive(Debug, Default)]
pub struct Witness {
    /// All lines, in order of time.
    pub marks: Vec<Mark>,
    /// Lines that can't be read, with their file.
    pub unreadable: Vec<String>,
}

/// Reads all files of a folder.
///
/// # Errors
/// A file can't be read.
pub fn read(folder: &Path) -> io::Result<Witness> {
    let mut witness = Witness::default();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(job) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        for line in fs::read_to_string(&path)?.lines() {
            match Mark::parse(job, line) {
                Some(mark) => witness.marks.push(mark),
                None => witness.unreadable.push(format!("{}: {line}", path.display())),
            }
        }
    }
    witness.marks.sort_by_key(|mark| mark.at);
    Ok(witness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_round_and_torn_ones_show() {
        let folder = tempfile::tempdir().unwrap();
        let mark = Mark {
            job: "a.b".into(),
            run: "0190".into(),
            attempt: 2,
            fence: 77,
            nominal: Some(Moment::secs(1_800_000_000)),
            trigger: None,
            node: Some("n-1".into()),
            generation: 3,
            end: true,
            at: Moment(1_800_000_000_123_456),
        };
        append(folder.path(), &mark).unwrap();
        fs::write(file(folder.path(), "torn"), "0190 1 7 2027-").unwrap();
        let witness = read(folder.path()).unwrap();
        assert_eq!(witness.marks, [mark]);
        assert_eq!(witness.unreadable.len(), 1);
    }
}
