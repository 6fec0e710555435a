//! How a layer trains: the estimator of its samples, and the masking of its weights.

use serde::{Deserialize, Serialize};

/// Added to the variance of an output under its square root; it keeps the gradient finite where all inputs are zero and
/// adds noise of standard deviation 1e-8.
pub const VARIANCE_FLOOR: f64 = 1e-16;

/// How a layer trains; the same for all layers of a network with [`Network::configure`](crate::Network::configure).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Settings {
    /// How a training pass samples.
    pub estimator: Estimator,
    /// Which weights training masks. None, by default.
    pub masking: Masking,
}

/// Settings in a file; those of format 1 have a threshold and what it switches off.
#[derive(Deserialize)]
struct Written {
    estimator: Estimator,
    #[serde(default)]
    masking: Masking,
    threshold: Option<f64>,
    switch_off: Option<String>,
}

impl From<Written> for Settings {
    fn from(written: Written) -> Self {
        let whole = written.switch_off.is_some_and(|what| what == "weight");
        let masking = match written.threshold {
            None => written.masking,
            Some(threshold) if whole => Masking::Weights(threshold),
            Some(threshold) => Masking::Means(threshold),
        };
        Settings { estimator: written.estimator, masking }
    }
}

/// How a training pass samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Samples each output from its own Gaussian: least variance, and the default (Kingma et al. 2015).
    #[default]
    LocalReparameterisation,
    /// Samples the weights once for the whole batch: half the products, far more gradient variance.
    WeightSampling,
    /// Samples the weights once and gives each example a copy of their noise with its own signs (Wen et al. 2018).
    ///
    /// ```text
    /// y_n = map(x_n, E w) + b + r_n ∘ map(x_n ∘ s_n, σ ∘ ε)
    /// ```
    /// with one `ε ~ N(0, 1)` per weight and batch, and signs, +1 or -1 with equal probability: `s_n` one per example
    /// and input, `r_n` one per example and output; for a convolution, one per channel, the same at all positions. The
    /// outputs of each example are distributed as under [`WeightSampling`](Estimator::WeightSampling), positions of an
    /// image included, but those of different examples are uncorrelated. Two products, as in local reparameterisation;
    /// on every device composed from dfdx's operations.
    Flipout,
}

/// Which weights are masked during training: those with log α at or above a threshold, in each pass anew. The KL is that
/// of all weights either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Masking {
    /// None.
    #[default]
    Off,
    /// Their means, as in the authors' released code; the noise stays, and what the data say of it can bring a weight
    /// back.
    Means(f64),
    /// Whole weights, as pruning will: mean and noise, also in draws from the posterior. Only the KL acts on a masked
    /// weight from then on. Training gets faster as the network gets sparser: a product with few weights left passes
    /// over these alone.
    Weights(f64),
}

impl Masking {
    /// The threshold on log α, where there is one.
    pub fn threshold(self) -> Option<f64> {
        match self {
            Masking::Off => None,
            Masking::Means(threshold) | Masking::Weights(threshold) => Some(threshold),
        }
    }

    /// Whether it masks whole weights.
    pub fn whole(self) -> bool {
        matches!(self, Masking::Weights(_))
    }
}
