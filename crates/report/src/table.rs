//! Tables for the terminal, Markdown and HTML.

use crate::text::{escape, one_line, width};
use std::fmt;

/// The alignment of a column's cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Left, for words.
    #[default]
    Left,
    /// Right, for numbers.
    Right,
}

/// A table that prints itself aligned (`println!("{table}")`) and becomes part of a [`Report`](crate::Report).
///
/// ```
/// use sparsevd_report::{Align, Table};
///
/// let mut table = Table::new([("method", Align::Left), ("error [%]", Align::Right)]);
/// table.row(["SparseVD", "1.82"]).row(["ARD", "11.9"]);
/// assert_eq!(table.to_string(), "\
/// method    error [%]
/// --------  ---------
/// SparseVD       1.82
/// ARD            11.9
/// ");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    header: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of these columns, with no rows yet.
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        let header = columns.into_iter().map(|(name, align)| (one_line(&name.into()), align)).collect();
        Self { header, rows: Vec::new() }
    }

    /// Adds a row. Missing cells stay blank, and cells beyond the last column get a column without a name. Line breaks
    /// become spaces.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) -> &mut Self {
        self.rows.push(cells.into_iter().map(|cell| one_line(&cell.into())).collect());
        self
    }

    /// The table in Markdown, with `|` escaped.
    ///
    /// ```
    /// # use sparsevd_report::{Align, Table};
    /// let mut table = Table::new([("method", Align::Left), ("|W|", Align::Right)]);
    /// assert_eq!(table.row(["ARD", "10"]).markdown(), "| method | \\|W\\| |\n|---|---|\n| ARD | 10 |\n");
    /// ```
    pub fn markdown(&self) -> String {
        let columns = self.columns();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let cells: Vec<String> = columns.iter().zip(cells).map(|(_, cell)| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let head = line(&mut columns.iter().map(|(name, ..)| *name));
        let rows = self.rows.iter().map(|row| line(&mut row.iter().map(String::as_str).chain(std::iter::repeat(""))));
        format!("{head}|{}\n{}", "---|".repeat(columns.len()), rows.collect::<String>())
    }

    /// Names, alignments and widths of all columns.
    fn columns(&self) -> Vec<(&str, Align, usize)> {
        let count = self.rows.iter().map(Vec::len).fold(self.header.len(), usize::max);
        let column = |i: usize| {
            let (name, align) = self.header.get(i).map_or(("", Align::Left), |(name, align)| (name, *align));
            let cells = self.rows.iter().filter_map(|row| row.get(i)).map(|cell| width(cell));
            (name, align, cells.fold(width(name), usize::max))
        };
        (0..count).map(column).collect()
    }

    /// `<table>` with escaped cells.
    pub(super) fn html(&self) -> String {
        let columns = self.columns();
        let cells = |tag: &str, row: &mut dyn Iterator<Item = &str>| -> String {
            let cell = |((_, align, _), text): (&(&str, Align, usize), &str)| {
                let class = if *align == Align::Right { " class=\"right\"" } else { "" };
                format!("<{tag}{class}>{}</{tag}>", escape(text))
            };
            format!("<tr>{}</tr>\n", columns.iter().zip(row).map(cell).collect::<String>())
        };
        let head = cells("th", &mut columns.iter().map(|(name, ..)| *name));
        let body = |row: &Vec<String>| cells("td", &mut row.iter().map(String::as_str).chain(std::iter::repeat("")));
        let body: String = self.rows.iter().map(body).collect();
        let hint = if columns.len() > 4 { "<p class=\"hint\">The table scrolls sideways →</p>\n" } else { "" };
        format!(
            "{hint}<div class=\"wide\" tabindex=\"0\"><table>\n<thead>{head}</thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
        )
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        let line = |f: &mut fmt::Formatter<'_>, row: &mut dyn Iterator<Item = &str>| {
            let mut text = String::new();
            for ((_, align, columns), cell) in columns.iter().zip(row) {
                let space = " ".repeat(columns - width(cell));
                match align {
                    Align::Left => text.extend([cell, &space, "  "]),
                    Align::Right => text.extend([&space, cell, "  "]),
                }
            }
            writeln!(f, "{}", text.trim_end())
        };
        line(f, &mut columns.iter().map(|(name, ..)| *name))?;
        let rules: Vec<String> = columns.iter().map(|(.., width)| "-".repeat(*width)).collect();
        line(f, &mut rules.iter().map(String::as_str))?;
        for row in &self.rows {
            line(f, &mut row.iter().map(String::as_str).chain(std::iter::repeat("")))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_and_combining_characters_stay_aligned() {
        let mut table = Table::new([("名", Align::Left), ("n", Align::Right)]);
        table.row(["e\u{301}", "1"]).row(["稀疏", "10"]);
        assert_eq!(table.to_string(), "名     n\n----  --\ne\u{301}      1\n稀疏  10\n");
    }

    #[test]
    fn short_and_long_rows_lose_nothing() {
        let mut table = Table::new([("a", Align::Left), ("b", Align::Right)]);
        table.row(["1"]).row(["1", "2", "three\nlines"]).row([] as [&str; 0]);
        assert_eq!(table.to_string(), "a  b\n-  -  -----------\n1\n1  2  three lines\n\n");
        assert_eq!(table.html().matches("<td").count(), 9);
        assert_eq!(Table::default().to_string(), "\n\n");
    }

    #[test]
    fn cells_are_escaped_and_numbers_stand_right() {
        let mut table = Table::new([("<th>", Align::Left), ("n", Align::Right)]);
        table.row(["a&b", "<1"]);
        let html = table.html();
        assert!(html.contains("<tr><th>&lt;th&gt;</th><th class=\"right\">n</th></tr>"), "{html}");
        assert!(html.contains("<tr><td>a&amp;b</td><td class=\"right\">&lt;1</td></tr>"), "{html}");
    }

    proptest! {
        #[test]
        fn every_line_fits_the_rule(rows in prop::collection::vec(prop::collection::vec("[a-z稀é ]{0,6}", 0..4), 0..5)) {
            let mut table = Table::new([("x", Align::Left), ("y", Align::Right)]);
            rows.into_iter().for_each(|row| { table.row(row); });
            let text = table.to_string();
            let rule = width(text.lines().nth(1).unwrap());
            prop_assert!(text.lines().all(|line| width(line) <= rule), "{text}");
        }
    }
}
