//! The numbers of a training run or of a measurement.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use sparsevd::infer::Report;
use sparsevd::metrics::Metrics;
use sparsevd::prelude::*;
use sparsevd::{Epoch, Grid, History, Sparsity};

/// Points of a line.
pub type Curve = Vec<(f64, f64)>;

/// One training run or one measurement.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name in tables and figures.
    pub label: String,
    /// The seed of weights, order and noise.
    pub seed: u64,
    /// True if it was stopped before the end of the last epoch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unfinished: bool,
    /// Single numbers by name.
    #[serde(serialize_with = "rounded_values")]
    pub values: BTreeMap<String, f64>,
    /// Lines of figures by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", serialize_with = "rounded_curves")]
    pub curves: BTreeMap<String, Curve>,
    /// log α of every layer's weights.
    #[serde(skip)]
    pub log_alpha: Vec<(String, Vec<f64>)>,
    /// The masks of the weights that are kept.
    #[serde(skip)]
    pub masks: Vec<(Grid, Vec<bool>)>,
}

impl Record {
    /// A record without numbers.
    pub fn new(label: impl Into<String>, seed: u64) -> Self {
        Record { label: label.into(), seed, ..Record::default() }
    }

    /// Adds a number.
    pub fn with(mut self, name: impl Into<String>, value: f64) -> Self {
        self.set(name, value);
        self
    }

    /// Adds a number.
    pub fn set(&mut self, name: impl Into<String>, value: f64) {
        self.values.insert(name.into(), value);
    }

    /// Adds scores, with names that start with `prefix`: `"error"`, or `"mean error"`.
    pub fn score(&mut self, prefix: &str, m: &Metrics) {
        let information = m.mutual_information.map(|x| ("information", x));
        let scores =
            [("error", m.error), ("nll", m.nll), ("ece", m.ece), ("brier", m.brier), ("entropy", m.predictive_entropy)];
        for (name, value) in scores.into_iter().chain(information) {
            self.set(format!("{prefix}{name}"), value);
        }
    }

    /// Adds the counts of weights and of weights kept, and the sparsity of each layer.
    pub fn sparsity(&mut self, sparsity: &Sparsity) {
        self.set("weights", sparsity.weights() as f64);
        self.set("kept", sparsity.kept() as f64);
        for (i, layer) in sparsity.layers.iter().enumerate() {
            self.set(format!("sparse {i:02}"), layer.sparsity());
        }
    }

    /// Adds the neurons, or filters, that are left in each layer's output once dead and constant ones are removed.
    pub fn neurons(&mut self, report: &Report) {
        for (i, layer) in report.layers.iter().enumerate() {
            self.set(format!("neurons {i:02}"), layer.outputs as f64);
        }
    }

    /// Adds every weight's log α and the masks of the weights that are kept, for figures; files do not hold them.
    pub fn weights<D: Backend>(&mut self, net: &impl Network<f32, D>, threshold: f64) {
        let layers = net.layers();
        self.log_alpha = layers.iter().map(|(path, layer)| (path.clone(), layer.log_alpha())).collect();
        self.masks = layers.iter().map(|(_, layer)| (layer.grid(), layer.kept(threshold))).collect();
    }

    /// Adds the lines of a training run: scores, sparsity and objective after each epoch.
    pub fn history(&mut self, history: &History) {
        let epochs = &history.epochs;
        let mut curve = |name: &str, value: fn(&Epoch) -> Option<f64>| {
            let points = epochs.iter().filter_map(|e| Some(((e.epoch + 1) as f64, value(e)?)));
            self.curves.insert(name.into(), points.collect());
        };
        curve("train nll", |e| Some(e.nll));
        curve("train error", |e| Some(e.train_error));
        curve("kl", |e| Some(e.kl));
        curve("test error", |e| Some(e.test?.error));
        curve("test nll", |e| Some(e.test?.nll));
        curve("sparsity", |e| Some(e.sparsity.sparsity()));
        curve("seconds", |e| Some(e.seconds));
        let best = epochs.iter().filter_map(|e| Some(e.test?.error)).fold(f64::INFINITY, f64::min);
        self.unfinished = history.stopped;
        self.set("epochs", epochs.len() as f64);
        self.set("seconds", epochs.iter().map(|e| e.seconds).sum::<f64>() + 0.0); // not -0
        if best.is_finite() {
            self.set("best error", best);
        }
        if let Some(last) = epochs.last() {
            self.set("kl", last.kl);
            self.set("train nll", last.nll);
            self.set("train error", last.train_error);
        }
    }
}

/// Rounds a number that is not whole to six digits: files stay small, and no table shows more.
fn rounded(x: f64) -> f64 {
    if x.fract() == 0.0 {
        return x;
    }
    format!("{x:.5e}").parse().unwrap_or(x)
}

/// Writes the values, without those that are not finite, such as the compression of a network without weights: JSON
/// cannot hold them.
fn rounded_values<S: Serializer>(values: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
    let finite = values.iter().filter(|(_, x)| x.is_finite());
    serializer.collect_map(finite.map(|(name, x)| (name, rounded(*x))))
}

fn rounded_curves<S: Serializer>(curves: &BTreeMap<String, Curve>, serializer: S) -> Result<S::Ok, S::Error> {
    let finite = |curve: &Curve| -> Curve {
        let points = curve.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
        points.map(|(x, y)| (rounded(*x), rounded(*y))).collect()
    };
    serializer.collect_map(curves.iter().map(|(name, curve)| (name, finite(curve))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_hold_six_digits() {
        let record = Record::new("Sparse VD", 1).with("nll", 0.123_456_789).with("pruned compression", f64::INFINITY);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(text, r#"{"label":"Sparse VD","seed":1,"values":{"nll":0.123457}}"#);
        let read: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(read.values["nll"], 0.123_457);
        assert_eq!(rounded(1_234_567.0), 1_234_567.0);

        let mut diverged = Record::new("Sparse VD", 1);
        diverged.curves.insert("nll".into(), vec![(1.0, 0.5), (2.0, f64::NAN)]);
        let read: Record = serde_json::from_str(&serde_json::to_string(&diverged).unwrap()).unwrap();
        assert_eq!(read.curves["nll"], [(1.0, 0.5)]);
    }
}
