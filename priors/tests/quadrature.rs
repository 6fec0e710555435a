//! `Normal::kl_to` has the errors that its table states, for the densities that no built-in prior covers.

use std::ops::RangeInclusive;

use sparsevd_priors::laws::Laws;
use sparsevd_priors::{Laplace, Normal, Prior, Real, ScaleMixture, StudentT};

/// A prior that knows its log-density only.
macro_rules! by_density {
    ($name:ident { $($field:ident : $kind:ty),* }, |$self:ident, $w:ident| $ln_pdf:expr) => {
        #[derive(Clone, Debug)]
        struct $name { $($field: $kind),* }
        impl $name {
            fn ln_pdf<R: Real>(&$self, $w: R) -> R {
                $ln_pdf
            }
        }
        impl Prior for $name {
            fn kl<R: Real>(&self, q: Normal<R>) -> R {
                q.kl_to(|w| self.ln_pdf(w))
            }
        }
    };
}

by_density!(Gauss {}, |self, w| w.square().scale(-0.5).shift(-0.918_938_533_204_672_8));
by_density!(Kinked { laplace: Laplace }, |self, w| self.laplace.ln_pdf(w));
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
            let laws = Laws::of(prior).cases(1000).gradient_within(gradient);
            laws.for_sigma(sigma).even().ln_pdf(move |w| density.ln_pdf(w), value).check();
        }
    };
}

#[test]
fn one_scale() {
    // The finite differences of the gradient law are good to 1e-6, the formulas to better.
    row!(Gauss {}, (5e-8, 1e-6), (2e-7, 1e-6), (1e-7, 1e-6), (1e-7, 1e-6));
    row!(Logistic {}, (2e-8, 1e-6), (3e-8, 1e-6), (6e-8, 2e-6), (2e-7, 4e-5));
    row!(StudentT::new(1.0, 1.0).unwrap(), (4e-8, 1e-6), (6e-8, 1e-6), (2e-6, 1e-4), (2e-5, 7e-3));
    row!(StudentT::new(30.0, 1.0).unwrap(), (4e-8, 1e-6), (6e-8, 1e-6), (2e-6, 1e-4), (2e-5, 7e-3));
}

#[test]
fn a_kink_costs_nothing() {
    row!(Kinked { laplace: Laplace::new(1.0).unwrap() }, (3e-8, 3e-6), (4e-8, 3e-6), (3e-8, 3e-6), (3e-8, 3e-6));
}

/// As `ScaleMixture` says of posteriors up to its narrow scale, and up to four times as wide.
#[test]
fn two_scales_and_a_narrow_posterior() {
    let bounded = |prior: &ScaleMixture, sigma, value, gradient| {
        let density = prior.clone();
        let laws = Laws::of(prior.clone()).cases(1000).gradient_within(gradient);
        laws.for_sigma(sigma).even().ln_pdf(move |w| density.ln_pdf(w), value).check();
    };
    let default = (-6_f64).exp();
    for (prior, n) in [
        (ScaleMixture::default(), default),
        (ScaleMixture::new(0.25, 1.0, default).unwrap(), default),
        (ScaleMixture::new(0.5, 1.0, 0.1).unwrap(), 0.1),
    ] {
        bounded(&prior, 1e-6..=n, 4e-4, 3e-3);
        bounded(&prior, n..=4.0 * n, 7e-3, 0.05);
    }
}

#[test]
fn two_scales() {
    row!(ScaleMixture::new(0.5, 1.0, 0.1).unwrap(), (7e-4, 0.02), (2e-3, 0.05), (4e-4, 0.02), (3e-6, 4e-4));
    row!(ScaleMixture::new(0.25, 1.0, (-6_f64).exp()).unwrap(), (7e-3, 1.0), (6e-3, 2.0), (5e-4, 0.2), (1e-6, 6e-4));
}
