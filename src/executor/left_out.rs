//! Output that there is no room for: counted, and told where it would have stood.

use crate::machine::command::OutputChunk;
use crate::model::{LogStream, Timestamp};

/// What was left out since it was last told. Once it is told, a new one begins.
#[derive(Default)]
pub(super) struct LeftOut {
    bytes: usize,
    /// Where the last of it would have stood.
    last: Option<(u32, Timestamp)>,
}

impl LeftOut {
    /// Counts chunks that are not kept.
    pub fn add(&mut self, chunks: &[OutputChunk]) {
        self.bytes += chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
        if let Some(last) = chunks.last() {
            self.last = Some((last.seq, last.at));
        }
    }

    /// The chunks that are kept again, behind a line that tells of it.
    pub fn tell(&self, chunks: &[OutputChunk]) -> Vec<OutputChunk> {
        let told = self.last.map(|(seq, at)| {
            let text = format!("… {} bytes left out: no room for more output …\n", self.bytes);
            OutputChunk { seq, stream: LogStream::System, at, bytes: text.into_bytes() }
        });
        told.into_iter().chain(chunks.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(seq: u32, text: &str) -> OutputChunk {
        OutputChunk {
            seq,
            stream: LogStream::Stdout,
            at: Timestamp::ZERO,
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn what_is_left_out_is_told_in_its_place() {
        let mut left_out = LeftOut::default();
        assert_eq!(left_out.tell(&[chunk(0, "a")]).len(), 1, "nothing to tell");
        left_out.add(&[chunk(1, "four"), chunk(2, "four")]);
        left_out.add(&[chunk(3, "four")]);
        let kept = left_out.tell(&[chunk(4, "b")]);
        assert_eq!(kept.iter().map(|chunk| chunk.seq).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(kept[0].stream, LogStream::System);
        assert!(String::from_utf8_lossy(&kept[0].bytes).contains("12 bytes left out"));
    }
}
