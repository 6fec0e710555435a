//! Text for HTML, SVG and the terminal.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` as the content or attribute of an element. Characters that XML forbids become a space.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The number of columns of `text` in a terminal: 2 for wide characters, 0 for combining ones.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` in one line: line breaks and other control characters become spaces.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// `text` in at most `columns` columns, with an ellipsis at the end if it was cut.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_string();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let w = c.width().unwrap_or(0);
        let fits = w <= left;
        left = left.saturating_sub(w);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// Lines of whole words, each at most `columns` wide; a longer word has a line of its own.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut().filter(|line| width(line) + 1 + width(word) <= columns) {
            Some(line) => line.extend([" ", word]),
            None => lines.push(word.into()),
        }
    }
    lines
}

/// A number with its digits in groups of three: `235,200`.
pub(crate) fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let comma =
        |(i, c): (usize, char)| if i > 0 && (digits.len() - i).is_multiple_of(3) { vec![',', c] } else { vec![c] };
    digits.chars().enumerate().flat_map(comma).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_escaped() {
        assert_eq!(escape("<a href=\"x\">&'\u{0}é"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39; é");
    }

    #[test]
    fn width_counts_columns_not_bytes() {
        assert_eq!(["abc", "é", "e\u{301}", "稀疏", "α²", ""].map(width), [3, 1, 1, 4, 2, 0]);
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 235_200, 1_234_567].map(grouped), ["0", "999", "1,000", "235,200", "1,234,567"]);
    }

    #[test]
    fn shortened_text_fits() {
        assert_eq!(shorten("sparse", 6), "sparse");
        assert_eq!(shorten("sparse", 4), "spa…");
        assert_eq!(shorten("稀疏稀疏", 4), "稀…"); // the second would need columns 3 and 4, the ellipsis one of them
        assert_eq!(one_line("a\r\nb\tc"), "a  b c");
        assert_eq!(wrapped("weights kept per input pixel", 12), ["weights kept", "per input", "pixel"]);
    }
}
