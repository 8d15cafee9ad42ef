//! Texts of tasks inside other languages, and how much room they take.

use std::borrow::Cow;

/// Longest text in characters that is put into a drawing; ids and names have no limit of their
/// own.
const LONGEST: usize = 300;

/// A text for the inside of an SVG element or attribute.
pub(super) fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in shortened(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to write these at all.
            '\t' | '\n' => out.push(c),
            c if c.is_control() || matches!(c, '\u{FFFE}' | '\u{FFFF}') => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}

/// The inside of a quoted DOT id: different texts stay different.
pub(super) fn dot_id(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_dot(&mut out, text);
    out
}

/// The inside of a quoted DOT label.
pub(super) fn dot_label(text: &str) -> String {
    dot_id(&shortened(text))
}

fn push_dot(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            // Spelt out: as they are they could steer the terminal of a reader.
            c if c.is_control() => out.push_str(&format!("\\\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
}

/// The inside of a quoted Mermaid label, in which quotes, tags, entities and Markdown mean
/// something.
pub(super) fn mermaid(text: &str) -> String {
    if text.is_empty() {
        // An empty label is a syntax error.
        return " ".to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '&' => out.push_str("#amp;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '`' => out.push_str("#96;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// `text` on one line, cut with an ellipsis where it is wider than `width` pixels.
pub(super) fn fit(text: &str, width: f64, size: f64) -> String {
    let text = one_line(&shortened(text));
    if self::width(&text, size) <= width {
        return text;
    }
    let room = width - self::width("…", size);
    let mut used = 0.0;
    let mut cut: String = text
        .chars()
        .take_while(|c| {
            used += advance(*c) * size;
            used <= room
        })
        .collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// About how many pixels a text takes in a font of that size, rather too many than too few: the
/// font is the reader's.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(advance).sum::<f64>() * size
}

/// Width of a letter in parts of the font size.
fn advance(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | 'I' => 0.32,
        'f' | 't' | 'r' | ' ' | '(' | ')' | '[' | ']' | '/' | '-' => 0.42,
        'm' | 'w' | 'M' | 'W' | '@' | '%' | '—' => 0.98,
        'A'..='Z' | '…' | '→' => 0.74,
        // Scripts whose letters are as wide as high.
        '\u{1100}'..='\u{11FF}' | '\u{2E80}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}' => 1.05,
        '\u{FE30}'..='\u{FE6F}' | '\u{FF00}'..='\u{FF60}' | '\u{1F000}'..='\u{3FFFF}' => 1.05,
        _ => 0.63,
    }
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_becomes_markup() {
        assert_eq!(
            xml("<a href=\"x\">&'\u{0}\u{1b}"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;\u{FFFD}\u{FFFD}"
        );
        assert_eq!(dot_id("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
        assert_eq!(dot_id("\u{1b}[2J\u{0}"), "\\\\u001b[2J\\\\u0000");
        assert_eq!(mermaid("a\"<b>#1`\n"), "a#quot;#lt;b#gt;#35;1#96; ");
        assert_eq!(mermaid(""), " ");
    }

    #[test]
    fn texts_are_cut_where_there_is_no_room() {
        assert_eq!(fit("short", 100.0, 12.0), "short");
        let cut = fit("a text that is much too long for its box", 100.0, 12.0);
        assert!(cut.ends_with('…'), "{cut}");
        assert!(width(&cut, 12.0) <= 100.0, "{cut}");
        assert_eq!(fit("two\nlines", 100.0, 12.0), "two lines");
        assert!(xml(&"x".repeat(10_000)).len() < 400);
    }
}
