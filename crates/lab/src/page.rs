//! The files of an experiment in its folder: results.json, figures, and one page with everything.

use serde_json::Value;
use sparsevd_report::plots::{self, PlotError};
use sparsevd_report::{Report, Table, write_svg};

use crate::Failure;
use crate::folder::Folder;
use crate::results::Results;
use crate::resume::command_line;
use crate::table::{legend, table};

/// A figure: its file's name, the drawing, and the caption. A figure with nothing to draw, as after an early Ctrl-C, is
/// left out.
#[derive(Debug)]
pub struct Figure {
    name: String,
    drawn: Result<plots::Figure, PlotError>,
    caption: String,
}

impl Figure {
    /// A figure with the name of its file, without `.svg`, and a caption.
    pub fn new(name: &str, drawn: Result<plots::Figure, PlotError>, caption: impl Into<String>) -> Self {
        Figure { name: name.into(), drawn, caption: caption.into() }
    }
}

/// A table under a heading; the first column names the rows.
pub type Columns<'a> = (&'a str, &'a [&'a str]);

/// Prints the tables and writes everything into the folder, replacing an earlier run's files.
///
/// # Errors
/// For results without records, columns that no record has, and files that cannot be written.
pub fn publish(
    title: &str,
    about: &str,
    mut results: Results,
    tables: &[Columns<'_>],
    figures: Vec<Figure>,
    folder: &Folder,
) -> Result<(), Failure> {
    if results.records.is_empty() {
        return Err("no training run finished; there is nothing to report".into());
    }
    let out = folder.path();
    let file = out.join("results.json");
    results.figures = figures.iter().filter(|figure| figure.drawn.is_ok()).map(|figure| figure.name.clone()).collect();
    let earlier = Results::read(&file).map(|earlier| earlier.figure_files()).unwrap_or_default();
    results.write(&file)?;
    let drawn = results.figure_files();
    for name in earlier.iter().filter(|name| !drawn.contains(name)) {
        let _ = std::fs::remove_file(out.join(name)); // perhaps it is gone already
    }
    let mut page = Report::new(title);
    page.text(about);
    let Results { machine, date, version, .. } = &results;
    page.terms([("Date", date.as_str()), ("Machine", machine), ("Library", &format!("sparsevd {version}"))]);
    let mut explained = Vec::new();
    for (heading, columns) in tables {
        let (table, terms): (Table, _) = (table(&results.records, columns)?, legend(&results.records, columns));
        println!("\n{heading}\n{table}");
        page.heading(*heading).table(&table).terms(terms.clone());
        explained.extend(terms.into_iter().filter(|term| !explained.contains(term)).collect::<Vec<_>>());
    }
    explained.iter().for_each(|(term, meaning)| println!("{term}: {meaning}"));
    println!("\n{about}");
    page.heading("Figures");
    for Figure { name, drawn, caption } in figures {
        if let Err(PlotError::Nothing { .. }) = drawn {
            continue;
        }
        let drawn = drawn?;
        write_svg(out.join(format!("{name}.svg")), drawn.wide())?;
        page.figure(&drawn, caption);
    }
    let data = data_set(&results.data);
    page.heading("Settings").terms([("Command", command_line(&results.command)), ("Data", data)]);
    page.terms(settings(&results.configuration)).json("configuration", &results.configuration);
    page.write(out.join("report.html"))?;
    println!("Wrote {}", out.join("report.html").display());
    Ok(())
}

/// The data set in words: its name and sizes.
fn data_set(data: &Value) -> String {
    let name = data["name"].as_str().unwrap_or("unknown");
    format!("{name}, {} images to train on and {} to test on", data["train"], data["test"])
}

/// Every setting that was given or has a default, in the form of the command line.
fn settings(configuration: &Value) -> Vec<(String, String)> {
    let given = |(name, value): (&String, &Value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            Value::Array(all) => {
                all.iter().map(|v| v.as_str().map_or_else(|| v.to_string(), String::from)).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        (!text.is_empty()).then(|| (name.replace('_', " "), text))
    };
    configuration.as_object().into_iter().flatten().filter_map(given).collect()
}
