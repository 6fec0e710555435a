//! Results on one HTML page.
//!
//! A [`Report`] is a single HTML file with everything inside it. It opens offline, has a light and a dark mode, and can
//! be printed. A [`Table`] is the same table in the terminal and on the page.

use std::path::{Path, PathBuf};

use sparsevd_infer::file;

use crate::plots::Figure;
use crate::table::Table;
use crate::text::escape;

/// An error in writing a report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A figure that is not SVG, or that contains a script.
    #[error("figure `{caption}` is not plain SVG: {reason}; pass the text that a function of `plots` returned")]
    Figure {
        /// The figure's caption.
        caption: String,
        /// The reason.
        reason: &'static str,
    },
    /// The file could not be written. An earlier file of that name is intact.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
}

/// A page of text, tables, figures and data, in the order in which they were added.
///
/// ```
/// use sparsevd_report::{Align, Report, Table};
///
/// let mut table = Table::new([("method", Align::Left), ("error [%]", Align::Right)]);
/// table.row(["SparseVD", "1.82"]);
///
/// let dir = tempfile::tempdir()?;
/// Report::new("Ablation")
///     .heading("Test error")
///     .text("Mean of three seeds.")
///     .table(&table)
///     .json("settings", &serde_json::json!({ "epochs": 30 }))
///     .write(dir.path().join("report.html"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    title: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Heading(String),
    Text(String),
    Table(Table),
    Terms(Vec<(String, String)>),
    Figure { figure: Figure, caption: String },
    Json { name: String, value: serde_json::Value },
}

impl Report {
    /// An empty page with a title.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), parts: Vec::new() }
    }

    /// Adds a heading.
    pub fn heading(&mut self, text: impl Into<String>) -> &mut Self {
        self.add(Part::Heading(text.into()))
    }

    /// Adds text; a blank line begins a new paragraph.
    pub fn text(&mut self, text: impl Into<String>) -> &mut Self {
        self.add(Part::Text(text.into()))
    }

    /// Adds a table.
    pub fn table(&mut self, table: &Table) -> &mut Self {
        self.add(Part::Table(table.clone()))
    }

    /// Adds names with their meanings or values: the legend of a table, the settings of a run.
    pub fn terms<K: Into<String>, V: Into<String>>(&mut self, terms: impl IntoIterator<Item = (K, V)>) -> &mut Self {
        self.add(Part::Terms(terms.into_iter().map(|(name, meaning)| (name.into(), meaning.into())).collect()))
    }

    /// Adds a figure with its caption: one of [`plots`](crate::plots), or any SVG text.
    pub fn figure(&mut self, figure: impl Into<Figure>, caption: impl Into<String>) -> &mut Self {
        self.add(Part::Figure { figure: figure.into(), caption: caption.into() })
    }

    /// Adds data, collapsed under its name: settings, or all the numbers of a figure.
    pub fn json(&mut self, name: impl Into<String>, value: &serde_json::Value) -> &mut Self {
        self.add(Part::Json { name: name.into(), value: value.clone() })
    }

    fn add(&mut self, part: Part) -> &mut Self {
        self.parts.push(part);
        self
    }

    /// The page as HTML text.
    ///
    /// It fits a screen of 360 pixels or more: figures of [`plots`](crate::plots) are in it at both of their widths,
    /// and wide tables scroll. Everything but the figures is escaped, and a content security policy forbids the page to
    /// load or to run anything.
    ///
    /// # Errors
    /// [`ReportError::Figure`] if a figure is not SVG.
    pub fn html(&self) -> Result<String, ReportError> {
        let title = escape(&self.title);
        let mut html = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <title>{title}</title>\n<style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n",
            include_str!("style.css")
        );
        for part in &self.parts {
            html.push_str(&part.html()?);
        }
        html.push_str("</body>\n</html>\n");
        Ok(html)
    }

    /// Writes the page to one file, and creates its folder if needed.
    ///
    /// The write is atomic, by a new file that is renamed: a reader never sees an incomplete page, and if writing
    /// fails, an earlier page stays.
    ///
    /// # Errors
    /// [`ReportError::Figure`] or [`ReportError::Write`].
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        let path = path.as_ref();
        let html = self.html()?;
        file::replace(path, html.as_bytes()).map_err(|source| ReportError::Write { path: path.into(), source })
    }
}

/// Writes results as JSON, atomically like [`Report::write`].
///
/// # Errors
/// [`ReportError::Write`].
pub fn write_json(path: impl AsRef<Path>, results: &impl serde::Serialize) -> Result<(), ReportError> {
    let path = path.as_ref();
    let write = || -> std::io::Result<()> {
        let mut text = serde_json::to_vec_pretty(results)?;
        text.push(b'\n');
        file::replace(path, &text)
    };
    write().map_err(|source| ReportError::Write { path: path.into(), source })
}

/// Writes a figure, such as [`Figure::wide`], as an SVG file, atomically like [`Report::write`].
///
/// # Errors
/// [`ReportError::Write`].
pub fn write_svg(path: impl AsRef<Path>, svg: &str) -> Result<(), ReportError> {
    let path = path.as_ref();
    file::replace(path, svg.as_bytes()).map_err(|source| ReportError::Write { path: path.into(), source })
}

impl Part {
    fn html(&self) -> Result<String, ReportError> {
        Ok(match self {
            Self::Heading(text) => format!("<h2>{}</h2>\n", escape(text)),
            Self::Text(text) => {
                let text = text.replace("\r\n", "\n");
                let paragraphs = text.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
                paragraphs.map(|text| format!("<p>{}</p>\n", escape(text))).collect()
            }
            Self::Table(table) => table.html(),
            Self::Terms(terms) => {
                let term = |(name, meaning): &(String, String)| {
                    format!("<div><dt>{}</dt> <dd>{}</dd></div>\n", escape(name), escape(meaning))
                };
                format!("<dl>\n{}</dl>\n", terms.iter().map(term).collect::<String>())
            }
            Self::Figure { figure, caption } => {
                let label = escape(caption);
                let drawn = |svg: &str| -> Result<String, ReportError> {
                    let svg =
                        plain_svg(svg).map_err(|reason| ReportError::Figure { caption: caption.clone(), reason })?;
                    Ok(svg.replacen("<svg", &format!("<svg role=\"img\" aria-label=\"{label}\""), 1))
                };
                let drawn = match figure.narrow() {
                    None => drawn(figure.wide())?,
                    Some(narrow) => {
                        let (wide, narrow) = (drawn(figure.wide())?, drawn(narrow)?);
                        format!("<div class=\"full\">{wide}</div>\n<div class=\"narrow\">{narrow}</div>")
                    }
                };
                format!("<figure>\n{drawn}\n<figcaption>{label}</figcaption>\n</figure>\n")
            }
            Self::Json { name, value } => {
                let name = escape(name);
                let text = escape(&format!("{value:#}"));
                format!("<details><summary>{name} (JSON)</summary>\n<pre data-json=\"{name}\">{text}</pre></details>\n")
            }
        })
    }
}

/// The `<svg>` element, without a prolog before it.
fn plain_svg(text: &str) -> Result<&str, &'static str> {
    let start = text.find("<svg").ok_or("it has no <svg> element")?;
    let svg = text[start..].trim_end();
    if !svg.ends_with("</svg>") {
        return Err("it does not end with </svg>");
    }
    if svg.to_ascii_lowercase().contains("<script") {
        return Err("it contains a script");
    }
    Ok(svg)
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
