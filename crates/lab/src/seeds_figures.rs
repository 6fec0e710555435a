//! The figures of one network with several seeds.

use sparsevd_report::plots::{Quantity, Series, curves};

use crate::args::Runs;
use crate::curves::{bands, bars, kept, log_alphas, over_epochs, over_seeds, points};
use crate::page::Figure;
use crate::record::Record;
use crate::table::seeds;

/// Error against compression over the KL weights, and their training curves.
pub(crate) fn of_several(records: &[Record], runs: &Runs) -> Vec<Figure> {
    let line = points("Sparse VD", records, "compression", "error", (1.0, 100.0));
    let x = Quantity::log("compression |W| / |W ≠ 0|");
    let tradeoff = curves(&[line], x, Quantity::linear("test error [%]"), "Error against compression");
    let y = Quantity::log("test error [%]");
    let error = over_epochs(records, "test error", |error| 100.0 * error, y, "Test error during training");
    let (bands, bars) = (bands(records), bars(records));
    vec![
        Figure::new(
            "tradeoff",
            tradeoff,
            format!("Each mark is a KL weight. Lower and further right is better. {bars}"),
        ),
        Figure::new("error", error, format!("With pruned means, after each epoch. {bands}")),
        Figure::new("sparsity", kept(records, runs.threshold), bands),
    ]
}

/// Loss and error over seeds, every seed's compression, and log α layer by layer.
pub(crate) fn of_one(records: &[Record], runs: &Runs) -> Vec<Figure> {
    let both = |score: &str, f: fn(f64) -> f64| {
        let named = |name: &str, mut all: Vec<Series>| {
            all.iter_mut().for_each(|series| series.name = name.into());
            all
        };
        let train = named("training, sampled", over_seeds(records, &format!("train {score}"), f));
        [train, named("test, pruned means", over_seeds(records, &format!("test {score}"), f))].concat()
    };
    let epoch = Quantity::linear("epoch");
    let loss = curves(&both("nll", |y| y), epoch, Quantity::log("NLL [nats per image]"), "Negative log-likelihood");
    let error = curves(&both("error", |y| 100.0 * y), epoch, Quantity::log("error [%]"), "Error");
    let by_seed: Vec<Record> =
        records.iter().map(|r| Record { label: format!("seed {}", r.seed), ..r.clone() }).collect();
    let compression = over_seeds(&by_seed, "sparsity", |sparsity| 1.0 / (1.0 - sparsity));
    let compression = curves(&compression, epoch, Quantity::log("|W| / |W ≠ 0|"), "Compression");
    let seconds = over_seeds(&by_seed, "seconds", |seconds| seconds);
    let seconds = curves(&seconds, epoch, Quantity::linear("seconds"), "Time of an epoch");
    let layers = |record: &Record| {
        let layer = |layer: &(String, Vec<f64>)| Record {
            label: format!("layer {}", layer.0),
            log_alpha: vec![layer.clone()],
            ..Record::default()
        };
        record.log_alpha.iter().map(layer).collect::<Vec<_>>()
    };
    let layers: Vec<Record> = records.iter().flat_map(layers).collect();
    let (bands, seeds) = (bands(records), seeds(records));
    let modes = format!("log α after training, of {seeds}. If two modes are far apart, the threshold hardly matters.");
    vec![
        Figure::new("loss", loss, format!("During training, with the layers' noise, and on the test images. {bands}")),
        Figure::new("error", error, format!("The share of images misclassified, under the same conditions. {bands}")),
        Figure::new(
            "compression",
            compression,
            "Each seed separately. Compression follows the KL weight, then the decay of the learning rate.",
        ),
        Figure::new(
            "seconds",
            seconds,
            "Each seed separately, without evaluation. With whole weights masked, training gets faster as the network gets \
             sparser.",
        ),
        Figure::new("log-alpha", log_alphas(&layers, runs.threshold), modes),
    ]
}
