//! The horseshoe-like prior: a pole at zero and Cauchy-like tails.

use serde::{Deserialize, Serialize};

use crate::error::{self, Error};
use crate::normal::Normal;
use crate::prior::Prior;
use crate::real::Real;

/// `p(w) = ln(1 + tau² / w²) / (2 π tau)`, `tau > 0` in the units of the weights: proper, with a pole at 0, which
/// shrinks small weights, and tails like a Cauchy distribution's, which hardly shrink large ones.
///
/// It is the horseshoe with the half-Cauchy scale replaced so that the density has a closed form. Unlike the
/// log-uniform KL, which depends on θ / σ alone, its KL at θ = 0 has a minimum near σ = tau, and grows on either side:
/// by `ln(σ / tau)` above, by `ln(tau / σ) - ln ln(tau / σ)` below.
///
/// The KL has no closed form. The default is a fit, with `r = θ² / σ²` and `s = σ / tau`:
///
/// ```text
/// KL ~= ln(2 π) - 0.5 ln(2 π e) - ln s - ln l - a x y (1, y, a, a y) C (1, x)^T                   nats, one weight
/// X = 1 / (r + d),   l = ln(1 + s^-2 X (1 + (1 + d) X + q2 X² + q3 X³)),
/// x = d X,   a = c / (c + l),   y = 1 / (1 + h s)
/// ```
///
/// `ln l` is `ln p` at one well-chosen weight, the other terms correct for the width of q. The value is within 0.006
/// nats of the integral, `σ dKL/dθ` within 0.02 and `dKL/dlog σ²` within 0.013. [`exact`](HorseshoeLike::exact) is the
/// integral.
///
/// The fit treats any `s < 1e-12` as 1e-12 (except in `-ln s`), so that it is valid if θ or σ is above 1e-12 tau.
/// `exact` takes the density as constant for `|w| < 1e-36 tau`.
///
/// Source: Bhadra, Datta, Polson, Willard 2017, arXiv 1702.07400, for the density. The fit is this library's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HorseshoeLike {
    #[serde(deserialize_with = "error::scale_number")]
    tau: f64,
    #[serde(default)]
    exact: bool,
}

/// The fit for `tau = 1`.
impl Default for HorseshoeLike {
    fn default() -> Self {
        HorseshoeLike { tau: 1.0, exact: false }
    }
}

impl HorseshoeLike {
    /// The fit, with a fixed scale tau.
    ///
    /// # Errors
    /// [`Error::NotPositive`] unless `tau` is positive and finite, [`Error::OutOfRange`] unless it is between 1e-15 and
    /// 1e15.
    pub fn new(tau: f64) -> Result<Self, Error> {
        Ok(HorseshoeLike { tau: error::scale("HorseshoeLike", "tau", tau)?, exact: false })
    }

    /// The same prior with the KL by quadrature, [`Normal::kl_to`]: within 7e-6 and its gradient within 3e-5, times `1
    /// + |KL|`, for σ up to 1000 tau; about 60x slower in the fused kernel.
    ///
    /// # Errors
    /// As [`new`](HorseshoeLike::new).
    pub fn exact(tau: f64) -> Result<Self, Error> {
        Ok(HorseshoeLike { exact: true, ..HorseshoeLike::new(tau)? })
    }

    /// `ln p(w)`, in nats.
    #[inline(always)]
    pub fn ln_pdf<R: Real>(&self, w: R) -> R {
        ln_pdf_of_unit_scale(w.scale(self.tau.recip())).shift(-self.tau.ln())
    }
}

#[inline(always)]
fn ln_pdf_of_unit_scale<R: Real>(w: R) -> R {
    // ln(1 + w^-2) as softplus(-2 ln |w|): w^-2 and its derivative leave the range of f32.
    w.abs().at_least(CAP).ln().scale(-2.0).softplus().ln().shift(-LN_2_PI)
}

/// The `|w|`, in units of tau, below which the pole is cut off.
const CAP: f64 = 1e-36;
/// The log-variance below which the fit is constant (except in `-ln s`): `s^-3`, the gradient of `s^-2`, is a number of
/// `f32`.
const LEAST_LOG_VAR: f64 = -55.0;
const LN_2_PI: f64 = 1.837_877_066_409_345_6;
/// `ln(2 π) - 0.5 ln(2 π e)`.
const LN_2_PI_LESS_ENTROPY: f64 = 0.418_938_533_204_672_7;

// A fit to 8,639 values of the integral, with the smallest maximum error for θ / σ up to 1000 and ln(σ / tau) from -41
// to 16.
const D: f64 = 3.3886;
const Q: [f64; 3] = [1.0 + D, 7.6502, 357.1];
const A: f64 = 2.187;
const H: f64 = 0.58706;
const C: [[f64; 2]; 4] = [[-9.39712, 8.06017], [9.24179, -7.8123], [9.46059, -9.03323], [-8.95852, 7.47782]];

impl Prior for HorseshoeLike {
    const ID: &'static str = "horseshoe_like";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        let q = q.in_units_of(self.tau);
        if self.exact { q.kl_to(ln_pdf_of_unit_scale) } else { fit(q) }
    }
}

#[inline(always)]
fn fit<R: Real>(q: Normal<R>) -> R {
    let recip_s = q.log_var.clone().at_least(LEAST_LOG_VAR).scale(-0.5).exp();
    let near = (q.mean * recip_s.clone()).square().shift(D).recip();
    let poly = near.clone() * (near.clone() * (near.clone().scale(Q[2]).shift(Q[1]))).shift(Q[0]);
    let l = (recip_s.clone().square() * (near.clone() * poly.shift(1.0))).ln_1p();

    let a = l.clone().shift(A).recip().scale(A);
    let y = recip_s.shift(H).recip().scale(-H).shift(1.0);
    let x = near.scale(D);
    let row = |[zeroth, first]: [f64; 2]| x.clone().scale(first).shift(zeroth);
    let (of_one, of_a) = (row(C[0]) + y.clone() * row(C[1]), row(C[2]) + y.clone() * row(C[3]));
    let width = a.clone() * y * x.clone() * (of_one + a * of_a);
    (-(q.log_var.scale(0.5) + l.ln() + width)).shift(LN_2_PI_LESS_ENTROPY)
}
