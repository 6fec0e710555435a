//! What an experiment leaves in its folder: results.json, figures, and one page with everything.

use std::path::Path;

use sparsevd::plots::{Marker, PlotError, Scale, Series, Values, curves, histogram};
use sparsevd::report::{Report, Table, write_svg};

use crate::record::Record;
use crate::results::Results;
use crate::table::{groups, spread, table};

/// A figure: its file's name, SVG, and what it shows. One with nothing to draw, as after an early Ctrl-C, is left out.
#[derive(Debug)]
pub struct Figure {
    name: String,
    svg: Result<String, PlotError>,
    caption: String,
}

impl Figure {
    /// A figure with the name of its file, without `.svg`, and a caption.
    pub fn new(name: &str, svg: Result<String, PlotError>, caption: &str) -> Self {
        Figure { name: name.into(), svg, caption: caption.into() }
    }
}

/// A table under a heading; the first column names the rows.
pub type Columns<'a> = (&'a str, &'a [&'a str]);

/// Prints the tables and writes everything into the folder, where it takes the place of an earlier run's.
///
/// # Errors
/// For results without records, columns that no record has, and files that cannot be written.
pub fn publish(
    title: &str,
    about: &str,
    mut results: Results,
    tables: &[Columns<'_>],
    figures: Vec<Figure>,
    out: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    if results.records.is_empty() {
        return Err("stopped before any training was finished; nothing to report".into());
    }
    let file = out.join("results.json");
    results.figures = figures.iter().filter(|figure| figure.svg.is_ok()).map(|figure| figure.name.clone()).collect();
    let earlier = Results::read(&file).map(|earlier| earlier.figure_files()).unwrap_or_default();
    results.write(&file)?;
    let drawn = results.figure_files();
    for name in earlier.iter().filter(|name| !drawn.contains(name)) {
        let _ = std::fs::remove_file(out.join(name)); // perhaps it is gone already
    }
    let mut page = Report::new(title);
    page.text(about);
    for (heading, columns) in tables {
        let table: Table = table(&results.records, columns)?;
        println!("\n{heading}\n{table}");
        page.heading(*heading).table(&table);
    }
    println!("{about}");
    page.heading("Figures");
    for Figure { name, svg, caption } in figures {
        if let Err(PlotError::Nothing { .. }) = svg {
            continue;
        }
        let svg = svg?;
        write_svg(out.join(format!("{name}.svg")), &svg)?;
        page.figure(svg, caption);
    }
    page.json("configuration", &results.configuration);
    let json = serde_json::json!({ "command": results.command, "version": results.version, "machine": results.machine, "date": results.date, "data": results.data });
    page.json("run", &json);
    page.write(out.join("report.html"))?;
    println!("Wrote {}", out.join("report.html").display());
    Ok(())
}

/// The curve of this name of each label's first record, its values multiplied by `factor`.
///
/// # Errors
/// If there is nothing to draw.
pub fn over_epochs(
    records: &[Record],
    curve: &str,
    factor: f64,
    (y, title): (&str, &str),
    scale: Scale,
) -> Result<String, PlotError> {
    let lines = groups(records, false).into_iter().filter_map(|group| {
        let points = group[0].curves.get(curve)?;
        Some(Series::new(&group[0].label, points.iter().map(|(x, y)| (*x, factor * y))))
    });
    curves(&lines.collect::<Vec<_>>(), "epoch", y, title, scale)
}

/// How much of the weights each label's first record has pruned, epoch by epoch.
///
/// # Errors
/// If there is nothing to draw.
pub fn sparsity(records: &[Record], threshold: f64) -> Result<String, PlotError> {
    let title = format!("Weights with log alpha of {threshold} or more");
    over_epochs(records, "sparsity", 100.0, ("sparsity [%]", &title), Scale::Linear)
}

/// A line a series of records: their means of `y` against those of `x`, by label.
pub fn line(name: &str, records: &[&Record], x: &str, y: &str, factors: (f64, f64)) -> Series {
    let owned: Vec<Record> = records.iter().map(|r| (*r).clone()).collect();
    let mut points: Vec<(f64, f64)> = groups(&owned, false)
        .iter()
        .filter_map(|group| Some((factors.0 * spread(group, x)?.0, factors.1 * spread(group, y)?.0)))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    Series::new(name, points)
}

/// log alpha of all weights, for each label's first record.
///
/// # Errors
/// If there is nothing to draw.
pub fn log_alphas(records: &[Record], threshold: f64) -> Result<String, PlotError> {
    let all = |record: &Record| -> Vec<f64> {
        record.log_alpha.iter().flat_map(|(_, values)| values).map(|a| a.clamp(-10.0, 10.0)).collect()
    };
    let values: Vec<Values> = groups(records, false)
        .into_iter()
        .filter(|group| !group[0].log_alpha.is_empty())
        .map(|group| Values::new(&group[0].label, all(group[0])))
        .collect();
    let marker = Marker::new(threshold, "threshold");
    histogram(&values, 60, Some(&marker), "log alpha, cut at +-10", "log alpha of all weights")
}
