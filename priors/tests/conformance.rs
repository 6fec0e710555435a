//! Every prior of the crate through the laws, one row each.

use sparsevd_priors::laws::Laws;
use sparsevd_priors::{
    Ard, Dual, Error, Flat, Gaussian, HorseshoeLike, Laplace, LogUniform, Normal, Prior, ScaleMixture, StudentT,
};

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
    Laws::of(prior).nonnegative().even().scale_invariant().decreasing_in_alpha()
}

#[test]
fn flat() {
    Laws::of(Flat).nonnegative().even().scale_invariant().decreasing_in_alpha().check();
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
        laws.gradient_within(4e-6).for_sigma(1e-6..=40.0).ln_pdf(ln_pdf, 2e-6).check();
        let (laws, ln_pdf) = density!(StudentT::new(nu, 0.3));
        laws.gradient_within(4e-6).for_sigma(1e-6..=1.2).ln_pdf(ln_pdf, 6e-7).check();
    }
}

/// As [`ScaleMixture`] says, for ratios up to 1e5 and of 1e30.
#[test]
fn scale_mixture() {
    for (pi, sigma1, sigma2) in [(0.5, 1.0, 0.1), (0.25, 1.0, (-6_f64).exp()), (0.9, 0.01, 1.0), (0.01, 3.0, 3e-5)] {
        let (laws, ln_pdf) = density!(ScaleMixture::new(pi, sigma1, sigma2));
        laws.gradient_within(3e-5).ln_pdf(ln_pdf, 1e-6).check();
    }
    let (laws, ln_pdf) = density!(Ok::<_, Error>(ScaleMixture::default()));
    laws.gradient_within(3e-5).ln_pdf(ln_pdf, 1e-6).check();
    let (laws, ln_pdf) = density!(ScaleMixture::new(0.5, 1e15, 1e-15));
    laws.gradient_within(5e-4).ln_pdf(ln_pdf, 3e-4).check();
}

/// The default, where the spike gives way to the slab. Exact: mpmath's quadrature at 25 digits.
#[test]
fn a_spike_narrower_than_the_posterior() {
    let (mean, log_var) = Dual::inputs(0.02, 2.0 * f64::ln(0.135));
    let kl = ScaleMixture::default().kl(Normal::new(mean, log_var));
    let exact = [1.997_153_763_788, 0.033_455_048_384 / 0.135, -0.389_365_281_586];
    for (found, exact) in [kl.value, kl.grad[0], kl.grad[1]].into_iter().zip(exact) {
        assert!((found - exact).abs() < 1e-6, "{found} {exact}");
    }
}

#[test]
fn horseshoe_like() {
    for tau in [1.0, 20.0] {
        let (laws, ln_pdf) = density!(HorseshoeLike::exact(tau));
        laws.gradient_within(3e-5).ln_pdf(ln_pdf, 7e-6).check();
        let (laws, ln_pdf) = density!(HorseshoeLike::new(tau));
        laws.gradient_within(0.013).ln_pdf(ln_pdf, 0.0057).check();
    }
}
