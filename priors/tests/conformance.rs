//! Every prior of the crate through the laws, one row each.

use sparsevd_priors::laws::Laws;
use sparsevd_priors::{Ard, Flat, Gaussian, Laplace, LogUniform, Prior, ScaleMixture, StudentT};

/// `(gamma + ln 2) / 2`.
const ARD_GAP: f64 = 0.635_181_422_730_739_1;

/// The laws of a proper, even prior with this log-density.
macro_rules! density {
    ($prior:expr) => {{
        let (prior, density) = ($prior.unwrap(), $prior.unwrap());
        (Laws::of(prior).proper().even(), move |w: f64| density.ln_pdf(w))
    }};
}

fn gaussian_ln_pdf(s: f64) -> impl Fn(f64) -> f64 + Clone {
    move |w| -0.5 * (w / s).powi(2) - s.ln() - 0.918_938_533_204_672_8
}

fn invariant(prior: impl Prior) -> Laws<impl Prior> {
    Laws::of(prior).proper().even().scale_invariant().decreasing_in_alpha()
}

#[test]
fn flat() {
    Laws::of(Flat).proper().even().scale_invariant().decreasing_in_alpha().check();
}

#[test]
fn gaussian() {
    for s in [0.05, 1.0, 20.0] {
        Laws::of(Gaussian::new(s).unwrap()).proper().even().ln_pdf(gaussian_ln_pdf(s), 1e-9).check();
    }
    Laws::of(Gaussian::learned()).proper().even().ln_pdf(gaussian_ln_pdf(1.0), 1e-9).check();
}

#[test]
fn ard() {
    invariant(Ard::per_weight()).check();
    for shared in [Ard::per_output(), Ard::per_input(), Ard::per_layer()] {
        Laws::of(shared).proper().even().ln_pdf(gaussian_ln_pdf(1.0), 1e-9).check();
    }
}

#[test]
fn log_uniform_fit() {
    invariant(LogUniform::Fit)
        .against(LogUniform::Exact, 0.0094, -10.0..=10.0)
        .slope_against(LogUniform::Exact, 0.0137, -10.0..=10.0)
        .check();
}

#[test]
fn log_uniform_cubic() {
    invariant(LogUniform::Cubic).exceeds(LogUniform::Exact, -0.0404..=0.0, -30.0..=0.0).check();
}

#[test]
fn log_uniform_exact() {
    invariant(LogUniform::Exact).exceeds(Ard::per_weight(), 0.0..=ARD_GAP, -60.0..=40.0).check();
}

#[test]
fn laplace() {
    for b in [0.05, 1.0, 20.0] {
        let (laws, ln_pdf) = density!(Laplace::new(b));
        laws.ln_pdf(ln_pdf, 1e-9).check();
    }
}

#[test]
fn student_t() {
    for nu in [1.0, 3.0, 30.0] {
        let (laws, ln_pdf) = density!(StudentT::new(nu, 1.0));
        laws.gradient_within(1e-4).for_sigma(1e-6..=40.0).ln_pdf(ln_pdf, 2e-6).check();
        let (laws, ln_pdf) = density!(StudentT::new(nu, 0.3));
        laws.for_sigma(1e-6..=1.2).ln_pdf(ln_pdf, 2e-7).check();
    }
}

#[test]
fn scale_mixture() {
    let (laws, ln_pdf) = density!(ScaleMixture::new(0.5, 1.0, 0.1));
    laws.gradient_within(0.05).ln_pdf(ln_pdf, 1.5e-3).check();
}
