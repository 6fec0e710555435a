//! The exact log-uniform KL against forms that share no code with it.

use std::f64::consts::{LN_2, PI};

use proptest::prelude::*;
use sparsevd_priors::{Dual, LogUniform, Normal, Prior};
use statrs::function::gamma::{digamma, ln_gamma};

const EULER: f64 = 0.577_215_664_901_532_9;

/// KL and dKL/dlog alpha at m = 1 / (2 alpha).
fn exact(m: f64) -> (f64, f64) {
    let (mean, log_var) = Dual::inputs((2.0 * m).sqrt(), 0.0_f64);
    let kl = LogUniform::Exact.kl(Normal::new(mean, log_var));
    (kl.value, kl.grad[1])
}

/// `E_{j ~ Poisson(m)} sum_{i < j} 1 / (2i + 1)`: half of `psi(j + 1/2) - psi(1/2)`, and not one negative term.
fn poisson_mixture(m: f64) -> f64 {
    let (mut weight, mut harmonic, mut sum) = ((-m).exp(), 0.0, 0.0);
    for j in 1..2000_u32 {
        weight *= m / f64::from(j);
        harmonic += 1.0 / f64::from(2 * j - 1);
        sum += weight * harmonic;
    }
    sum
}

/// Rybicki: `F(x) = pi^-1/2 sum_{n odd} e^-(x - n h)^2 / n`, up to `e^-(pi / 2h)^2 = e^-61`.
fn dawson(x: f64) -> f64 {
    let h = 0.2;
    // Its terms cancel near 0, where F(x) = x - 2 x^3 / 3 + ..
    if x < 0.05 {
        let x2 = x * x;
        return x * (1.0 - x2 * (2.0 / 3.0 - x2 * (4.0 / 15.0 - x2 * (8.0 / 105.0 - x2 * 16.0 / 945.0))));
    }
    let term =
        |n: i32| ((-(x - f64::from(n) * h).powi(2)).exp() - (-(x + f64::from(n) * h).powi(2)).exp()) / f64::from(n);
    (0..200).map(|k| term(2 * k + 1)).sum::<f64>() / PI.sqrt()
}

/// 600 intervals of Simpson's rule.
fn integral_of_dawson(x: f64) -> f64 {
    let n = 600;
    let h = x / f64::from(n);
    let weight = |i: i32| if i == 0 || i == n { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
    (0..=n).map(|i| weight(i) * dawson(f64::from(i) * h)).sum::<f64>() * h / 3.0
}

/// `m 2F2(1, 1; 3/2, 2; -m)`, for small m, where its terms do not cancel.
fn hypergeometric(m: f64) -> f64 {
    let (mut term, mut sum) = (m, 0.0);
    for k in 0..40 {
        sum += term;
        let k = f64::from(k);
        term *= -m * (k + 1.0) * (k + 1.0) / ((k + 1.5) * (k + 2.0) * (k + 1.0));
    }
    sum
}

fn relative(a: f64, b: f64) -> f64 {
    (a / b - 1.0).abs()
}

/// The points at which the series at zero, the 28 nodes and the asymptotic series meet, and points between them.
fn everywhere() -> impl Iterator<Item = f64> {
    let boundaries = (1..=56).map(|i| 0.125 * f64::from(i));
    let between = (1..4000).map(|i| 26.0 * f64::from(i) / 4000.0);
    let small = (1..60).map(|i| 10_f64.powf(-0.25 * f64::from(i)));
    boundaries.flat_map(|x| [x.next_down(), x, x.next_up()]).chain(between).chain(small)
}

/// Measured: 7.8e-15.
#[test]
fn value_is_the_poisson_mixture() {
    let worst = everywhere().map(|x| relative(exact(x * x).0, poisson_mixture(x * x))).fold(0.0, f64::max);
    println!("largest relative error of the value: {worst:.1e}");
    assert!(worst < 2e-14, "{worst:e}");
}

/// Measured: 4.2e-15. Derivation: K' = 2F and m = x^2 give dK/dlog alpha = -m dK/dm = -x F(x).
#[test]
fn slope_is_minus_x_times_dawson() {
    let worst = everywhere().map(|x| relative(exact(x * x).1, -x * dawson(x))).fold(0.0, f64::max);
    println!("largest relative error of the slope: {worst:.1e}");
    assert!(worst < 2e-14, "{worst:e}");
}

#[test]
fn branches_meet() {
    for i in 1..=56 {
        let x = 0.125 * f64::from(i);
        let (below, above) = (exact(x.next_down().powi(2)), exact(x.next_up().powi(2)));
        assert!(relative(below.0, above.0) < 2e-14 && relative(below.1, above.1) < 2e-14, "{x}: {below:?} {above:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// `KL = (E_{j ~ Poisson(m)} psi(j + 1/2) - psi(1/2)) / 2`; this psi is good to 1e-13.
    #[test]
    fn value_is_an_expected_digamma(m in 0.01..300.0_f64) {
        let weight = |j: f64| (j * m.ln() - m - ln_gamma(j + 1.0)).exp();
        let mean: f64 = (0..800).map(|j| weight(f64::from(j)) * digamma(f64::from(j) + 0.5)).sum();
        prop_assert!((exact(m).0 - 0.5 * (mean - digamma(0.5))).abs() < 1e-11);
    }

    #[test]
    fn value_is_a_hypergeometric_series(m in 1e-12..1.0_f64) {
        prop_assert!(relative(exact(m).0, hypergeometric(m)) < 1e-14);
    }

    /// Simpson's rule: h^4 / 180 x max F'''' = (x/600)^4 x / 10.
    #[test]
    fn value_is_twice_the_integral_of_dawson(x in 0.01..8.0_f64) {
        prop_assert!((exact(x * x).0 - 2.0 * integral_of_dawson(x)).abs() < 2.0 * (x / 600.0).powi(4) * x + 1e-13);
    }

    /// KL = -0.5 log alpha + (gamma + ln 2) / 2 - alpha / 2 + O(alpha^2)
    #[test]
    fn little_noise(log_alpha in -80.0..-9.0_f64) {
        let alpha = log_alpha.exp();
        let limit = 0.5 * (EULER + LN_2 - log_alpha - alpha);
        prop_assert!((exact(0.5 / alpha).0 - limit).abs() < alpha * alpha + 1e-13);
    }

    /// KL = 1/(2 alpha) (1 - 1/(6 alpha) + ..), an alternating series.
    #[test]
    fn much_noise(log_alpha in 3.0..70.0_f64) {
        let m = 0.5 * (-log_alpha).exp();
        let kl = exact(m).0;
        prop_assert!(kl < m * (1.0 + 1e-14) && kl > m * (1.0 - m / 3.0) * (1.0 - 1e-14));
    }
}
