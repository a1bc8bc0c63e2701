//! Percent-encoding, read.

/// The bytes that percent-encoding stands for; what is none stays as it is.
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let (bytes, mut at) = (text.as_bytes(), 0);
    let mut decoded = Vec::with_capacity(bytes.len());
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *byte == b'%') {
            Some(meant) => {
                decoded.push(meant);
                at += 3;
            }
            None => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::template::percent_encode;

    #[test]
    fn there_and_back() {
        assert_eq!(percent_encode("a/b?c=é."), "a%2Fb%3Fc%3D%C3%A9.");
        assert_eq!(percent_decode("a%2Fb%3Fc%3D%C3%A9."), "a/b?c=é.".as_bytes());
        assert_eq!(percent_decode("%, %zz, %2"), b"%, %zz, %2");
    }
}
