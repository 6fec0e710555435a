//! Tables in Markdown that are generated from results: `<!-- table FILE: COLUMNS -->`, the table, `<!-- end -->`.

use std::fmt::Write;
use std::path::Path;

use crate::Failure;
use crate::record::Record;
use crate::results::Results;
use crate::table::table;

const START: &str = "<!-- table ";
const END: &str = "<!-- end -->";

/// The text with all tables regenerated from the results in a folder.
///
/// # Errors
/// For a comment that cannot be parsed, results that cannot be read, labels and columns that they do not have.
pub fn renew(text: &str, results: &Path) -> Result<String, Failure> {
    let (mut renewed, mut rest) = (String::new(), text);
    while let Some(start) = rest.find(START) {
        let line = rest[start..].find("-->").map(|end| start + end + 3).ok_or("a table's comment does not end")?;
        let next = rest[line..].find(START).map_or(rest.len(), |next| line + next);
        let end = rest[line..next].find(END).map(|end| line + end);
        let end = end.ok_or(format!("no {END} after {}", &rest[start..line]))?;
        let wanted = rest[start + START.len()..line - 3].trim();
        let table = render(wanted, results).map_err(|error| format!("`{wanted}`: {error}"))?;
        write!(renewed, "{}\n{table}", &rest[..line])?;
        rest = &rest[end..];
    }
    Ok(renewed + rest)
}

/// The table in Markdown that a comment describes.
fn render(wanted: &str, results: &Path) -> Result<String, Failure> {
    let (source, columns) = wanted.rsplit_once(':').ok_or("no colon before the columns")?;
    let (names, labels) = source.split_once(" of ").unwrap_or((source, ""));
    let mut records: Vec<Record> = Vec::new();
    let labels: Vec<String> = labels.split('+').map(|label| label.trim().replace('_', " ")).collect();
    for name in names.split('+') {
        let (file, of) = name.split_once('=').map_or((name, None), |(file, of)| (file, Some(of)));
        let mut found = Results::read(results.join(format!("{}.json", file.trim())))?.records;
        found.retain(|record| labels.iter().any(|label| record.label.starts_with(label.as_str())));
        if let Some(of) = of {
            let of = of.trim().replace('_', " ");
            found.iter_mut().for_each(|record| record.label = format!("{of}, {}", record.label));
        }
        records.extend(found);
    }
    if records.is_empty() {
        return Err("no record has such a label".into());
    }
    Ok(table(&records, &columns.split_whitespace().map(|column| column.replace('_', " ")).collect::<Vec<_>>())?
        .markdown())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, records: Vec<Record>| {
            let experiment = name.to_string();
            let results = Results { experiment, records, ..Results::default() };
            results.write(dir.path().join(format!("{name}.json"))).unwrap();
        };
        write(
            "ours",
            vec![Record::new("Sparse VD", 0).with("error", 0.0192), Record::new("ARD", 0).with("error", 0.02)],
        );
        write("paper", vec![Record::new("paper: Sparse VD", 0).with("error", 0.03)]);
        dir
    }

    #[test]
    fn a_table_is_renewed_and_the_text_around_it_stays() {
        let text = "before\n<!-- table ours+paper of Sparse_VD+paper: net error -->\nstale\n<!-- end -->\nafter\n";
        let renewed = renew(text, results().path()).unwrap();
        let table = "| net | error % |\n|---|---|\n| Sparse VD | 1.92 |\n| paper: Sparse VD | 3.00 |\n";
        let expected =
            format!("before\n<!-- table ours+paper of Sparse_VD+paper: net error -->\n{table}<!-- end -->\nafter\n");
        assert_eq!(renewed, expected);
        assert_eq!(renew(&renewed, results().path()).unwrap(), renewed);
        let named = "<!-- table ours=LeNet of ARD: net error -->\n<!-- end -->";
        assert!(renew(named, results().path()).unwrap().contains("| LeNet, ARD | 2.00 |"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let dir = results();
        let error = |text: &str| renew(text, dir.path()).unwrap_err().to_string();
        assert!(error("<!-- table ours: net error -->").contains("no <!-- end -->"));
        let unclosed = "<!-- table ours: net error -->\ntext\n<!-- table ours: net error --><!-- end -->";
        assert!(error(unclosed).contains("no <!-- end -->"));
        assert!(error("<!-- table none: net error --><!-- end -->").contains("none.json"));
        assert!(error("<!-- table ours: net eror --><!-- end -->").contains("no record has `eror`"));
        assert!(error("<!-- table ours of Dense: net error --><!-- end -->").contains("no record has such a label"));
        assert!(error("<!-- table ours net error --><!-- end -->").contains("no colon"));
    }
}
