//! The log-uniform prior of Sparse Variational Dropout: the paper's fit, Kingma's cubic, and the exact form.

use serde::{Deserialize, Serialize};

use crate::dawson;
use crate::normal::{INV_ALPHA_FLOOR, Normal};
use crate::prior::Prior;
use crate::real::Real;

/// `p(|w|) ~ 1 / |w|`: the prior of Sparse Variational Dropout. Improper, and invariant under scaling.
///
/// Its KL depends on `α = σ² / θ²` alone and tends to 0 as α grows, so weights that the data do not need become pure
/// noise and can be pruned. Being improper it has no normalised posterior (Hron et al. 2018): the "ELBO" it gives is a
/// regularised objective, not a bound on an evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogUniform {
    /// The paper's fit, and the default:
    ///
    /// ```text
    /// KL ~= k1 sigmoid(-(k2 + k3 log α)) + 0.5 ln(1 + 1/α)                        nats, one weight
    /// k1 = 0.63576, k2 = 1.87320, k3 = 1.48695
    /// ```
    ///
    /// Within 0.0094 nats of the exact form for log α in [-10, 10] (worst at -3.5), its derivative in log α within
    /// 0.0137. Source: Molchanov, Ashukha, Vetrov 2017, eq. 14, with the constant kept so that KL -> 0.
    #[default]
    Fit,
    /// Kingma's cubic, meant for α <= 1:
    ///
    /// ```text
    /// KL ~= (γ + ln 2)/2 - 0.5 log α - c1 α - c2 α² - c3 α³
    /// c1 = 1.16145124, c2 = -1.50204118, c3 = 0.58629921
    /// ```
    ///
    /// For log α <= 0 it is never above the exact form, and at most 0.0404 nats below it (at log α = -2.1). Beyond α =
    /// 1 it is constant at 0.39 (its gradient is zero there), so it cannot prune. Source: Kingma, Salimans, Welling
    /// 2015, eq. 14.
    Cubic,
    /// No approximation, with x = |θ| / (σ sqrt 2) and Dawson's function F:
    ///
    /// ```text
    /// KL = 2 int_0^x F(t) dt,    dKL / dlog α = -x F(x)
    /// ```
    ///
    /// Within 1e-14 relative in `f64`, value and derivative. Source: paper-notes/kl.md, which derives it.
    Exact,
}

const K1: f64 = 0.63576;
const K2: f64 = 1.87320;
const K3: f64 = 1.48695;
const C: [f64; 3] = [1.161_451_24, -1.502_041_18, 0.586_299_21];
/// `(γ + ln 2) / 2`, with Euler's constant γ: the excess of the exact KL over `-0.5 log α` as α -> 0.
const SMALL_ALPHA_LIMIT: f64 = 0.635_181_422_730_739_1;

impl Prior for LogUniform {
    const ID: &'static str = "log_uniform";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        let inv_alpha = q.inv_alpha();
        match self {
            LogUniform::Fit => inv_alpha.apply(|inv_alpha| {
                let minus_log_alpha = inv_alpha.clone().shift(INV_ALPHA_FLOOR).ln();
                minus_log_alpha.scale(K3).shift(-K2).sigmoid().scale(K1) + inv_alpha.ln_1p().scale(0.5)
            }),
            LogUniform::Cubic => {
                let inv_alpha = inv_alpha.at_least(1.0);
                let a = inv_alpha.clone().recip();
                let poly = a.clone() * (a.clone() * a.scale(C[2]).shift(C[1])).shift(C[0]);
                inv_alpha.ln().scale(0.5).shift(SMALL_ALPHA_LIMIT) - poly
            }
            LogUniform::Exact => inv_alpha.scale(0.5).lift(dawson::kl_of_square),
        }
    }
}
