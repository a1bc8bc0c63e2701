use super::*;

/// Characters of one to four bytes, with few lines.
fn text() -> String {
    (0..400).map(|n| format!("aé€🦀ψ{}", if n % 9 == 0 { "\n" } else { "" })).collect()
}

/// What is kept of `text` on stdout, and of the same on stderr, fed in pieces of `step` bytes.
fn kept(text: &[u8], step: usize, output_max: usize, flush_every: usize) -> Vec<Chunk> {
    let mut capture = Capture::new(|| 0, output_max, &Masker::default());
    for (n, piece) in text.chunks(step).enumerate() {
        capture.feed(LogStream::Stdout, piece);
        capture.feed(LogStream::Stderr, piece);
        if n % flush_every == 0 {
            capture.flush();
        }
    }
    capture.finish();
    std::iter::from_fn(|| capture.next_ready()).flatten().collect()
}

fn of(chunks: &[Chunk], stream: LogStream) -> Vec<u8> {
    let of = chunks.iter().filter(|chunk| chunk.stream == stream);
    of.flat_map(|chunk| chunk.bytes.to_vec()).collect()
}

#[test]
fn no_character_is_cut_wherever_its_bytes_are() {
    let text = text();
    for step in [1, 2, 3, 5, 7, 1000, 100_000] {
        for output_max in (0..40).chain([2_001, 2_002, 2_003, 2_004, 1 << 20]) {
            for flush_every in [1, 3, 1_000_000] {
                let chunks = kept(text.as_bytes(), step, output_max, flush_every);
                for chunk in &chunks {
                    let whole = std::str::from_utf8(&chunk.bytes).is_ok();
                    assert!(whole, "{step} {output_max} {flush_every} {chunk:?}");
                }
                if output_max == 1 << 20 {
                    assert_eq!(of(&chunks, LogStream::Stdout), text.as_bytes());
                    assert_eq!(of(&chunks, LogStream::Stderr), text.as_bytes());
                }
            }
        }
    }
}

#[test]
fn a_line_without_end_is_cut_between_characters_at_every_length() {
    for shift in 0..4 {
        let text = format!("{}{}", "x".repeat(shift), "€".repeat(20_000));
        for step in [1_000, 16 * 1024, 64 * 1024] {
            let chunks = kept(text.as_bytes(), step, 1 << 20, 1_000_000);
            assert!(chunks.iter().all(|chunk| std::str::from_utf8(&chunk.bytes).is_ok()));
            assert_eq!(of(&chunks, LogStream::Stdout), text.as_bytes());
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_kept_as_they_are() {
    let bytes: Vec<u8> = (0..=255).rev().chain([0xc3]).chain(0..=255).chain([0xe2, 0x82]).collect();
    for step in 1..9 {
        let chunks = kept(&bytes, step, 1 << 20, 2);
        assert_eq!(of(&chunks, LogStream::Stdout), bytes, "{step}");
        assert_eq!(of(&chunks, LogStream::Stderr), bytes, "{step}");
    }
}

#[test]
fn what_is_left_out_is_counted_to_the_byte() {
    let text = text();
    for output_max in [0, 1, 7, 100, 101, 102, 103, 1_000] {
        let chunks = kept(text.as_bytes(), 10, output_max, 4);
        let bytes = of(&chunks, LogStream::Stdout).len() + of(&chunks, LogStream::Stderr).len();
        let note = String::from_utf8(of(&chunks, LogStream::System)).unwrap();
        assert!(bytes <= output_max);
        assert_eq!(note, format!("… {} bytes left out …\n", 2 * text.len() - bytes));
    }
}
