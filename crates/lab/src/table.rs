//! Tables of records: a row for each label, mean and standard deviation over seeds.

use std::collections::BTreeSet;

use sparsevd_report::{Align, Table};

use crate::columns::{Column, by_layer, of};
use crate::record::Record;

/// A column that is not predefined, and for which no record has a number.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no record has `{column}`; there are: {known}")]
pub struct UnknownColumn {
    column: String,
    known: String,
}

/// A table of these columns. The first one holds the labels, under any name. With a column `seed` there is one row per
/// record instead of one per label.
///
/// # Errors
/// [`UnknownColumn`].
pub fn table(records: &[Record], columns: &[impl AsRef<str>]) -> Result<Table, UnknownColumn> {
    let columns: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    let by_seed = columns.contains(&"seed");
    let heads = columns.iter().enumerate().map(|(i, column)| {
        if i == 0 || *column == "seed" {
            return Ok(((*column).to_string(), if i == 0 { Align::Left } else { Align::Right }));
        }
        check(records, column)?;
        Ok((head(column), Align::Right))
    });
    let mut table = Table::new(heads.collect::<Result<Vec<_>, _>>()?);
    for group in groups(records, by_seed) {
        let unfinished = if group.iter().any(|r| r.unfinished) { " (unfinished)" } else { "" };
        let has = |column: &&str| by_layer(column).is_none() && spread(&group, column).is_some();
        if !columns.iter().any(has) {
            continue; // it belongs to another table
        }
        let cells = columns.iter().enumerate().map(|(i, column)| match *column {
            _ if i == 0 => format!("{}{unfinished}", group[0].label),
            "seed" => group[0].seed.to_string(),
            column => cell(&group, column),
        });
        table.row(cells);
    }
    Ok(table)
}

/// Records of the same label, in the order of the labels' first records.
pub fn groups(records: &[Record], by_seed: bool) -> Vec<Vec<&Record>> {
    let mut groups: Vec<Vec<&Record>> = Vec::new();
    for record in records {
        match groups.iter_mut().find(|group| group[0].label == record.label && !by_seed) {
            Some(group) => group.push(record),
            None => groups.push(vec![record]),
        }
    }
    groups
}

/// A number of a record; some are computed from others.
pub fn value(record: &Record, name: &str) -> Option<f64> {
    let of = |name: &str| record.values.get(name).copied();
    match name {
        "sparsity" => of(name).or_else(|| Some(1.0 - of("kept")? / of("weights")?)),
        "compression" => of(name).or_else(|| Some(of("weights")? / of("kept")?)),
        _ => of(name),
    }
}

/// Mean and standard deviation (with n - 1) of a number over records that have it.
pub fn spread(group: &[&Record], name: &str) -> Option<(f64, Option<f64>)> {
    let values: Vec<f64> = group.iter().filter_map(|record| value(record, name)).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (n > 0.0).then(|| (mean, (n > 1.0).then(|| variance.sqrt())))
}

/// Mean, smallest and largest of a number over records that have it.
pub fn extent(group: &[&Record], name: &str) -> Option<(f64, [f64; 2])> {
    let values = || group.iter().filter_map(|record| value(record, name));
    let (mean, _) = spread(group, name)?;
    Some((mean, [values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max)]))
}

/// The seeds of records, for captions: `seed 0`, `seeds 0 to 2`, `seeds 0, 4`.
pub fn seeds(records: &[Record]) -> String {
    let seeds: BTreeSet<u64> = records.iter().map(|record| record.seed).collect();
    match (seeds.first(), seeds.last()) {
        (Some(first), Some(last)) if seeds.len() == 1 && first == last => format!("seed {first}"),
        (Some(first), Some(last)) if seeds.len() as u64 == last - first + 1 => format!("seeds {first} to {last}"),
        _ => format!("seeds {}", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// The meaning of a table's signs and columns.
pub fn legend(records: &[Record], columns: &[impl AsRef<str>]) -> Vec<(String, String)> {
    let columns: Vec<&str> = columns.iter().map(AsRef::as_ref).collect();
    let mut legend = Vec::new();
    let groups = groups(records, columns.contains(&"seed"));
    let deviates = |group: &Vec<&Record>| columns.iter().any(|name| matches!(spread(group, name), Some((_, Some(_)))));
    if let Some(most) = groups.iter().filter(|group| deviates(group)).map(Vec::len).max() {
        legend.push(("±".into(), format!("standard deviation over {most} seeds (with n - 1)")));
    }
    if records.iter().any(|record| record.unfinished) {
        legend.push(("(unfinished)".into(), "stopped before its last epoch; --resume continues it".into()));
    }
    let noted = columns[1..].iter().filter_map(|name| by_layer(name).or_else(|| of(name)));
    let noted = noted.filter(|column| !column.note.is_empty());
    legend.extend(noted.map(|column| (column.head.into(), column.note.into())));
    legend
}

fn check(records: &[Record], column: &str) -> Result<(), UnknownColumn> {
    let shown = of(column).is_some() || by_layer(column).is_some();
    if shown || records.iter().any(|r| value(r, column).is_some()) {
        return Ok(());
    }
    let known: BTreeSet<&str> = records.iter().flat_map(|r| r.values.keys()).map(String::as_str).collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(UnknownColumn { column: column.into(), known })
}

fn head(column: &str) -> String {
    by_layer(column).or_else(|| of(column)).map_or(column, |column| column.head).to_string()
}

fn cell(group: &[&Record], column: &str) -> String {
    if let Some(Column { name: start, factor, digits, .. }) = by_layer(column) {
        let names = group[0].values.keys().filter(|name| name.starts_with(start));
        let cells = names.filter_map(|name| Some(format!("{:.digits$}", factor * spread(group, name)?.0)));
        return cells.collect::<Vec<_>>().join("-");
    }
    let (factor, digits) = of(column).map_or((1.0, 4), |column| (column.factor, column.digits));
    match spread(group, column) {
        None => String::new(),
        Some((mean, _)) if mean.is_infinite() => {
            let all = group.iter().filter_map(|r| value(r, column)).all(f64::is_infinite);
            if all { "all pruned" } else { "some all pruned" }.into()
        }
        Some((mean, None)) => number(factor * mean, digits),
        Some((mean, Some(sd))) => format!("{} ± {}", number(factor * mean, digits), number(factor * sd, digits)),
    }
}

/// A formatted number, with an exponent if the digits would not show it.
fn number(x: f64, digits: usize) -> String {
    let x = x + 0.0; // not -0
    if digits == 4 && x != 0.0 && x.abs() < 1e-3 { format!("{x:.1e}") } else { format!("{x:.digits$}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<Record> {
        let record = |label: &str, seed, error, kept| {
            Record::new(label, seed)
                .with("error", error)
                .with("weights", 100.0)
                .with("kept", kept)
                .with("sparse 00", 0.5)
        };
        vec![record("ARD", 0, 0.01, 10.0), record("Dense", 0, 0.02, 100.0), record("ARD", 1, 0.03, 5.0)]
    }

    #[test]
    fn a_row_a_label_with_mean_and_deviation() {
        let table = table(&records(), &["method", "error", "layers", "compression"]).unwrap();
        assert_eq!(
            table.markdown(),
            "| method | error % | sparse % by layer | compression |\n|---|---|---|---|\n\
             | ARD | 2.00 ± 1.41 | 50.0 | 15.0 ± 7.1 |\n| Dense | 2.00 | 50.0 | 1.0 |\n"
        );
    }

    #[test]
    fn a_row_a_seed() {
        let table = table(&records(), &["method", "seed", "sparsity"]).unwrap().markdown();
        assert!(table.ends_with("| ARD | 0 | 90.00 |\n| Dense | 0 | 0.00 |\n| ARD | 1 | 95.00 |\n"), "{table}");
    }

    #[test]
    fn unknown_columns_are_named() {
        let error = table(&records(), &["method", "eror"]).unwrap_err();
        assert_eq!(error.to_string(), "no record has `eror`; there are: error, kept, sparse 00, weights");
    }

    #[test]
    fn every_sign_of_a_table_is_explained() {
        let terms = |columns: &[&str]| -> Vec<String> {
            legend(&records(), columns).into_iter().map(|(term, _)| term).collect()
        };
        assert_eq!(terms(&["method", "error", "layers", "seconds"]), ["±", "error %", "sparse % by layer", "time, s"]);
        assert_eq!(terms(&["method", "seed", "nll"]), ["NLL"], "a row a seed has no deviation");
        let mut stopped = records();
        stopped[0].unfinished = true;
        assert_eq!(legend(&stopped, &["method", "weights"])[1].0, "(unfinished)");
    }

    #[test]
    fn seeds_are_named() {
        let seeds = |all: &[u64]| super::seeds(&all.iter().map(|seed| Record::new("a", *seed)).collect::<Vec<_>>());
        assert_eq!(seeds(&[4, 4]), "seed 4");
        assert_eq!(seeds(&[2, 0, 1, 0]), "seeds 0 to 2");
        assert_eq!(seeds(&[0, 4]), "seeds 0, 4");
    }
}
