//! The table, results.json, the figures and the page that shows them.

use serde_json::json;
use sparsevd::data::Split;
use sparsevd::metrics::Metrics;
use sparsevd::plots::{Marker, Mask, Scale, Series, Values, curves, histogram, masks};
use sparsevd::report::{Align, Report, Table, write_json, write_svg};

use crate::Args;
use crate::methods::{Method, Run};

/// Prints and writes everything.
pub fn report(args: &Args, split: &Split, runs: &[Run]) -> Result<(), Box<dyn std::error::Error>> {
    if runs.is_empty() {
        return Err("stopped before any training was finished; nothing to report".into());
    }
    let table = deployed_table(runs);
    println!(
        "\n{table}\nMean +- standard deviation over seeds, on the test set; the last weights, never the best epoch."
    );
    println!("Sparse VD, ARD and Gaussian prior with their means pruned at log alpha = {}.", args.threshold);

    let results = json!({
        "command": std::env::args().collect::<Vec<_>>(),
        "version": env!("CARGO_PKG_VERSION"),
        "dfdx": "0.13.0",
        "configuration": args,
        "data": { "name": split.train().name(), "train": split.train().len(), "test": split.test().len() },
        "runs": runs,
    });
    write_json(args.out.join("results.json"), &results)?;

    let mut page = Report::new(format!("Ablation on {}", split.train().name()));
    page.text(format!(
        "{} training and {} test images; inputs-300-100-10, {} epochs, {} seeds. Mean +- standard deviation over seeds.",
        split.train().len(),
        split.test().len(),
        args.epochs,
        args.seeds
    ));
    page.heading("As deployed").table(&table);
    page.heading("Means, pruned means and posterior samples").table(&evaluations_table(runs));
    page.heading("Figures");
    for (name, svg, caption) in figures(args, split, runs)? {
        write_svg(args.out.join(format!("{name}.svg")), &svg)?;
        page.figure(svg, caption);
    }
    page.json("configuration", &results["configuration"]);
    page.write(args.out.join("report.html"))?;
    println!("Wrote {}", args.out.join("report.html").display());
    Ok(())
}

/// The runs of a method.
fn of(runs: &[Run], method: Method) -> Vec<&Run> {
    runs.iter().filter(|run| run.method == method).collect()
}

/// `mean +- sd` of a quantity over runs.
fn spread(runs: &[&Run], digits: usize, f: impl Fn(&Run) -> f64) -> String {
    let values: Vec<f64> = runs.iter().map(|run| f(run)).collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    if values.len() < 2 {
        return format!("{mean:.digits$}");
    }
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    format!("{mean:.digits$} +- {:.digits$}", variance.sqrt())
}

fn columns(names: &[&'static str]) -> Table {
    Table::new(names.iter().enumerate().map(|(i, name)| (*name, if i == 0 { Align::Left } else { Align::Right })))
}

fn deployed_table(runs: &[Run]) -> Table {
    let mut table =
        columns(&["method", "error %", "NLL", "ECE %", "Brier", "sparse % by layer", "sparse %", "|W|/|W!=0|", "s"]);
    for method in Method::ALL {
        let runs = of(runs, method);
        if runs.is_empty() {
            continue;
        }
        let layers = runs[0].sparsity.layers.len();
        let by_layer = |i: usize| {
            let mean = runs.iter().map(|r| r.sparsity.layers[i].sparsity()).sum::<f64>() / runs.len() as f64;
            format!("{:.1}", 100.0 * mean)
        };
        table.row([
            method.name().to_string(),
            spread(&runs, 2, |r| 100.0 * r.deployed.error),
            spread(&runs, 3, |r| r.deployed.nll),
            spread(&runs, 1, |r| 100.0 * r.deployed.ece),
            spread(&runs, 3, |r| r.deployed.brier),
            (0..layers).map(by_layer).collect::<Vec<_>>().join("-"),
            spread(&runs, 2, |r| 100.0 * r.sparsity.sparsity()),
            spread(&runs, 1, |r| r.sparsity.compression()),
            spread(&runs, 1, |r| r.seconds),
        ]);
    }
    table
}

/// One of a run's evaluations.
type Pick = fn(&Run) -> &Metrics;

fn evaluations_table(runs: &[Run]) -> Table {
    let mut table =
        columns(&["method", "weights", "error %", "NLL", "ECE %", "Brier", "predictive entropy", "mutual information"]);
    for method in Method::ALL {
        let runs = of(runs, method);
        let kinds: [(&str, Pick); 3] =
            [("mean", |r| &r.mean), ("pruned mean", |r| &r.deployed), ("10 samples", |r| &r.sampled)];
        for (kind, metrics) in kinds {
            if runs.is_empty() || (kind == "pruned mean" && !method.prunes()) {
                continue;
            }
            table.row([
                method.name().to_string(),
                kind.to_string(),
                spread(&runs, 2, |r| 100.0 * metrics(r).error),
                spread(&runs, 3, |r| metrics(r).nll),
                spread(&runs, 1, |r| 100.0 * metrics(r).ece),
                spread(&runs, 3, |r| metrics(r).brier),
                spread(&runs, 3, |r| metrics(r).predictive_entropy),
                if kind == "10 samples" {
                    spread(&runs, 3, |r| metrics(r).mutual_information.unwrap_or(0.0))
                } else {
                    String::new()
                },
            ]);
        }
    }
    table
}

type Figure = (&'static str, String, String);

/// Training curves, log alpha, threshold and masks, of the first seed.
fn figures(args: &Args, split: &Split, runs: &[Run]) -> Result<Vec<Figure>, sparsevd::plots::PlotError> {
    let first: Vec<&Run> = Method::ALL.iter().filter_map(|m| of(runs, *m).first().copied()).collect();
    let pruning: Vec<&Run> = first.iter().copied().filter(|run| run.method.prunes()).collect();
    let by_epoch = |run: &&Run, f: fn(&sparsevd::Epoch) -> f64| {
        Series::new(run.method.name(), run.history.epochs.iter().map(|e| ((e.epoch + 1) as f64, f(e))))
    };
    let error: Vec<Series> =
        first.iter().map(|r| by_epoch(r, |e| 100.0 * e.test.map_or(f64::NAN, |m| m.error))).collect();
    let sparsity: Vec<Series> = pruning.iter().map(|r| by_epoch(r, |e| 100.0 * e.sparsity.sparsity())).collect();
    let mut figures = vec![(
        "error",
        curves(&error, "epoch", "test error [%]", "Test error while training, posterior means", Scale::Log)?,
        "Test error after each epoch, with the posterior means.".to_string(),
    )];
    if pruning.is_empty() {
        return Ok(figures);
    }
    let alphas: Vec<Values> = pruning
        .iter()
        .map(|r| Values::new(r.method.name(), r.log_alpha.iter().map(|a| a.clamp(-10.0, 10.0))))
        .collect();
    let marker = Marker::new(args.threshold, "threshold");
    let thresholds: Vec<Series> = pruning
        .iter()
        .map(|r| Series::new(r.method.name(), r.thresholds.iter().map(|(t, e)| (*t, 100.0 * e))))
        .collect();
    figures.extend([
        (
            "sparsity",
            curves(&sparsity, "epoch", "sparsity [%]", "Weights with log alpha of 3 or more", Scale::Linear)?,
            "Sparsity while training: it follows the KL weight, then the learning rate's decay.".to_string(),
        ),
        (
            "log-alpha",
            histogram(&alphas, 60, Some(&marker), "log alpha, cut at +-10", "log alpha of all weights")?,
            "log alpha after training. Where two modes stand apart, the threshold hardly matters.".to_string(),
        ),
        (
            "threshold",
            curves(
                &thresholds,
                "threshold on log alpha",
                "test error [%]",
                "Test error of the pruned network",
                Scale::Log,
            )?,
            "Test error over the pruning threshold: choose where the curve is flat.".to_string(),
        ),
    ]);
    for run in pruning.iter().filter(|run| run.method == Method::SparseVd) {
        let layers: Vec<Mask> = run
            .masks
            .iter()
            .enumerate()
            .map(|(i, (grid, kept))| {
                let mask = Mask::new(format!("layer {i}"), grid.rows, grid.cols, kept.clone());
                if i == 0 { mask.of_images(split.train().dims()) } else { mask }
            })
            .collect();
        figures.push((
            "masks",
            masks(&layers, "Weights that Sparse VD keeps")?,
            "Kept weights, a row per output.".to_string(),
        ));
    }
    Ok(figures)
}
