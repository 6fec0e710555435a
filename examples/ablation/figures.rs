//! The figures: error against compression, training curves, log α, and masks.

use sparsevd::data::Split;
use sparsevd_lab::curves::{bands, bars, kept, log_alphas, over_epochs, points};
use sparsevd_lab::page::Figure;
use sparsevd_lab::record::Record;
use sparsevd_lab::table::seeds;
use sparsevd_report::plots::{Mask, Quantity, Series, curves, masks};

use crate::Args;
use crate::methods::Method;

pub fn figures(args: &Args, split: &Split, records: &[Record]) -> Vec<Figure> {
    let main: Vec<Record> = records.iter().filter(|r| r.label == Method::of(r).name()).cloned().collect();
    let pruning: Vec<Record> = main.iter().filter(|r| Method::of(r).prunes()).cloned().collect();
    let (bands, seeds, threshold) = (bands(&main), seeds(&main), args.runs.threshold);
    let y = Quantity::log("test error [%]");
    let error = over_epochs(&main, "test error", |error| 100.0 * error, y, "Test error during training");
    let error_is = format!(
        "Test error after each epoch, as deployed: with pruned means if the method prunes. Magnitude pruning: its last round. \
         {bands}"
    );
    let kept_are = format!("The share kept changes as the KL weight rises, then as the learning rate falls. {bands}");
    let modes = format!(
        "log α of every weight after training, of {seeds}; the share axis is logarithmic, so that the few weights kept, \
         left of the threshold, are visible. If two modes are far apart, the threshold hardly matters."
    );
    let mut figures = vec![
        tradeoff(args, records),
        Figure::new("error", error, error_is),
        Figure::new("sparsity", kept(&pruning, threshold), kept_are),
        Figure::new("log-alpha", log_alphas(&pruning, threshold), modes),
    ];
    if let Some(record) = pruning.iter().find(|r| r.label == Method::SparseVd.name() && !r.masks.is_empty()) {
        let layer = |(i, (grid, kept)): (usize, &(sparsevd::Grid, Vec<bool>))| {
            let mask = Mask::new(format!("layer {i}"), grid.rows, grid.cols, kept.clone());
            if i == 0 { mask.of_images(split.train().dims()) } else { mask }
        };
        let layers: Vec<Mask> = record.masks.iter().enumerate().map(layer).collect();
        let caption = format!("Kept weights in blue, a row per output, a column per input. Seed {}.", record.seed);
        figures.push(Figure::new("masks", masks(&layers, "Weights that Sparse VD keeps"), caption));
    }
    figures
}

/// A point for each method, or a curve if it was trained with several KL weights.
fn tradeoff(args: &Args, records: &[Record]) -> Figure {
    let of = |method: Method| -> Vec<Record> { records.iter().filter(|r| Method::of(r) == method).cloned().collect() };
    let line = |method: Method| points(method.name(), &of(method), "compression", "error", (1.0, 100.0));
    let lines: Vec<Series> = Method::ALL.into_iter().map(line).filter(|line| !line.points.is_empty()).collect();
    let x = Quantity::log("compression |W| / |W ≠ 0|");
    let svg = curves(&lines, x, Quantity::linear("test error [%]"), "Error against compression");
    let several = if args.betas.is_empty() { "" } else { "Points joined by a line differ in the KL weight. " };
    let caption = format!(
        "Lower and further right is better. {} {several}Magnitude \
         pruning has Sparse VD's sparsity.",
        bars(records)
    );
    Figure::new("tradeoff", svg, caption)
}
