//! Tables of records: a row for each label, mean and standard deviation over seeds.

use std::collections::BTreeSet;

use sparsevd::report::{Align, Table};

use crate::record::Record;

/// A column that is none of the usual ones, and that no record has a number for.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("no record has `{column}`; there are: {known}")]
pub struct UnknownColumn {
    column: String,
    known: String,
}

/// How a number is shown: its name in records, the column's head, a factor, and digits after the point.
const SHOWN: [(&str, &str, f64, usize); 37] = [
    ("error", "error %", 100.0, 2),
    ("mean error", "error %, unpruned", 100.0, 2),
    ("best error", "best epoch %", 100.0, 2),
    ("train error", "train error %", 100.0, 2),
    ("nll", "NLL", 1.0, 4),
    ("train nll", "train NLL", 1.0, 4),
    ("ece", "ECE %", 100.0, 2),
    ("brier", "Brier", 1.0, 4),
    ("entropy", "entropy, nats", 1.0, 3),
    ("information", "mutual information, nats", 1.0, 4),
    ("sampled error", "error %, 10 samples", 100.0, 2),
    ("sampled nll", "NLL, 10 samples", 1.0, 4),
    ("sampled ece", "ECE %, 10 samples", 100.0, 2),
    ("sparsity", "sparse %", 100.0, 2),
    ("compression", "compression", 1.0, 1),
    ("kept", "weights kept", 1.0, 0),
    ("weights", "weights", 1.0, 0),
    ("bytes", "bytes", 1.0, 0),
    ("bytes in posterior's bits", "bytes in posterior's bits", 1.0, 0),
    ("error in posterior's bits", "error % in posterior's bits", 100.0, 2),
    ("nll in posterior's bits", "NLL in posterior's bits", 1.0, 4),
    ("pruned error", "error %", 100.0, 2),
    ("pruned nll", "NLL", 1.0, 4),
    ("pruned cost", "NLL it may cost", 1.0, 4),
    ("pruned compression", "compression", 1.0, 1),
    ("us, batch 1", "us, batch 1", 1.0, 1),
    ("us, batch 100", "us, batch 100", 1.0, 1),
    ("epochs", "epochs", 1.0, 0),
    ("seconds", "s", 1.0, 0),
    ("kl", "KL, nats", 1.0, 0),
    ("beta", "beta", 1.0, 3),
    ("entropy elsewhere", "entropy elsewhere", 1.0, 3),
    ("memorised error", "error % on random labels", 100.0, 2),
    ("commonest error", "error % of the commonest label", 100.0, 2),
    ("memorised nll", "NLL on random labels", 1.0, 3),
    ("sparsity at start", "sparse % at start", 100.0, 1),
    ("auroc", "AUROC %", 100.0, 2),
];

/// Numbers of all layers in one cell: the column, the beginning of their names, the column's head, a factor, and digits.
const BY_LAYER: [(&str, &str, &str, f64, usize); 2] =
    [("layers", "sparse ", "sparse % by layer", 100.0, 1), ("neurons", "neurons ", "neurons left", 1.0, 0)];

/// A table of these columns. The first one holds the labels, whatever it is called; `seed` among them asks for a row a
/// record instead of one a label.
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
        let has = |column: &&str| BY_LAYER.iter().all(|(name, ..)| name != column) && spread(&group, column).is_some();
        if !columns.iter().any(has) {
            continue; // of another table
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

/// A number of a record; some follow from others.
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

fn check(records: &[Record], column: &str) -> Result<(), UnknownColumn> {
    let shown = SHOWN.iter().any(|(name, ..)| *name == column) || BY_LAYER.iter().any(|(name, ..)| *name == column);
    if shown || records.iter().any(|r| value(r, column).is_some()) {
        return Ok(());
    }
    let known: BTreeSet<&str> = records.iter().flat_map(|r| r.values.keys()).map(String::as_str).collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    Err(UnknownColumn { column: column.into(), known })
}

fn head(column: &str) -> String {
    let layers = BY_LAYER.iter().find(|(name, ..)| *name == column).map(|(_, _, head, ..)| *head);
    let shown = SHOWN.iter().find(|(name, ..)| *name == column).map(|(_, head, ..)| *head);
    layers.or(shown).unwrap_or(column).to_string()
}

fn cell(group: &[&Record], column: &str) -> String {
    if let Some((_, start, _, factor, digits)) = BY_LAYER.iter().find(|(name, ..)| *name == column) {
        let names = group[0].values.keys().filter(|name| name.starts_with(start));
        let cells = names.filter_map(|name| Some(format!("{:.digits$}", factor * spread(group, name)?.0)));
        return cells.collect::<Vec<_>>().join("-");
    }
    let (factor, digits) =
        SHOWN.iter().find(|(name, ..)| *name == column).map_or((1.0, 4), |(_, _, factor, digits)| (*factor, *digits));
    match spread(group, column) {
        None => String::new(),
        Some((mean, _)) if mean.is_infinite() => {
            let all = group.iter().filter_map(|r| value(r, column)).all(f64::is_infinite);
            if all { "all pruned" } else { "some all pruned" }.into()
        }
        Some((mean, None)) => number(factor * mean, digits),
        Some((mean, Some(sd))) => format!("{} +- {}", number(factor * mean, digits), number(factor * sd, digits)),
    }
}

/// With an exponent where the digits would not show it.
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
             | ARD | 2.00 +- 1.41 | 50.0 | 15.0 +- 7.1 |\n| Dense | 2.00 | 50.0 | 1.0 |\n"
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
}
