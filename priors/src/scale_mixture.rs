//! The scale mixture of two Gaussians: a spike and a slab.

use serde::{Deserialize, Serialize};

use crate::error::{Error, fraction, fraction_number, scale, scale_number};
use crate::normal::{END, Normal, integral};
use crate::prior::Prior;
use crate::real::Real;

/// `p(w) = pi N(w; 0, sigma1²) + (1 - pi) N(w; 0, sigma2²)`, `0 < pi < 1`, both scales positive, in any order.
///
/// ```text
/// ln p(w) = ln p_wide(w) + softplus(a - b w²)                    nats, each p with its weight pi or 1 - pi
/// KL(q || p) = -H(q) - E_q[ln p_wide(w)] - E_q[softplus(a - b w²)],     a - b w² = ln(p_narrow(w) / p_wide(w))
/// ```
///
/// The softplus tends to 0 for large |w| and holds the spike near zero; nothing cancels. The first expectation has a
/// closed form. The second is an integral over the spike only: 48 points, cut where the spike turns into the slab (`w²
/// = a / b`), so that they resolve a spike of any width. For every posterior, and scales whose ratio is up to 1e5, the
/// value is off by at most 1e-6, the gradient by 3e-5, times `1 + |KL|`; by 3e-4 and 5e-4 up to the ratio of 1e30 that
/// `new` allows.
///
/// Source: Blundell et al. 2015, "Weight Uncertainty in Neural Networks", eq. 7 (they sample the KL).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScaleMixture {
    #[serde(deserialize_with = "fraction_number")]
    pi: f64,
    #[serde(deserialize_with = "scale_number")]
    sigma1: f64,
    #[serde(deserialize_with = "scale_number")]
    sigma2: f64,
}

/// Half a slab of scale 1, half a spike of scale e^-6: the middle of what Blundell et al. 2015 tried.
impl Default for ScaleMixture {
    fn default() -> Self {
        ScaleMixture { pi: 0.5, sigma1: 1.0, sigma2: 0.002_478_752_176_666_358_5 }
    }
}

impl ScaleMixture {
    /// The weight of the first component, then both standard deviations.
    ///
    /// # Errors
    /// [`Error::NotAFraction`] unless `0 < pi < 1`; [`Error::NotPositive`] unless both scales are positive and finite,
    /// [`Error::OutOfRange`] unless they are between 1e-15 and 1e15.
    pub fn new(pi: f64, sigma1: f64, sigma2: f64) -> Result<Self, Error> {
        Ok(ScaleMixture {
            pi: fraction("ScaleMixture", "pi", pi)?,
            sigma1: scale("ScaleMixture", "sigma1", sigma1)?,
            sigma2: scale("ScaleMixture", "sigma2", sigma2)?,
        })
    }

    /// `ln p(w)`, in nats.
    #[inline(always)]
    pub fn ln_pdf<R: Real>(&self, w: R) -> R {
        self.terms().ln_pdf(w)
    }

    fn terms(&self) -> Terms {
        let (one, two) = ((self.pi, self.sigma1), (1.0 - self.pi, self.sigma2));
        let ((p_wide, wide), (p_narrow, narrow)) = if self.sigma1 > self.sigma2 { (one, two) } else { (two, one) };
        Terms {
            wide: -0.5 * wide.powi(-2),
            ln_wide: (p_wide / wide).ln() - HALF_LN_2_PI,
            a: (p_narrow / narrow).ln() - (p_wide / wide).ln(),
            b: 0.5 * (narrow.powi(-2) - wide.powi(-2)),
        }
    }
}

/// `ln p_wide(w) = wide w² + ln_wide`, and `ln(p_narrow / p_wide) = a - b w²`.
struct Terms {
    wide: f64,
    ln_wide: f64,
    a: f64,
    b: f64,
}

impl Terms {
    #[inline(always)]
    fn ln_pdf<R: Real>(&self, w: R) -> R {
        let square = w.square();
        square.clone().scale(self.wide).shift(self.ln_wide) + self.spike(square)
    }

    /// `softplus(a - b w²)`.
    #[inline(always)]
    fn spike<R: Real>(&self, square: R) -> R {
        square.scale(-self.b).shift(self.a).softplus()
    }

    /// `E_q[softplus(a - b w²)]`.
    #[inline(always)]
    fn mean_spike<R: Real>(&self, q: &Normal<R>) -> R {
        // Two equal scales have no spike, and b = 0: any distant cuts are right.
        let b = self.b.max(1e-32);
        let (bend, end) = ((self.a.max(1.0) / b).sqrt(), ((self.a + NOTHING).max(0.0) / b).sqrt());
        let cuts =
            [q.edge(-end, -END, END), q.edge(-bend, -BEND, BEND), q.edge(bend, -BEND, BEND), q.edge(end, -END, END)];
        let spike = |w: R| self.spike(w.square());
        let panel = |i: usize| integral(&cuts[i], &cuts[i + 1], &RULE, &spike);
        panel(0) + panel(1) + panel(2)
    }
}

/// The softplus is neglected at arguments below minus this: `softplus(-18)` is 1.5e-8.
const NOTHING: f64 = 18.0;
/// The largest distance of a cut from the mean, in standard deviations: farther out q has too little weight to matter.
const BEND: f64 = 4.5;

/// `0.5 ln(2 pi)`.
const HALF_LN_2_PI: f64 = 0.918_938_533_204_672_8;

impl Prior for ScaleMixture {
    const ID: &'static str = "scale_mixture";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        let terms = self.terms();
        let slab = (q.mean.clone().square() + q.var()).scale(terms.wide).shift(terms.ln_wide);
        q.kl_of_mean_ln_pdf(slab + terms.mean_spike(&q))
    }
}

/// The 16-point Gauss-Legendre rule on [0, 1].
const RULE: [(f64, f64); 16] = {
    let (mut rule, mut i) = ([(0.0, 0.0); 16], 0);
    while i < 8 {
        let (node, weight) = GAUSS[i];
        (rule[i], rule[15 - i]) = ((0.5 - 0.5 * node, 0.5 * weight), (0.5 + 0.5 * node, 0.5 * weight));
        i += 1;
    }
    rule
};

/// The positive half of the 16-point Gauss-Legendre rule on [-1, 1].
const GAUSS: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_58),
    (0.458_016_777_657_227_37, 0.169_156_519_395_002_53),
    (0.617_876_244_402_643_8, 0.149_595_988_816_576_74),
    (0.755_404_408_355_003, 0.124_628_971_255_533_88),
    (0.865_631_202_387_831_8, 0.095_158_511_682_492_79),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_894),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_096),
];
