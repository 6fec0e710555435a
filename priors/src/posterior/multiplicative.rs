//! The multiplicative Gaussian posterior: Gaussian dropout, variational or fixed.

use std::fmt::Debug;
use std::marker::PhantomData;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::{PerLayer, PerOutput, PerWeight, Posterior, Sharing};
use crate::normal::Normal;
use crate::real::Real;

/// Added to θ² under the logarithm, so that a mean of exactly zero has the log-variance `log α - 69`.
const THETA2_FLOOR: f64 = 1e-30;

/// `q(w) = N(θ, α θ²)`: `w = θ (1 + sqrt(α) ε)`, with log α per weight, per output, per layer, or [`Fixed`].
///
/// Source: Kingma, Salimans, Welling 2015. `Multiplicative<Fixed>` is the Gaussian dropout of Srivastava et al. 2014; a
/// dropout rate p corresponds to `α = p / (1 - p)`. New layers start with log α = -3, fixed ones with 0 (p = 1/2).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Multiplicative<A: AlphaPer = PerWeight>(PhantomData<A>);

/// Serialised as `{"alpha": "per_weight"}`.
impl<A: AlphaPer> Serialize for Multiplicative<A> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Multiplicative", 1)?;
        fields.serialize_field("alpha", A::ID)?;
        fields.end()
    }
}

/// The sharing of α among weights; it may be trained or fixed.
pub trait AlphaPer: Clone + Copy + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The name in files.
    const ID: &'static str;
    /// The sharing among weights.
    type Per: Sharing;
    /// True if α is trained.
    const TRAINED: bool = true;
    /// The initial log α.
    const INITIAL: f64 = -3.0;
}

impl AlphaPer for PerWeight {
    const ID: &'static str = "per_weight";
    type Per = PerWeight;
}

impl AlphaPer for PerOutput {
    const ID: &'static str = "per_output";
    type Per = PerOutput;
}

impl AlphaPer for PerLayer {
    const ID: &'static str = "per_layer";
    type Per = PerLayer;
}

/// One α for all weights of the layer, which is not trained: Gaussian dropout.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fixed;
impl AlphaPer for Fixed {
    const ID: &'static str = "fixed";
    type Per = PerLayer;
    const TRAINED: bool = false;
    const INITIAL: f64 = 0.0;
}

impl<A: AlphaPer> Posterior for Multiplicative<A> {
    const ID: &'static str = "multiplicative";
    const SPREAD: &'static str = "log_alpha";
    const INITIAL: f64 = A::INITIAL;
    type Per = A::Per;
    const TRAINED: bool = A::TRAINED;

    #[inline(always)]
    fn q<R: Real>(&self, theta: R, log_alpha: R) -> Normal<R> {
        proportional(theta, |log_theta2| log_theta2 + log_alpha)
    }

    #[inline(always)]
    fn variance<R: Real>(&self, theta: R, log_alpha: R) -> R {
        theta.square() * log_alpha.exp()
    }
}

/// The marginal whose log-variance follows from `ln θ²`.
#[inline(always)]
pub(super) fn proportional<R: Real>(theta: R, log_var: impl FnOnce(R) -> R) -> Normal<R> {
    let log_theta2 = theta.clone().square().shift(THETA2_FLOOR).ln();
    Normal::new(theta, log_var(log_theta2))
}
