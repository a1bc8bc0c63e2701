//! Where bytes may be cut without cutting a character. Bytes that are no UTF-8 may be cut anywhere.

/// Bytes of a character behind its first, at most.
const FOLLOW_MAX: usize = 3;

/// How many of `bytes` stand before a character that is not all there yet.
pub(super) fn whole_characters(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(FOLLOW_MAX);
    let Some(first) = bytes[from..].iter().rposition(|byte| !follows(*byte)) else {
        return bytes.len();
    };
    match std::str::from_utf8(&bytes[from + first..]) {
        Err(fault) if fault.error_len().is_none() => from + first + fault.valid_up_to(),
        _ => bytes.len(),
    }
}

/// The first place from `at` on where a character begins.
pub(super) fn character_start(bytes: &[u8], at: usize) -> usize {
    if at == 0 {
        return 0;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().take(FOLLOW_MAX).take_while(|byte| follows(**byte)).count()
}

fn follows(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_cut_nowhere() {
        for text in ["aé", "ü", "x€", "€", "a🦀", "🦀", "ok", ""] {
            let bytes = text.as_bytes();
            assert_eq!(whole_characters(bytes), bytes.len(), "{text}");
            for at in 0..bytes.len() {
                let before = text.char_indices().map(|(at, _)| at).filter(|start| *start <= at);
                let after = text.char_indices().map(|(at, _)| at).find(|start| *start >= at);
                assert_eq!(whole_characters(&bytes[..at]), before.max().unwrap_or(0), "{text}");
                assert_eq!(character_start(bytes, at), after.unwrap_or(bytes.len()), "{text}");
            }
        }
    }

    #[test]
    fn what_is_no_character_may_be_cut_anywhere() {
        for bytes in [&b"a\xff"[..], b"\x80\x80\x80\x80", b"\xe2\x28", b"\xc3\xa9\xa9", b"\xf8\x80"]
        {
            assert_eq!(whole_characters(bytes), bytes.len(), "{bytes:?}");
        }
        assert_eq!(whole_characters(b"\xe9"), 0, "it may be the beginning of one");
        assert_eq!(character_start(&[0x80; 9], 2), 5, "bounded");
    }
}
