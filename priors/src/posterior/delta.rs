//! The deterministic posterior: an ordinary network.

use serde::{Deserialize, Serialize};

use super::{Noise, PerLayer, Posterior};
use crate::normal::Normal;
use crate::real::Real;

/// All mass on θ: the layer is an ordinary deterministic one, so that baselines run the same code.
///
/// Its KL counts as zero for any prior (it is an infinite constant plus `-ln p(θ)`): pair it with
/// [`Flat`](crate::Flat). This is maximum likelihood, not the maximum of a posterior.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Delta;

impl Posterior for Delta {
    const ID: &'static str = "delta";
    const SPREAD: &'static str = "unused";
    const INITIAL: f64 = 0.0;
    type Per = PerLayer;
    const TRAINED: bool = false;
    const USED: bool = false;

    fn noise(&self) -> Noise {
        Noise::None
    }

    /// A variance of 1e-30, so that α is practically zero for every weight that is not zero.
    #[inline(always)]
    fn q<R: Real>(&self, theta: R, unused: R) -> Normal<R> {
        Normal::new(theta, unused.scale(0.0).shift(1e-30_f64.ln()))
    }
}
