//! The mark that parts the text of a task: what its author wrote before it, notes behind it.
//!
//! Notes are appended while work goes on. Imports, exports and comparisons look only at what stands
//! before the mark, so that a file that knows nothing of the notes never removes them.

/// The line behind which notes stand.
pub(super) const MARK: &str = "<!-- notes -->";

/// The authored part of a body, and the rest from the line break before the mark on.
pub(super) fn split(body: &str) -> (&str, &str) {
    let mut start = 0;
    for line in body.split_inclusive('\n') {
        if line.trim_end() == MARK {
            // The break before the mark belongs to the mark: appending a note to a text that does
            // not end in a break must not change that text.
            let authored = &body[..start];
            let authored = authored.strip_suffix('\n').unwrap_or(authored);
            let authored = authored.strip_suffix('\r').unwrap_or(authored);
            return body.split_at(authored.len());
        }
        start += line.len();
    }
    (body, "")
}

/// The stored body with another authored part: the notes stay.
pub(super) fn replace_authored(stored: &str, authored: &str) -> String {
    let (_, notes) = split(stored);
    let needs_break = !notes.is_empty() && !notes.starts_with(['\n', '\r']) && !authored.is_empty();
    let between = if needs_break { "\n" } else { "" };
    format!("{authored}{between}{notes}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_begin_at_the_break_before_the_mark() {
        assert_eq!(
            split("text\n\n<!-- notes -->\nfirst\n"),
            ("text\n", "\n<!-- notes -->\nfirst\n")
        );
        assert_eq!(
            split("<!-- notes -->\nfirst"),
            ("", "<!-- notes -->\nfirst")
        );
        assert_eq!(
            split("a\r\n<!-- notes -->\r\nb"),
            ("a", "\r\n<!-- notes -->\r\nb")
        );
        assert_eq!(split("a <!-- notes --> b\n"), ("a <!-- notes --> b\n", ""));
        assert_eq!(split(""), ("", ""));
    }

    #[test]
    fn another_text_keeps_the_notes() {
        for stored in [
            "old\n<!-- notes -->\nn",
            "<!-- notes -->\nn",
            "\n<!-- notes -->\nn",
        ] {
            for authored in ["", "new", "new\n", "new\r\n"] {
                let replaced = replace_authored(stored, authored);
                assert!(replaced.ends_with("<!-- notes -->\nn"), "{replaced:?}");
                assert_eq!(split(&replaced).0, authored, "{stored:?}");
            }
        }
        assert_eq!(replace_authored("old", "new"), "new");
    }
}
