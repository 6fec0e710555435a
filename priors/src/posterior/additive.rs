//! The additive Gaussian posterior of Sparse Variational Dropout.

use serde::{Deserialize, Serialize};

use super::{PerWeight, Posterior};
use crate::normal::Normal;
use crate::real::Real;

/// `q(w) = N(theta, σ²)`, with theta and log σ² trained for every weight: `w = theta + σ ε`.
///
/// `dw / dtheta = 1`, whatever the noise. In the older form `w = theta (1 + sqrt(alpha) eps)` it is
/// `1 + sqrt(alpha) eps`, useless for large alpha; that is what this parameterisation is for (Molchanov et al. 2017, eq. 11).
/// A new layer starts with log σ² = -10.
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
