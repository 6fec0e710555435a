//! Training settings of a layer: the estimator of its samples and the masking of its weights.

use serde::{Deserialize, Serialize};

/// The number added to the variance of an output under its square root; it keeps the gradient finite if all inputs are
/// zero, and adds noise of standard deviation 1e-8.
pub const VARIANCE_FLOOR: f64 = 1e-16;

/// Training settings of a layer. [`Network::configure`](crate::Network::configure) sets those of all layers of a
/// network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Settings {
    /// The sampling estimator of a training pass.
    pub estimator: Estimator,
    /// The weights that are masked during training; none by default.
    pub masking: Masking,
}

/// Settings as stored in a file. Format 1 stores a threshold and, in `switch_off`, what it masks.
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

/// The sampling estimator of a training pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimator {
    /// Samples each output from its own Gaussian (Kingma et al. 2015): the default, with the least gradient variance.
    #[default]
    LocalReparameterisation,
    /// Samples the weights once for the whole batch: half as many products, far more gradient variance.
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

/// The masking of weights during training. A weight is masked if its log α is at or above the threshold; each pass
/// checks it again. The KL always includes all weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Masking {
    /// Masks no weights.
    #[default]
    Off,
    /// Masks the means, as the authors' released code does. The noise stays, and the gradient of the likelihood with
    /// respect to it can bring a weight back.
    Means(f64),
    /// Masks mean and noise, as pruning will, also in draws from the posterior. Only the KL acts on a masked weight
    /// from then on. Training gets faster as the network gets sparser: a product with few unmasked weights visits only
    /// those.
    Weights(f64),
}

impl Masking {
    /// The threshold on log α, if there is one.
    pub fn threshold(self) -> Option<f64> {
        match self {
            Masking::Off => None,
            Masking::Means(threshold) | Masking::Weights(threshold) => Some(threshold),
        }
    }

    /// True if whole weights are masked: mean and noise.
    pub fn whole(self) -> bool {
        matches!(self, Masking::Weights(_))
    }
}
