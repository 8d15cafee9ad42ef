//! Bytes that come in pieces, as text.

/// Turns pieces of bytes into text: a character cut in two waits for its other half, and what is no
/// UTF-8 is replaced.
#[derive(Debug, Default)]
pub(in crate::devenv) struct TextChunks {
    waiting: Vec<u8>,
}

impl TextChunks {
    /// The text of the next piece, as far as it can be told yet.
    pub(in crate::devenv) fn push(&mut self, bytes: &[u8]) -> String {
        self.waiting.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.waiting.as_slice();
        while !rest.is_empty() {
            match std::str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    rest = &[];
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(good));
                    let Some(length) = error.error_len() else {
                        rest = bad;
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &bad[length..];
                }
            }
        }
        self.waiting = rest.to_vec();
        text
    }

    /// What still waits when nothing comes any more.
    pub(in crate::devenv) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.waiting);
        String::from_utf8_lossy(&rest).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_cut_in_two_is_put_together() {
        let mut chunks = TextChunks::default();
        assert_eq!(chunks.push(b"a\xc3"), "a");
        assert_eq!(chunks.push(b"\xbcb"), "üb");
        assert_eq!(chunks.finish(), "");
    }

    #[test]
    fn what_is_no_text_is_replaced() {
        let mut chunks = TextChunks::default();
        assert_eq!(chunks.push(b"a\xffb\xe2\x82"), "a\u{fffd}b");
        assert_eq!(chunks.finish(), "\u{fffd}");
    }
}
