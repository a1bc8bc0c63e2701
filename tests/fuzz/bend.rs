//! Changes right inputs, the same way for the same seed.

/// Values that parsers of lengths and counts stumble over.
const NUMBERS: [u32; 8] = [0, 1, 0x7f, 0x80, 0xff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
/// An input grows no longer.
const BYTES_MAX: usize = 256 * 1024;

pub struct Bender {
    state: u64,
    corpus: Vec<Vec<u8>>,
}

impl Bender {
    pub fn new(seed: u64, corpus: Vec<Vec<u8>>) -> Self {
        Bender { state: seed | 1, corpus }
    }

    /// Below `bound`, which is not 0 (xorshift64*).
    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let mixed = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d);
        usize::try_from(mixed >> 33).unwrap_or(0) % bound
    }

    pub fn bent(&mut self) -> Vec<u8> {
        let pick = self.below(self.corpus.len());
        let mut input = self.corpus[pick].clone();
        for _ in 0..=self.below(6) {
            self.bend(&mut input);
        }
        input.truncate(BYTES_MAX);
        input
    }

    fn bend(&mut self, input: &mut Vec<u8>) {
        if input.is_empty() {
            input.push(u8::try_from(self.below(256)).unwrap());
            return;
        }
        let at = self.below(input.len());
        let long = 1 + self.below(16.min(input.len()));
        let end = (at + long).min(input.len());
        match self.below(8) {
            0 => input[at] ^= 1 << self.below(8),
            1 => input[at] = u8::try_from(self.below(256)).unwrap(),
            2 => input.truncate(at),
            3 => drop(input.drain(at..end)),
            4 => {
                let copy = input[at..end].to_vec();
                let to = self.below(input.len());
                input.splice(to..to, copy);
            }
            5 => {
                let number = NUMBERS[self.below(NUMBERS.len())];
                let bytes =
                    if self.below(2) == 0 { number.to_le_bytes() } else { number.to_be_bytes() };
                let end = (at + 4).min(input.len());
                input.splice(at..end, bytes);
            }
            6 => {
                // The end of another input.
                let pick = self.below(self.corpus.len());
                let from = self.below(self.corpus[pick].len().max(1));
                input.truncate(at);
                input.extend_from_slice(&self.corpus[pick][from..]);
            }
            _ => {
                let bytes: Vec<u8> =
                    (0..long).map(|_| u8::try_from(self.below(256)).unwrap()).collect();
                input.splice(at..at, bytes);
            }
        }
    }
}
