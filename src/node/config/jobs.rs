//! The settings that concern what jobs run in.

use std::path::PathBuf;
use std::time::Duration;

use crate::executor::runner::Limits;
use crate::executor::runner::isolation::{Mode, Options};
use crate::executor::runner::limits::PROCESSES_MAX_DEFAULT;
use crate::model::Span;

use super::sources::{CREDENTIALS, Sources};

/// What jobs run in.
#[derive(Clone, Debug, Default)]
pub struct JobSettings {
    /// What keeps them from the daemon and from each other.
    pub isolation: Options,
    /// What each attempt may use at most.
    pub limits: Limits,
}

impl Sources<'_> {
    pub(super) fn jobs(&mut self) -> JobSettings {
        let mode = self.read("isolation", |text| {
            let known = [Mode::Require, Mode::BestEffort, Mode::Off];
            let found = known.into_iter().find(|mode| mode.as_str() == text);
            found.ok_or_else(|| format!("{text:?} is none of require, best-effort and off"))
        });
        let user = self.get("job_user");
        let limits = self.read("limits", read_limits);
        if let Some(folder) = (self.env)(CREDENTIALS).filter(|text| !text.is_empty()) {
            self.kept.push(PathBuf::from(folder));
        }
        let keep = std::mem::take(&mut self.kept);
        let user = user.map(|(name, _)| name);
        JobSettings { isolation: Options { mode, keep, user }, limits }
    }
}

/// `memory=2GiB,processes=200,open_files=1024,file_size=1GiB,cpu=1h,cpus=1.5`; `none` takes a
/// bound away.
fn read_limits(text: &str) -> Result<Limits, String> {
    let mut limits = Limits {
        memory: memory_of_machine().map(|all| all / 10 * 9),
        processes: Some(PROCESSES_MAX_DEFAULT),
        ..Limits::default()
    };
    for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let Some((name, value)) = item.split_once('=') else {
            return Err(format!("{item:?} is not a limit such as memory=2GiB"));
        };
        let value = Some(value.trim()).filter(|value| *value != "none");
        let number = |value: &str| value.parse().map_err(|_| format!("{item:?}: not a number"));
        match name.trim() {
            "memory" => limits.memory = value.map(bytes).transpose()?,
            "file_size" => limits.file_size = value.map(bytes).transpose()?,
            "open_files" => limits.open_files = value.map(number).transpose()?.map(u64::from),
            "processes" => limits.processes = value.map(number).transpose()?,
            "cpu" => limits.cpu = value.map(seconds).transpose()?,
            "cpus" => limits.cpus = value.map(processors).transpose()?,
            other => {
                return Err(format!(
                    "{other:?} is none of memory, processes, open_files, file_size, cpu and cpus"
                ));
            }
        }
    }
    Ok(limits)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let span = Span::parse(text)?.std();
    if span < Duration::from_secs(1) { Err(format!("{text}: under 1s")) } else { Ok(span) }
}

/// `1.5` in thousandths.
fn processors(text: &str) -> Result<u32, String> {
    let refuse = || format!("{text:?} is not a number of processors such as 1.5");
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return Err(refuse());
    }
    let whole: u32 = whole.parse().map_err(|_| refuse())?;
    let part: u32 = format!("{part:0<3}").parse().map_err(|_| refuse())?;
    let all = whole.checked_mul(1_000).and_then(|all| all.checked_add(part));
    // The system counts in hundredths at the least.
    all.filter(|all| *all >= 10).ok_or_else(refuse)
}

fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err(format!("{text:?} is not a size such as 512MiB")),
    };
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(1 << shift)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| format!("{text:?} is not a size such as 512MiB"))
}

/// What the machine has, in bytes.
fn memory_of_machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_with_their_units() {
        let all = "memory=2GiB, processes=9,open_files=64,file_size=10KiB,cpu=1m30s";
        let limits = read_limits(all).unwrap();
        assert_eq!(limits.memory, Some(2 << 30));
        assert_eq!((limits.processes, limits.open_files), (Some(9), Some(64)));
        assert_eq!(limits.file_size, Some(10_240));
        assert_eq!(limits.cpu, Some(Duration::from_secs(90)));
        for (text, cpus) in [("2", 2_000), ("1.5", 1_500), ("0.01", 10), ("0.125", 125)] {
            assert_eq!(read_limits(&format!("cpus={text}")).unwrap().cpus, Some(cpus), "{text}");
        }
        let none = read_limits("memory=none,processes=none").unwrap();
        assert_eq!(none, Limits::default());
        assert!(read_limits("").unwrap().memory.is_some(), "a machine has memory");
        for bad in [
            "memory",
            "memory=2GB",
            "disk=1GiB",
            "cpu=10ms",
            "memory=0",
            "processes=x",
            "cpus=0",
            "cpus=.5",
            "cpus=1.",
            "cpus=1.2345",
            "cpus=-1",
            "cpus=9999999999",
        ] {
            assert!(read_limits(bad).is_err(), "{bad}");
        }
    }
}
