//! The estimators' expected loss and expected gradient: against closed forms with their finite differences, and against
//! each other.
//!
//! The outputs that a dense layer samples for one example are independent Gaussians under every estimator, whatever they
//! share between examples. So the expectation of a loss that is a sum over examples is the same, also through further
//! layers, and so is its gradient. A convolution shares its weights between positions, and local reparameterisation draws
//! positions independently: there only losses that are sums over single outputs have the same expectation.

mod convolution;
mod dense;

use sparsevd::Estimator;
use statrs::distribution::{ContinuousCDF, Normal as Gauss};

/// The chance that a test here fails although the code is right, were its seeds drawn: each test divides it by the number
/// of its comparisons (Bonferroni). Nominal: means over thousands of passes are taken for Gaussian.
const FALSE_ALARMS: f64 = 1e-3;

/// The number of standard errors that one of so many comparisons may be off.
fn bound(comparisons: usize) -> f64 {
    Gauss::standard().inverse_cdf(1.0 - FALSE_ALARMS / (2.0 * comparisons as f64))
}

const LOCAL: Estimator = Estimator::LocalReparameterisation;
/// Fused where there is a fused kernel. With the same noise, what is composed gives the same numbers: `fused_linear`, `conv`.
const ESTIMATORS: [Estimator; 3] = [LOCAL, Estimator::WeightSampling, Estimator::Flipout];

/// Numbers of several passes: their means and the standard errors of these.
struct Means {
    mean: Vec<f64>,
    error: Vec<f64>,
}

impl Means {
    fn of(passes: &[Vec<f64>]) -> Self {
        let n = passes.len() as f64;
        let over_passes = |i: usize, f: &dyn Fn(f64) -> f64| passes.iter().map(|pass| f(pass[i])).sum::<f64>();
        let mean: Vec<f64> = (0..passes[0].len()).map(|i| over_passes(i, &|x| x) / n).collect();
        let squares = |i: usize| over_passes(i, &|x| (x - mean[i]).powi(2));
        let error = (0..mean.len()).map(|i| (squares(i) / (n - 1.0) / n).sqrt()).collect();
        Means { mean, error }
    }

    /// The differences of the means from these numbers, in standard errors.
    fn off(&self, expected: &[f64]) -> Vec<f64> {
        assert_eq!(self.mean.len(), expected.len());
        (0..expected.len()).map(|i| off(self.mean[i] - expected[i], self.error[i])).collect()
    }

    /// The differences of the means of independent passes, in standard errors of the differences.
    fn apart(&self, other: &Means) -> Vec<f64> {
        assert_eq!(self.mean.len(), other.mean.len());
        let gap = |i: usize| off(self.mean[i] - other.mean[i], self.error[i].hypot(other.error[i]));
        (0..self.mean.len()).map(gap).collect()
    }
}

/// A number that never varies has to be met exactly.
fn off(gap: f64, error: f64) -> f64 {
    if gap == 0.0 { 0.0 } else { gap.abs() / error }
}

fn most(off: &[f64]) -> f64 {
    off.iter().fold(0.0, |a, b| if b.is_nan() { f64::INFINITY } else { f64::max(a, *b) })
}

/// A loss, its gradient, and of each block of the gradient the product with that block of `along`, in which what is
/// wrong by a factor adds up.
fn with_products(numbers: &[f64], along: &[f64], blocks: &[usize]) -> Vec<f64> {
    let mut all = numbers.to_vec();
    let mut start = 1;
    for block in blocks {
        let here = start..start + block;
        all.push(numbers[here.clone()].iter().zip(&along[here]).map(|(a, b)| a * b).sum());
        start += block;
    }
    assert_eq!(start, numbers.len());
    all
}

/// The targets of the outputs: near their means, which are of order 1.
fn target(i: usize) -> f64 {
    (1.0 + i as f64).sin()
}

/// A function and its central differences: of step 1e-5, whose error of about 1e-10 is nothing to standard errors.
fn with_differences<const N: usize>(at: &[Vec<f64>; N], f: impl Fn(&[Vec<f64>; N]) -> f64) -> Vec<f64> {
    let mut all = vec![f(at)];
    for (block, i) in (0..N).flat_map(|block| (0..at[block].len()).map(move |i| (block, i))) {
        let moved = |by: f64| {
            let mut to = at.clone();
            to[block][i] += by;
            f(&to)
        };
        all.push((moved(1e-5) - moved(-1e-5)) / 2e-5);
    }
    all
}
