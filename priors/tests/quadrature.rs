//! `Normal::kl_to` has the errors that its table states, for the densities that no built-in prior covers.

use std::ops::RangeInclusive;

use serde::Serialize;
use sparsevd_priors::laws::Laws;
use sparsevd_priors::{Dual, HorseshoeLike, Lane, Lanes, Laplace, Normal, Prior, Real, ScaleMixture, StudentT};

/// A prior that knows its log-density only.
macro_rules! by_density {
    ($name:ident { $($field:ident : $kind:ty),* }, |$self:ident, $w:ident| $ln_pdf:expr) => {
        #[derive(Clone, Debug, Serialize)]
        struct $name { $($field: $kind),* }
        impl $name {
            fn ln_pdf<R: Real>(&$self, $w: R) -> R {
                $ln_pdf
            }
        }
        impl Prior for $name {
            const ID: &'static str = stringify!($name);
            fn kl<R: Real>(&self, q: Normal<R>) -> R {
                q.kl_to(|w| self.ln_pdf(w))
            }
        }
    };
}

by_density!(Gauss {}, |self, w| w.square().scale(-0.5).shift(-0.918_938_533_204_672_8));
by_density!(Kinked { laplace: Laplace }, |self, w| self.laplace.ln_pdf(w));
by_density!(Mixture { mixture: ScaleMixture }, |self, w| self.mixture.ln_pdf(w));
by_density!(Poled {}, |self, w| w.square().at_least(1e-18).recip().ln_1p().ln().shift(-f64::ln(std::f64::consts::TAU)));
by_density!(Logistic {}, |self, w| -w.clone() - (-w).softplus().scale(2.0));

const NARROW: RangeInclusive<f64> = 1e-6..=1.0;
const MIDDLE: RangeInclusive<f64> = 1.0..=4.0;
const WIDE: RangeInclusive<f64> = 4.0..=40.0;
const WIDEST: RangeInclusive<f64> = 40.0..=1e3;

/// `(value, gradient)` bounds of one row of the table.
macro_rules! row {
    ($prior:expr, $($bounds:expr),*) => {
        for (sigma, (value, gradient)) in [NARROW, MIDDLE, WIDE, WIDEST].into_iter().zip([$($bounds),*]) {
            let (prior, density) = ($prior, $prior);
            let laws = Laws::of(prior).cases(400).gradient_within(gradient);
            laws.for_sigma(sigma).even().ln_pdf(move |w| density.ln_pdf(w), value).check();
        }
    };
}

#[test]
fn one_scale() {
    row!(Gauss {}, (4e-7, 2e-6), (4e-7, 2e-6), (4e-7, 2e-6), (4e-7, 2e-6));
    row!(Logistic {}, (5e-7, 3e-6), (5e-7, 3e-6), (5e-7, 3e-6), (5e-7, 3e-6));
    row!(StudentT::new(1.0, 1.0).unwrap(), (6e-7, 3e-6), (6e-7, 4e-6), (2e-6, 4e-6), (2e-5, 2e-5));
    row!(StudentT::new(30.0, 1.0).unwrap(), (6e-7, 3e-6), (6e-7, 4e-6), (2e-6, 4e-6), (2e-5, 2e-5));
}

#[test]
fn a_kink_costs_nothing() {
    row!(Kinked { laplace: Laplace::new(1.0).unwrap() }, (5e-7, 3e-6), (5e-7, 3e-6), (5e-7, 3e-6), (5e-7, 3e-6));
}

#[test]
fn a_pole() {
    row!(Poled {}, (2e-6, 4e-6), (2e-6, 6e-6), (2e-6, 2e-5), (7e-6, 3e-5));
    row!(HorseshoeLike::exact(1.0).unwrap(), (2e-6, 4e-6), (2e-6, 6e-6), (2e-6, 2e-5), (7e-6, 3e-5));
}

/// The points near w = 0 keep their digits in single precision, and none comes so near to the pole that its slope there
/// spoils the gradient. Exact: mpmath's quadrature at 25 digits.
#[test]
fn a_pole_in_single_precision() {
    Laws::of(Poled {}).gradient_within(0.05).check();
    fn found<L: Lane>() -> [f64; 2] {
        let (mean, log_var) = Dual::inputs(L::splat(1.89), L::splat(0.0));
        let kl = Poled {}.kl(Normal::new(mean, log_var));
        [kl.value.first(1).sum(), 1.89 * kl.grad[0].first(1).sum()]
    }
    for found in [found::<f64>(), found::<f32>(), found::<Lanes>()] {
        let exact = [1.640_819_999_74, 1.816_327_768_97];
        assert!((0..2).all(|i| (found[i] - exact[i]).abs() < 1e-5), "{found:?}");
    }
}

#[test]
fn two_scales() {
    let mixture = |pi, spike| Mixture { mixture: ScaleMixture::new(pi, 1.0, spike).unwrap() };
    row!(mixture(0.5, 0.1), (7e-4, 5e-3), (1e-3, 5e-3), (3e-4, 1e-3), (3e-6, 4e-6));
    row!(mixture(0.25, (-6_f64).exp()), (6e-3, 0.03), (4e-3, 0.02), (5e-4, 6e-4), (2e-6, 3e-6));
}
