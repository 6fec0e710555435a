//! Scores of predictions.

use super::MetricsError;
use super::predictions::{Predictions, argmax, entropy};
use serde::{Deserialize, Serialize};

/// The number of bins of the calibration error: 15, as in Guo et al. 2017.
pub const ECE_BINS: usize = 15;

/// Scores of `n` predictions `p_i` against their labels `y_i`. Lower is better for the first four.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Fraction of examples whose most probable class is not the label, in `[0, 1]`.
    pub error: f64,
    /// Negative log-likelihood, nats per example: `-(1/n) sum_i ln p_i(y_i)`.
    pub nll: f64,
    /// Expected calibration error, a fraction in `[0, 1]`, over [`ECE_BINS`] bins `B_m` of equal width.
    ///
    /// ```text
    /// ECE = sum_m |B_m|/n * |acc(B_m) - conf(B_m)|,    i in B_m  <=>  (m-1)/15 < max_k p_i(k) <= m/15
    /// ```
    /// `acc` is the fraction classified correctly, `conf` the mean of the largest probability. C. Guo, G. Pleiss, Y.
    /// Sun, K. Q. Weinberger, *On Calibration of Modern Neural Networks*, ICML 2017, eq. 3. It is biased upwards:
    /// perfectly calibrated predictions score about `sqrt(1/n)` rather than 0.
    pub ece: f64,
    /// Brier score, in `[0, 2]`: `(1/n) sum_i sum_k (p_i(k) - [y_i = k])²`, summed over all classes as by Brier (1950).
    pub brier: f64,
    /// Mean entropy of the (averaged) predictions, nats: `(1/n) sum_i H(p_i)`, in `[0, ln classes]`.
    pub predictive_entropy: f64,
    /// Mean mutual information of prediction and weights, nats: how much the sampled networks disagree.
    ///
    /// ```text
    /// MI = (1/n) sum_i [ H(p_i) - (1/S) sum_s H(p_is) ],    0 <= MI <= predictive_entropy
    /// ```
    /// `None` for a single forward pass. From few samples `S` it is biased downwards, and never above `ln S`.
    pub mutual_information: Option<f64>,
}

impl Predictions {
    /// Scores against one label per example.
    ///
    /// # Errors
    /// [`MetricsError::Count`] or [`MetricsError::Label`].
    pub fn score(&self, labels: &[usize]) -> Result<Metrics, MetricsError> {
        let (n, classes) = (self.len(), self.classes());
        if labels.len() != n {
            return Err(MetricsError::Count { examples: n, labels: labels.len() });
        }
        if let Some((row, &label)) = labels.iter().enumerate().find(|(_, label)| **label >= classes) {
            return Err(MetricsError::Label { row, label, classes });
        }
        let mean = |score: fn(&[f64], usize) -> f64| {
            self.rows().zip(labels).map(|(log_p, label)| score(log_p, *label)).sum::<f64>() / n as f64
        };
        let predictive_entropy = mean(|log_p, _| entropy(log_p));
        // Rounding must not make the information negative.
        let information = |expected: &[f64]| (predictive_entropy - expected.iter().sum::<f64>() / n as f64).max(0.0);
        Ok(Metrics {
            error: mean(|log_p, label| f64::from(argmax(log_p) != label)),
            nll: mean(|log_p, label| -log_p[label]),
            ece: calibration_error(self, labels),
            brier: mean(brier),
            predictive_entropy,
            mutual_information: self.expected_entropy().map(information),
        })
    }
}

fn brier(log_p: &[f64], label: usize) -> f64 {
    let hit = |k| f64::from(k == label);
    log_p.iter().enumerate().map(|(k, log_p)| (log_p.exp() - hit(k)).powi(2)).sum()
}

/// `sum_m |B_m|/n |acc - conf| = (1/n) sum_m |sum_{i in B_m} (hit_i - confidence_i)|`
fn calibration_error(predictions: &Predictions, labels: &[usize]) -> f64 {
    let mut gaps = [0.0; ECE_BINS];
    for (log_p, label) in predictions.rows().zip(labels) {
        let class = argmax(log_p);
        let confidence = log_p[class].exp();
        gaps[bin(confidence)] += f64::from(class == *label) - confidence;
    }
    gaps.iter().map(|gap| gap.abs()).sum::<f64>() / labels.len() as f64
}

/// Bin `m - 1` for `(m-1)/15 < confidence <= m/15`.
fn bin(confidence: f64) -> usize {
    // A cast saturates: below 0 is 0.
    ((confidence * ECE_BINS as f64).ceil() as usize).clamp(1, ECE_BINS) - 1
}

#[cfg(test)]
#[path = "score_tests.rs"]
mod tests;
