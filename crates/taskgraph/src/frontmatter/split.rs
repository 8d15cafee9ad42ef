//! Where front matter begins and ends. The search knows no YAML.

/// A text cut at its front-matter delimiters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The YAML between the delimiters, without the line break before the closing one.
    pub data: &'a str,
    /// That line break: LF, CRLF, or nothing when there is no data.
    pub data_break: &'a str,
    /// Line of the text on which `data` begins, counted from 1.
    pub data_line: usize,
    /// Everything after the closing line, byte for byte.
    pub body: &'a str,
}

/// Cuts `text` at its front-matter delimiters; none when it has no front matter.
///
/// One leading U+FEFF is dropped. The opening line may begin with spaces or tabs; both lines are
/// three dashes not followed by a fourth, and what else stands on them is ignored. The closing
/// line begins at column 0. Lines end in LF or CRLF; a CR alone is no line break.
///
/// ```
/// use alkhub_taskgraph::frontmatter::split;
///
/// let parts = split("---\nid: a\n---\n# Title\n").unwrap();
/// assert_eq!((parts.data, parts.body), ("id: a", "# Title\n"));
/// assert_eq!(split("# Title\n"), None);
/// ```
pub fn split(text: &str) -> Option<Parts<'_>> {
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let opening = text.trim_start_matches([' ', '\t']);
    if !is_delimiter(opening) {
        return None;
    }
    let (_, data_and_rest) = opening.split_once('\n')?;
    let mut at = 0;
    loop {
        let line = &data_and_rest[at..];
        if is_delimiter(line) {
            let lines = &data_and_rest[..at];
            let data = lines.strip_suffix('\n').unwrap_or(lines);
            let data = data.strip_suffix('\r').unwrap_or(data);
            let data_break = &lines[data.len()..];
            let body = line.split_once('\n').map_or("", |(_, body)| body);
            return Some(Parts {
                data,
                data_break,
                data_line: 2,
                body,
            });
        }
        at += line.find('\n')? + 1;
    }
}

/// Whether a line begins with exactly three dashes.
pub(super) fn is_delimiter(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| !rest.starts_with('-'))
}
