//! Output kept within a limit.

use std::collections::VecDeque;

/// What of a long output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::devenv) enum Keep {
    /// The begin.
    Head,
    /// The begin and the end, half each.
    Ends,
    /// The end.
    Tail,
}

/// Takes output and keeps at most `limit` bytes of it.
#[derive(Debug)]
pub(in crate::devenv) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    head_limit: usize,
    tail_limit: usize,
    left_out: u64,
}

impl Capture {
    pub(in crate::devenv) fn new(limit: usize, keep: Keep) -> Self {
        let head_limit = match keep {
            Keep::Head => limit,
            Keep::Ends => limit.div_ceil(2),
            Keep::Tail => 0,
        };
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            head_limit,
            tail_limit: limit - head_limit,
            left_out: 0,
        }
    }

    pub(in crate::devenv) fn push(&mut self, bytes: &[u8]) {
        let room = (self.head_limit - self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        // Of more than fits, only the end can stay.
        let kept = &rest[rest.len().saturating_sub(self.tail_limit)..];
        let pushed_out = (self.tail.len() + kept.len()).saturating_sub(self.tail_limit);
        self.tail.drain(..pushed_out);
        self.tail.extend(kept);
        self.left_out += (rest.len() - kept.len() + pushed_out) as u64;
    }

    /// True when something was left out.
    pub(in crate::devenv) fn truncated(&self) -> bool {
        self.left_out > 0
    }

    /// What was kept, as it came.
    pub(in crate::devenv) fn into_bytes(mut self) -> Vec<u8> {
        self.head.extend(self.tail);
        self.head
    }

    /// What was kept, as text; a line says where something is missing.
    pub(in crate::devenv) fn text(&self) -> String {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        if self.left_out == 0 {
            let whole = [self.head.as_slice(), tail.as_slice()].concat();
            return String::from_utf8_lossy(&whole).into_owned();
        }
        let head = String::from_utf8_lossy(&self.head);
        let tail = String::from_utf8_lossy(&tail);
        match (head.is_empty(), tail.is_empty()) {
            (true, _) => tail.into_owned(),
            (_, true) => head.into_owned(),
            _ => format!("{head}\n… {} bytes left out …\n{tail}", self.left_out),
        }
    }

    /// The last `most` bytes of what was kept, as text.
    pub(in crate::devenv) fn last(&self, most: usize) -> String {
        let skip = self.tail.len().saturating_sub(most);
        let bytes: Vec<u8> = self.tail.iter().skip(skip).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(limit: usize, keep: Keep, pieces: &[&str]) -> Capture {
        let mut capture = Capture::new(limit, keep);
        for piece in pieces {
            capture.push(piece.as_bytes());
        }
        capture
    }

    #[test]
    fn short_output_is_kept_whole_even_with_characters_across_the_middle() {
        let capture = captured(5, Keep::Ends, &["aaü", "b"]);
        assert!(!capture.truncated());
        assert_eq!(capture.text(), "aaüb");
    }

    #[test]
    fn long_output_keeps_both_ends_and_says_what_is_missing() {
        let capture = captured(6, Keep::Ends, &["abc", "defghi", "xyz"]);
        assert!(capture.truncated());
        assert_eq!(capture.text(), "abc\n… 6 bytes left out …\nxyz");
    }

    #[test]
    fn only_the_begin_or_only_the_end_may_be_kept() {
        assert_eq!(captured(3, Keep::Head, &["ab", "cd"]).into_bytes(), b"abc");
        let tail = captured(3, Keep::Tail, &["ab", "cd"]);
        assert_eq!((tail.text().as_str(), tail.last(1).as_str()), ("bcd", "d"));
    }
}
