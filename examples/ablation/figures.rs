//! Training curves, log alpha, masks, and error against sparsity.

use sparsevd::data::Split;
use sparsevd::plots::{Mask, Scale, Series, curves, masks};
use sparsevd_lab::page::{self, Figure, line, log_alphas, over_epochs};
use sparsevd_lab::record::Record;

use crate::Args;
use crate::methods::Method;

pub fn figures(args: &Args, split: &Split, records: &[Record]) -> Vec<Figure> {
    let main: Vec<Record> = records.iter().filter(|r| r.label == Method::of(r).name()).cloned().collect();
    let pruning: Vec<Record> = main.iter().filter(|r| Method::of(r).prunes()).cloned().collect();
    let error = ("test error [%]", "Test error while training");
    let error = over_epochs(&main, "test error", 100.0, error, Scale::Log);
    let sparsity = page::sparsity(&pruning, args.runs.threshold);
    let modes = "log alpha after training. Where two modes stand apart, the threshold hardly matters.";
    let mut figures = vec![
        Figure::new("error", error, "Test error after each epoch, as deployed."),
        Figure::new("sparsity", sparsity, "It follows the KL weight, then the learning rate's decay."),
        Figure::new("log-alpha", log_alphas(&pruning, args.runs.threshold), modes),
    ];
    if let Some(record) = pruning.iter().find(|r| r.label == Method::SparseVd.name() && !r.masks.is_empty()) {
        let layer = |(i, (grid, kept)): (usize, &(sparsevd::Grid, Vec<bool>))| {
            let mask = Mask::new(format!("layer {i}"), grid.rows, grid.cols, kept.clone());
            if i == 0 { mask.of_images(split.train().dims()) } else { mask }
        };
        let layers: Vec<Mask> = record.masks.iter().enumerate().map(layer).collect();
        figures.push(Figure::new(
            "masks",
            masks(&layers, "Weights that Sparse VD keeps"),
            "Kept weights, a row per output.",
        ));
    }
    if !args.betas.is_empty() {
        figures.push(pareto(records));
    }
    figures
}

/// A curve for each method that was trained with several KL weights.
fn pareto(records: &[Record]) -> Figure {
    let of = |method: &Method| -> Vec<&Record> { records.iter().filter(|r| Method::of(r) == *method).collect() };
    let swept = Method::ALL.iter().filter(|method| method.prunes() || **method == Method::Magnitude);
    let lines: Vec<Series> = swept
        .map(|method| line(method.name(), &of(method), "compression", "error", (1.0, 100.0)))
        .filter(|line| line.points.len() > 1)
        .map(|mut line| {
            line.points.iter_mut().for_each(|(x, _)| *x = x.log10());
            line
        })
        .collect();
    let title = "Error against compression, by KL weight";
    let svg = curves(&lines, "log10 of |W| / |W != 0|", "test error [%]", title, Scale::Linear);
    Figure::new(
        "pareto",
        svg,
        "Each point is a KL weight, averaged over seeds; magnitude pruning has the sparsity of Sparse VD's points.",
    )
}
