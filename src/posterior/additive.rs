//! The additive Gaussian posterior of Sparse Variational Dropout.

use sparsevd_priors::{Normal, Real, Shared};

use super::{Noise, Posterior};
use crate::map::Map;

/// `q(w) = N(theta, sigma^2)`, with theta and log sigma^2 trained for every weight: `w = theta + sigma eps`.
///
/// `dw / dtheta = 1`, whatever the noise. In the older form `w = theta (1 + sqrt(alpha) eps)` it is
/// `1 + sqrt(alpha) eps`, useless for large alpha; that is what this parameterisation is for (Molchanov et al. 2017, eq. 11).
/// A new layer starts with log sigma^2 = -10.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Additive;

impl Posterior for Additive {
    const SPREAD: &'static str = "log_sigma2";
    const SHARED: Shared = Shared::None;
    type Spread<M: Map> = M::Weight;
    const TRAINED: bool = true;
    const INITIAL: f64 = -10.0;

    fn noise(&self) -> Noise {
        Noise::Gaussian
    }

    #[inline(always)]
    fn q<R: Real>(&self, theta: R, log_sigma2: R) -> Normal<R> {
        Normal::new(theta, log_sigma2)
    }

    #[inline(always)]
    fn variance<R: Real>(&self, _theta: R, log_sigma2: R) -> R {
        log_sigma2.exp()
    }
}
