//! The multiplicative Gaussian posterior: Gaussian dropout, variational or fixed.

use std::fmt::{self, Debug, Formatter};
use std::marker::PhantomData;

use dfdx::shapes::ConstShape;
use sparsevd_priors::{Normal, Real, Shared};

use super::{Noise, Posterior};
use crate::map::{Map, One};

/// Added to theta^2 under the logarithm, so that a mean of exactly zero has the log-variance `log alpha - 69`.
const THETA2_FLOOR: f64 = 1e-30;

/// `q(w) = N(theta, alpha theta^2)`: `w = theta (1 + sqrt(alpha) eps)`, with log alpha per weight, per output, per layer,
/// or [`Fixed`].
///
/// Source: Kingma, Salimans, Welling 2015. `Multiplicative<Fixed>` is the Gaussian dropout of Srivastava et al. 2014; a
/// dropout rate p corresponds to `alpha = p / (1 - p)`. New layers start with log alpha = -3, fixed ones with 0 (p = 1/2).
#[derive(Clone, Copy, Default, PartialEq)]
pub struct Multiplicative<A: AlphaPer = PerWeight>(PhantomData<A>);

/// `Multiplicative(PerWeight)`.
impl<A: AlphaPer> Debug for Multiplicative<A> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Multiplicative").field(&A::default()).finish()
    }
}

/// How many weights share one alpha.
pub trait AlphaPer: Clone + Copy + Debug + Default + PartialEq + Send + Sync + 'static {
    /// Which weights share it.
    const SHARED: Shared;
    /// The shape of log alpha.
    type Shape<M: Map>: ConstShape;
    /// Whether alpha is trained.
    const TRAINED: bool = true;
    /// The first log alpha.
    const INITIAL: f64 = -3.0;
}

/// Every weight has its own alpha.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerWeight;
impl AlphaPer for PerWeight {
    const SHARED: Shared = Shared::None;
    type Shape<M: Map> = M::Weight;
}

/// The weights into one output share an alpha.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerOutput;
impl AlphaPer for PerOutput {
    const SHARED: Shared = Shared::PerOutput;
    type Shape<M: Map> = M::Bias;
}

/// All weights of the layer share an alpha.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerLayer;
impl AlphaPer for PerLayer {
    const SHARED: Shared = Shared::PerLayer;
    type Shape<M: Map> = One;
}

/// All weights of the layer share an alpha that training leaves alone: Gaussian dropout.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Fixed;
impl AlphaPer for Fixed {
    const SHARED: Shared = Shared::PerLayer;
    type Shape<M: Map> = One;
    const TRAINED: bool = false;
    const INITIAL: f64 = 0.0;
}

impl<A: AlphaPer> Posterior for Multiplicative<A> {
    const SPREAD: &'static str = "log_alpha";
    const SHARED: Shared = A::SHARED;
    type Spread<M: Map> = A::Shape<M>;
    const TRAINED: bool = A::TRAINED;
    const INITIAL: f64 = A::INITIAL;

    fn noise(&self) -> Noise {
        Noise::Gaussian
    }

    #[inline(always)]
    fn q<R: Real>(&self, theta: R, log_alpha: R) -> Normal<R> {
        proportional(theta, |log_theta2| log_theta2 + log_alpha)
    }

    #[inline(always)]
    fn variance<R: Real>(&self, theta: R, log_alpha: R) -> R {
        theta.square() * log_alpha.exp()
    }
}

/// The marginal whose log-variance follows from `ln theta^2`.
#[inline(always)]
pub(super) fn proportional<R: Real>(theta: R, log_var: impl FnOnce(R) -> R) -> Normal<R> {
    let log_theta2 = theta.clone().square().shift(THETA2_FLOOR).ln();
    Normal::new(theta, log_var(log_theta2))
}
