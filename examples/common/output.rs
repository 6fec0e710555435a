//! The tables, results.json, the figures and the page that shows them.

use std::path::Path;

use serde::Serialize;
use serde_json::json;
use sparsevd::data::{Images, Split};
use sparsevd::metrics::Metrics;
use sparsevd::plots::{Marker, PlotError, Scale, Series, Values, curves, histogram};
use sparsevd::report::{Align, Report, Table, write_json, write_svg};
use sparsevd::{LayerSparsity, Sparsity};

use super::run::Run;

/// Prints and writes everything. `configuration` is what the run was asked to do.
pub fn report(
    title: &str,
    configuration: &impl Serialize,
    split: &Split<Images>,
    run: &Run,
    out: &Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let (table, about) = (evaluations(run), about(split, run));
    println!("\n{table}\n{}\n\n{}\n\n{about}", run.sparsity, run.small);
    let results = json!({
        "command": std::env::args().collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
        "dfdx": "0.13.0",
        "configuration": configuration,
        "data": { "name": split.train().name(), "train": split.train().len(), "test": split.test().len() },
        "run": run,
    });
    write_json(out.join("results.json"), &results)?;

    let mut page = Report::new(title);
    page.text(about).heading("Result").table(&table).heading("Layers").table(&layers(&run.sparsity)).heading("Figures");
    for (name, svg, caption) in figures(run)? {
        write_svg(out.join(format!("{name}.svg")), &svg)?;
        page.figure(svg, caption);
    }
    page.json("configuration", &results["configuration"]).json("trainer", &results["run"]["trainer"]);
    page.write(out.join("report.html"))?;
    println!("Wrote {}", out.join("report.html").display());
    Ok(())
}

fn about(split: &Split<Images>, run: &Run) -> String {
    let (done, asked) = (run.history.epochs.len(), run.trainer.epochs);
    format!(
        "{}: {} training and {} test images; {done} of {asked} epochs; the last weights, never the best epoch.",
        split.train().name(),
        split.train().len(),
        split.test().len()
    )
}

/// Names of columns; the first holds words, the others numbers.
fn columns(names: &[&'static str]) -> Table {
    Table::new(names.iter().enumerate().map(|(i, name)| (*name, if i == 0 { Align::Left } else { Align::Right })))
}

fn evaluations(run: &Run) -> Table {
    let mut table = columns(&["weights", "error %", "NLL", "ECE %", "Brier", "sparse %", "|W|/|W!=0|", "s"]);
    let scores = |m: &Metrics| {
        [percent(m.error, 2), format!("{:.4}", m.nll), percent(m.ece, 2), format!("{:.4}", m.brier)].to_vec()
    };
    table.row([vec!["mean".into()], scores(&run.mean)].concat());
    let size = [
        percent(run.sparsity.sparsity(), 2),
        format!("{:.1}", run.sparsity.compression()),
        format!("{:.0}", run.seconds),
    ];
    table.row([vec!["pruned mean".into()], scores(&run.pruned), size.to_vec()].concat());
    table
}

fn percent(fraction: f64, digits: usize) -> String {
    format!("{:.digits$}", 100.0 * fraction)
}

fn layers(sparsity: &Sparsity) -> Table {
    let mut table = columns(&["layer", "weights", "kept", "sparse %", "dead inputs", "dead outputs"]);
    for layer in &sparsity.layers {
        table.row([
            layer.layer.clone(),
            layer.weights.to_string(),
            layer.kept.to_string(),
            percent(layer.sparsity(), 2),
            format!("{}/{}", layer.dead_inputs, layer.inputs),
            format!("{}/{}", layer.dead_outputs, layer.outputs),
        ]);
    }
    table
}

type Figure = (&'static str, String, String);

/// Loss, accuracy and sparsity over the epochs, and log alpha at the end.
fn figures(run: &Run) -> Result<Vec<Figure>, PlotError> {
    if run.history.epochs.is_empty() {
        return Ok(vec![log_alpha(run)?]); // stopped before there was a curve
    }
    Ok(vec![loss(run)?, accuracy(run)?, sparsity(run)?, log_alpha(run)?])
}

/// A value after each epoch.
fn by_epoch(name: &str, values: impl Iterator<Item = f64>) -> Series {
    Series::new(name, values.enumerate().map(|(i, y)| ((i + 1) as f64, y)))
}

/// A score on the test images after each epoch.
fn tested(run: &Run, score: fn(&Metrics) -> f64) -> impl Iterator<Item = f64> {
    run.history.epochs.iter().map(move |epoch| epoch.test.as_ref().map_or(f64::NAN, score))
}

fn loss(run: &Run) -> Result<Figure, PlotError> {
    let lines = [
        by_epoch("training, sampled", run.history.epochs.iter().map(|e| e.nll)),
        by_epoch("test, posterior means", tested(run, |m| m.nll)),
    ];
    let svg = curves(&lines, "epoch", "NLL [nats per image]", "Negative log-likelihood", Scale::Log)?;
    Ok(("loss", svg, "While training, with the layers' noise, and on the test images with the posterior means.".into()))
}

fn accuracy(run: &Run) -> Result<Figure, PlotError> {
    let lines = [
        by_epoch("training, sampled", run.history.epochs.iter().map(|e| 100.0 * (1.0 - e.train_error))),
        by_epoch("test, posterior means", tested(run, |m| 100.0 * (1.0 - m.error))),
    ];
    let svg = curves(&lines, "epoch", "accuracy [%]", "Accuracy", Scale::Linear)?;
    Ok(("accuracy", svg, "The share of images classified rightly, under the same conditions.".into()))
}

/// The part of the network that a layer belongs to: the first number of its path.
fn part(path: &str) -> &str {
    path.split('.').next().unwrap_or(path)
}

/// The parts of the network, in order.
fn parts(run: &Run) -> Vec<&str> {
    let mut parts: Vec<&str> = run.sparsity.layers.iter().map(|layer| part(&layer.layer)).collect();
    parts.dedup();
    parts
}

fn sparsity(run: &Run) -> Result<Figure, PlotError> {
    let of = |sparsity: &Sparsity, name: &str| {
        let count = |f: fn(&LayerSparsity) -> usize| {
            sparsity.layers.iter().filter(|layer| part(&layer.layer) == name).map(f).sum::<usize>() as f64
        };
        100.0 * (1.0 - count(|layer| layer.kept) / count(|layer| layer.weights))
    };
    let line = |name: &str| by_epoch(&format!("part {name}"), run.history.epochs.iter().map(|e| of(&e.sparsity, name)));
    let lines: Vec<Series> = parts(run).into_iter().map(line).collect();
    let title = format!("Weights with log alpha of {} or more", run.sparsity.threshold);
    let svg = curves(&lines, "epoch", "sparsity [%]", &title, Scale::Linear)?;
    Ok((
        "sparsity",
        svg,
        "It follows the KL weight, then the learning rate's decay. A part is a layer, or a block.".into(),
    ))
}

fn log_alpha(run: &Run) -> Result<Figure, PlotError> {
    let values = |name: &str| {
        let layers = run.log_alpha.iter().filter(|(path, _)| part(path) == name);
        Values::new(format!("part {name}"), layers.flat_map(|(_, values)| values).map(|a| a.clamp(-10.0, 10.0)))
    };
    let values: Vec<Values> = parts(run).into_iter().map(values).collect();
    let marker = Marker::new(run.sparsity.threshold, "threshold");
    let svg = histogram(&values, 60, Some(&marker), "log alpha, cut at +-10", "log alpha of all weights")?;
    Ok((
        "log-alpha",
        svg,
        "log alpha after training. Where two modes stand apart, the threshold hardly matters.".into(),
    ))
}
