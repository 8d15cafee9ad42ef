//! How far lines within quotes and flow collections must be indented.
//!
//! More than the block around them, counted in spaces. One thing is allowed beyond that, since
//! it is so common: the closing bracket of the outermost flow collection may stand in the column
//! of the block.

use granit_parser::Span;

use super::Error;

/// Refuses a tab before the first key of a block mapping.
pub(super) fn check_first_key(text: &str, key: &Span) -> Result<(), Error> {
    let start = key.start.byte_offset().unwrap_or_default();
    let before = text.get(..start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    if line.contains('\t') {
        return Err(Error {
            message: "tabs are not allowed as indentation".to_owned(),
            line: key.start.line(),
        });
    }
    Ok(())
}

/// Checks the lines of a quoted scalar that stands in a block of column `indent`.
pub(super) fn check_quoted(text: &str, span: &Span, indent: Option<usize>) -> Result<(), Error> {
    let Some(range) = span.byte_range() else {
        return Ok(());
    };
    check(
        (text, range.start, range.end, span.start.line()),
        indent,
        |line, _| line.is_empty(),
    )
}

/// Checks the lines of an outermost flow collection, given as first byte, end and first line,
/// that stands in a block of column `indent`.
pub(super) fn check_flow(
    text: &str,
    (start, end, line): (usize, usize, usize),
    indent: Option<usize>,
) -> Result<(), Error> {
    check((text, start, end, line), indent, |line, spaces| {
        let line = line.trim_start_matches('\t');
        // What follows the end of the collection is cut off, so this bracket is the last.
        let closes = matches!(line, "]" | "}") && Some(spaces) == indent;
        line.is_empty() || line.starts_with('#') || closes
    })
}

/// Checks all lines but the first; `is_free` tells of a line without its leading spaces, and
/// their number, whether its column does not matter.
fn check(
    (text, start, end, first_line): (&str, usize, usize, usize),
    indent: Option<usize>,
    is_free: impl Fn(&str, usize) -> bool,
) -> Result<(), Error> {
    let Some(indent) = indent else {
        return Ok(());
    };
    let lines = text
        .get(start..end)
        .unwrap_or_default()
        .split('\n')
        .enumerate()
        .skip(1);
    for (number, line) in lines {
        let content = line.trim_start_matches(' ');
        let spaces = line.len() - content.len();
        let content = content.strip_suffix('\r').unwrap_or(content);
        if spaces <= indent && !is_free(content, spaces) {
            return Err(Error {
                message: "a line is indented too little".to_owned(),
                line: first_line + number,
            });
        }
    }
    Ok(())
}
