//! The additive Gaussian posterior of Sparse Variational Dropout.

use serde::{Deserialize, Serialize};

use super::{PerWeight, Posterior};
use crate::normal::Normal;
use crate::real::Real;

/// `q(w) = N(θ, σ²)`, with θ and log σ² trained for every weight: `w = θ + σ ε`.
///
/// `dw / dθ = 1`, independent of the noise. In the older form `w = θ (1 + sqrt(α) ε)` it is `1 + sqrt(α) ε`, which is
/// too noisy for large α; this parameterisation avoids that (Molchanov et al. 2017, eq. 11). A new layer starts with
/// log σ² = -10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Additive;

impl Posterior for Additive {
    const ID: &'static str = "additive";
    const SPREAD: &'static str = "log_sigma2";
    const INITIAL: f64 = -10.0;
    type Per = PerWeight;

    #[inline(always)]
    fn q<R: Real>(&self, theta: R, log_sigma2: R) -> Normal<R> {
        Normal::new(theta, log_sigma2)
    }

    #[inline(always)]
    fn variance<R: Real>(&self, _theta: R, log_sigma2: R) -> R {
        log_sigma2.exp()
    }
}
