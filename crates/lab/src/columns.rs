//! The columns of tables: their format and meaning.

/// A column of a table, with one number of each record.
pub(crate) struct Column {
    /// Its name in records.
    pub name: &'static str,
    /// The column's head.
    pub head: &'static str,
    /// The factor that it is multiplied by.
    pub factor: f64,
    /// The number of digits after the point.
    pub digits: usize,
    /// Its meaning, for the legend; empty if the head suffices.
    pub note: &'static str,
}

const fn column(name: &'static str, head: &'static str, factor: f64, digits: usize, note: &'static str) -> Column {
    Column { name, head, factor, digits, note }
}

const NLL: &str = "mean negative log-likelihood of an image, in nats";
const SAMPLES: &str = "with probabilities averaged over 10 draws from the posterior";
const UNPRUNED: &str = "with all posterior means";
const COMPRESSION: &str = "|W| / |W ≠ 0|, weights over weights kept, biases not counted";
const QUANTISED: &str = "with weights quantised to posterior precision";

pub(crate) const COLUMNS: [Column; 37] = [
    column("error", "error %", 100.0, 2, "images misclassified"),
    column("mean error", "error %, unpruned", 100.0, 2, UNPRUNED),
    column(
        "best error",
        "best epoch %",
        100.0,
        2,
        "the lowest error of all epochs, chosen on the images it is measured on: optimistic",
    ),
    column("train error", "train error %", 100.0, 2, "during training, with the layers' noise"),
    column("nll", "NLL", 1.0, 4, NLL),
    column("train nll", "train NLL", 1.0, 4, "nats per image during training, with the layers' noise"),
    column("ece", "ECE %", 100.0, 2, "expected calibration error"),
    column("brier", "Brier", 1.0, 4, "squared distance of probabilities from the label, from 0 to 2"),
    column("entropy", "entropy, nats", 1.0, 3, "mean entropy of the predictions"),
    column(
        "information",
        "mutual information, nats",
        1.0,
        4,
        "between prediction and weights: the part of the entropy that is due to uncertain weights",
    ),
    column("sampled error", "error %, 10 samples", 100.0, 2, SAMPLES),
    column("sampled nll", "NLL, 10 samples", 1.0, 4, SAMPLES),
    column("sampled ece", "ECE %, 10 samples", 100.0, 2, SAMPLES),
    column("sparsity", "sparse %", 100.0, 2, "weights pruned"),
    column("compression", "compression", 1.0, 1, COMPRESSION),
    column("kept", "weights kept", 1.0, 0, ""),
    column("weights", "weights", 1.0, 0, ""),
    column("bytes", "bytes", 1.0, 0, "of the file, in single precision"),
    column("quantised bytes", "bytes, quantised", 1.0, 0, QUANTISED),
    column("quantised error", "error %, quantised", 100.0, 2, QUANTISED),
    column("quantised nll", "NLL, quantised", 1.0, 4, QUANTISED),
    column("pruned error", "error %", 100.0, 2, "images misclassified"),
    column("pruned nll", "NLL", 1.0, 4, NLL),
    column(
        "pruned cost",
        "NLL it may cost",
        1.0,
        4,
        "the sum of 1 / (2 α) over the weights pruned in addition, per training image, in nats",
    ),
    column("pruned compression", "compression", 1.0, 1, COMPRESSION),
    column("us, batch 1", "us, batch 1", 1.0, 1, "microseconds for one image"),
    column("us, batch 100", "us, batch 100", 1.0, 1, "microseconds for 100 images"),
    column("epochs", "epochs", 1.0, 0, ""),
    column("seconds", "time, s", 1.0, 0, "seconds of training, evaluation not counted"),
    column("kl", "KL, nats", 1.0, 0, "from the prior to the posterior, summed over weights"),
    column("beta", "beta", 1.0, 3, "weight of the KL in the objective"),
    column(
        "entropy elsewhere",
        "entropy elsewhere",
        1.0,
        3,
        "mean entropy of the predictions, in nats, on out-of-distribution images",
    ),
    column("memorised error", "error % on random labels", 100.0, 2, "on the images and labels it was trained on"),
    column("commonest error", "error % of the commonest label", 100.0, 2, "of always predicting it"),
    column(
        "memorised nll",
        "NLL on random labels",
        1.0,
        3,
        "nats per image, on the images and labels it was trained on",
    ),
    column("sparsity at start", "sparse % at start", 100.0, 1, "weights that would be pruned before training"),
    column(
        "auroc",
        "AUROC %",
        100.0,
        2,
        "the probability that an out-of-distribution image has the higher entropy: 50 is chance",
    ),
];

/// Numbers of all layers in one cell; the name is the beginning of their names.
pub(crate) const BY_LAYER: [(&str, Column); 2] = [
    (
        "layers",
        column(
            "sparse ",
            "sparse % by layer",
            100.0,
            1,
            "weights pruned, in percent, layer by layer from the input: 98.7-99.4-79.4 is 98.7 % of the first layer's; mean over seeds",
        ),
    ),
    (
        "neurons",
        column(
            "neurons ",
            "neurons left",
            1.0,
            0,
            "outputs of each layer, from the input, that are neither dead nor constant",
        ),
    ),
];

/// The column of a number.
pub(crate) fn of(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name == name)
}

/// The column of numbers of all layers.
pub(crate) fn by_layer(name: &str) -> Option<&'static Column> {
    BY_LAYER.iter().find(|(layers, _)| *layers == name).map(|(_, column)| column)
}
