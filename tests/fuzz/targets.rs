//! What is fuzzed, and the right inputs that each begins with. A target answers whether the
//! input was taken.

use std::cell::Cell;
use std::path::Path;

use bytes::Bytes;
use cronapi::backup::{Decoder, Encoder, Header, Part};
use cronapi::machine::prepare::check;
use cronapi::machine::{Command, State};
use cronapi::model::limits::TEMPLATE_BYTES_MAX;
use cronapi::model::{DstGap, JobSpec, Timestamp, template};
use cronapi::schedule::{Definition, Schedule};
use cronapi::wire::{self, proto};
use prost::Message;
use serde_json::{Map, Value, json};

pub struct Target {
    pub name: &'static str,
    pub corpus: fn() -> Vec<Vec<u8>>,
    pub parse: fn(&[u8]) -> bool,
}

fn golden(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn encoded_batch() -> Bytes {
    let commands = golden("commands").into_iter().map(Bytes::from).collect();
    Bytes::from(proto::Batch { format: 1, commands }.encode_to_vec())
}

/// A record of the log: the version byte and a message.
pub fn record() -> Target {
    Target {
        name: "record",
        corpus: || {
            let install = proto::InstallPart::default();
            let rows = proto::HistoryRow { key: b"run/1".to_vec().into(), ..Default::default() };
            vec![wire::seal(&install).to_vec(), wire::seal(&rows).to_vec()]
        },
        parse: |bytes| {
            let bytes = Bytes::copy_from_slice(bytes);
            let install = wire::open::<proto::InstallPart>(bytes.clone()).is_ok();
            install | wire::open::<proto::HistoryRow>(bytes).is_ok()
        },
    }
}

/// A batch of commands, as the log and other nodes have it.
pub fn batch() -> Target {
    Target {
        name: "batch",
        corpus: || vec![encoded_batch().to_vec()],
        parse: |bytes| wire::Batch::decode(Bytes::copy_from_slice(bytes)).is_ok(),
    }
}

/// One command.
pub fn command() -> Target {
    Target {
        name: "command",
        corpus: || golden("commands"),
        parse: |bytes| rmp_serde::from_slice::<Command>(bytes).is_ok(),
    }
}

/// Whether no list or map says that it has more entries than there are bytes. A checkpoint is read
/// once its checksum fits; without one, the maps of the state take memory for what is said.
fn plausible(bytes: &[u8]) -> bool {
    let mut at = 0;
    while let Some(marker) = bytes.get(at) {
        let rest = &bytes[at + 1..];
        let number = |width: usize| {
            let digits = rest.get(..width).unwrap_or_default();
            digits.iter().fold(0usize, |sum, digit| (sum << 8) | usize::from(*digit))
        };
        at += match marker {
            0xdc | 0xde if number(2) > rest.len() => return false,
            0xdd | 0xdf if number(4) > rest.len() => return false,
            0xa0..=0xbf => 1 + usize::from(marker & 0x1f),
            0xc4 | 0xd9 => 2 + number(1),
            0xc5 | 0xda => 3 + number(2),
            0xc6 | 0xdb => 5 + number(4),
            0xc7 => 3 + number(1),
            0xc8 => 4 + number(2),
            0xc9 => 6 + number(4),
            0xcc | 0xd0 => 2,
            0xcd | 0xd1 | 0xd4 | 0xdc | 0xde => 3,
            0xd5 => 4,
            0xca | 0xce | 0xd2 | 0xdd | 0xdf => 5,
            0xd6 => 6,
            0xcb | 0xcf | 0xd3 => 9,
            0xd7 => 10,
            0xd8 => 18,
            _ => 1,
        };
    }
    true
}

/// The state, as a checkpoint has it.
pub fn state() -> Target {
    Target {
        name: "state",
        corpus: || golden("state"),
        parse: |bytes| plausible(bytes) && rmp_serde::from_slice::<State>(bytes).is_ok(),
    }
}

/// A template, filled in.
pub fn template() -> Target {
    Target {
        name: "template",
        corpus: || {
            let texts = [
                "{{params.x | json}} {{nominal_time-1d | date(\"%Y-%m-%d\", \"Europe/London\")}}",
                "{\"a\": \"{{ params.x.0 | default('}}') }}\", \"b\": {{job}}{{\"{{\"}}}",
            ];
            texts.iter().map(|text| text.as_bytes().to_vec()).collect()
        },
        parse: |bytes| {
            let text = String::from_utf8_lossy(bytes);
            assert!(template::ends(&text, &['/', '?']) <= text.len());
            let hole = template::has_hole(&text);
            let Ok(parsed) = template::parse(&text) else { return hole };
            let room = Cell::new(TEMPLATE_BYTES_MAX);
            let filled = parsed.fill(&room, |_, hole| {
                let run =
                    Run(json!({"x": ["\u{7f}\"x", {"y": null}], "at": "2026-01-01T00:00:00Z"}));
                Ok(hole.value(&run, false)?.text())
            });
            filled.is_ok_and(|filled| filled.len() <= TEMPLATE_BYTES_MAX)
        },
    }
}

struct Run(Value);

impl template::Values for Run {
    fn told(&self, _: &template::Source<'_>) -> String {
        "told".to_owned()
    }
    fn nominal_time(&self) -> Option<Timestamp> {
        Some(Timestamp::from_secs(1_767_225_600))
    }
    fn parameters(&self) -> &Value {
        &self.0
    }
}

/// A backup, pushed in pieces of several sizes.
pub fn backup() -> Target {
    Target {
        name: "backup",
        corpus: || {
            let header = Header::new("36cc0a57-ff17-42f7-8843-e9ae3549e0ad".into(), 7, 41);
            let (mut encoder, first) = Encoder::begin(&header, None).unwrap();
            let mut whole = first.to_vec();
            let row = proto::HistoryRow { key: b"run/1".to_vec().into(), ..Default::default() };
            for part in [Part::Checkpoint(encoded_batch()), Part::Rows(vec![row])] {
                whole.extend_from_slice(&encoder.part(part).unwrap());
            }
            whole.extend_from_slice(&encoder.end().unwrap());
            vec![whole]
        },
        parse: |bytes| {
            let size = 1 + bytes.len() % 977;
            let mut decoder = Decoder::new(None);
            bytes.chunks(size).all(|piece| decoder.push(piece).is_ok()) && decoder.finish().is_ok()
        },
    }
}

const EXPRESSIONS: [&str; 14] = [
    "*/5 * * * *",
    "30 2 * * 1-5",
    "*/15 9-17 * * MON-FRI",
    "0 0 13 * FRI",
    "*/10 * * * * *",
    "0 0 12 1 1 ? 2030",
    "0 18 L-3 * *",
    "0 8 * * MON#1,FRIL",
    "0 8 15W,LW * *",
    "H H(2-4) * * *",
    "@every 90s",
    "@at 2027-01-01T00:00:00Z",
    "@monthly",
    "1,2,3-9/2,10 * * JAN-MAR SUN",
];

/// Cron text; what is taken is also asked for its next times and described.
pub fn schedule() -> Target {
    Target {
        name: "schedule",
        corpus: || EXPRESSIONS.iter().map(|text| text.as_bytes().to_vec()).collect(),
        parse: |bytes| {
            let Ok(expr) = std::str::from_utf8(bytes) else { return false };
            let anchor = 1_800_000_000;
            let definition = Definition {
                name: "a",
                expr,
                timezone: "Europe/London",
                anchor,
                start_at: None,
                end_at: None,
                dst_gap: DstGap::default(),
                dst_fold: None,
            };
            let Ok(schedule) = Schedule::parse(&definition) else { return false };
            let times: Vec<i64> = schedule.upcoming(anchor).take(5).collect();
            assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{expr}: {times:?}");
            assert!(!schedule.describe().is_empty(), "{expr}");
            true
        },
    }
}

/// The definitions of docs/jobs.md as JSON; what is taken is written and read again.
pub fn definition() -> Target {
    Target {
        name: "definition",
        corpus: || {
            let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/jobs.md");
            let page = std::fs::read_to_string(page).unwrap();
            let blocks = page.split("```json\n").skip(1);
            blocks.map(|block| block.split("```").next().unwrap().as_bytes().to_vec()).collect()
        },
        parse: |bytes| {
            let Ok(map) = serde_json::from_slice::<Map<String, Value>>(bytes) else { return false };
            let Ok(spec) = JobSpec::from_map(map) else { return false };
            let again = JobSpec::from_map(spec.to_map());
            assert_eq!(again.as_ref(), Ok(&spec), "it reads otherwise than it was written");
            let now = Timestamp::parse("2026-06-01T12:00:00Z").unwrap();
            let _ = check(&spec, now, now);
            true
        },
    }
}
