//! Every prior over the whole range of posteriors and hyper-parameters that the documentation gives: value and gradient
//! are finite, and single precision agrees with double.

use serde::Serialize;
use sparsevd_priors::laws::Laws;
use sparsevd_priors::{
    Ard, Dual, Error, Flat, Gaussian, HorseshoeLike, Lane, Lanes, Laplace, LogUniform, Normal, Prior, Real,
    ScaleMixture, StudentT,
};

/// `[KL, dKL/dtheta, dKL/dlog sigma^2]`.
fn evaluate<L: Lane>(prior: &impl Prior, theta: f64, log_var: f64) -> [f64; 3] {
    let (mean, log_var) = Dual::inputs(L::splat(theta), L::splat(log_var));
    let kl = prior.kl(Normal::new(mean, log_var));
    [kl.value, kl.grad[0], kl.grad[1]].map(|part| part.first(1).sum())
}

/// The range in which `Normal` promises single precision: log σ² from -87 to 30, |θ| from 0 to 1e4, and |θ| / σ up to
/// 1e19.
fn posteriors() -> impl Iterator<Item = (f64, f64)> {
    let single = |x: f64| f64::from(x as f32);
    (0..=39).flat_map(move |i| {
        let log_var = -87.0 + 3.0 * f64::from(i);
        let means = (0..=45).map(move |j| single(1e4 * 10_f64.powf(-f64::from(j)))).chain([0.0, -0.3, 1e-44]);
        means.filter(move |theta| theta.abs() < 1e19 * (0.5 * log_var).exp()).map(move |theta| (theta, log_var))
    })
}

/// Rounding is relative to the terms that are added; of a gradient by theta, to one in units of `max(|theta|, sigma)`.
#[track_caller]
fn in_range(prior: &impl Prior) {
    for (theta, log_var) in posteriors() {
        let exact = evaluate::<f64>(prior, theta, log_var);
        let unit = f64::max(theta.abs(), (0.5 * log_var).exp());
        let single = evaluate::<f32>(prior, theta, log_var);
        let lanes = evaluate::<Lanes>(prior, theta, log_var);
        for (kind, found) in [("f32", single), ("lanes", lanes)] {
            for i in 0..3 {
                let unit = if i == 1 { unit } else { 1.0 };
                let within = 1e-4 * (1.0 + exact[0].abs() + unit * exact[i].abs());
                let near = unit * (found[i] - exact[i]).abs() <= within;
                assert!(near, "{prior:?} at {theta:e}, {log_var} in {kind}: {found:?}, not {exact:?}");
            }
        }
    }
}

#[test]
fn priors_of_ratios() {
    for prior in [LogUniform::Fit, LogUniform::Cubic, LogUniform::Exact] {
        in_range(&prior);
    }
    in_range(&Ard::per_weight());
    in_range(&Flat);
}

/// theta^2 is no number of f32, theta^2 / sigma^2 is.
#[test]
fn a_tiny_mean_with_a_tiny_variance() {
    for prior in [LogUniform::Fit, LogUniform::Cubic, LogUniform::Exact] {
        for theta in [2.37e-23, -2.37e-23, 1e-26, 0.0] {
            let [wide, single, lanes] = [
                evaluate::<f64>(&prior, theta, -71.0),
                evaluate::<f32>(&prior, theta, -71.0),
                evaluate::<Lanes>(&prior, theta, -71.0),
            ];
            for i in 0..3 {
                let within = 1e-5 * (1.0 + wide[i].abs());
                assert!(
                    (single[i] - wide[i]).abs() <= within && (lanes[i] - wide[i]).abs() <= within,
                    "{single:?} {lanes:?} {wide:?}"
                );
            }
        }
    }
}

/// A mixture as the literature writes it, whose densities underflow in single precision: where they do, the KL is
/// infinite in `f32` and in lanes alike, and never a number that is wrong.
#[test]
fn a_density_that_underflows() {
    #[derive(Clone, Debug, Serialize)]
    struct Naive;
    impl Prior for Naive {
        const ID: &'static str = "naive";
        fn kl<R: Real>(&self, q: Normal<R>) -> R {
            q.kl_to(|w| {
                let g = |s: f64| w.clone().square().scale(-0.5 / (s * s)).exp().scale(0.5 / s);
                (g(0.1) + g(0.002)).ln().shift(-0.918_938_533_2)
            })
        }
    }
    let wide = evaluate::<f64>(&Naive, 1.5, -16.0);
    assert!((wide[0] - 118.391).abs() < 1e-3 && (wide[1] - 150.0).abs() < 1e-3, "{wide:?}");
    assert_eq!(evaluate::<f32>(&Naive, 1.5, -16.0)[0], f64::INFINITY);
    assert_eq!(evaluate::<Lanes>(&Naive, 1.5, -16.0)[0], f64::INFINITY);
    for theta in [1.2, 1.3] {
        let wide = evaluate::<f64>(&Naive, theta, -16.0);
        for found in [evaluate::<f32>(&Naive, theta, -16.0), evaluate::<Lanes>(&Naive, theta, -16.0)] {
            assert!((0..2).all(|i| (found[i] / wide[i] - 1.0).abs() < 1e-4), "{theta}: {found:?}, not {wide:?}");
        }
    }
}

#[test]
fn priors_with_a_scale() -> Result<(), Error> {
    for scale in [0.01, 1.0, 100.0] {
        in_range(&Gaussian::new(scale)?);
        in_range(&Laplace::new(scale)?);
        in_range(&StudentT::new(1.0, scale)?);
        in_range(&HorseshoeLike::new(scale)?);
        in_range(&HorseshoeLike::exact(scale)?);
        in_range(&ScaleMixture::new(0.5, scale, 0.002 * scale)?);
    }
    Ok(())
}

/// Whatever a constructor accepts, layers of either precision can train with.
#[test]
fn the_extremes_that_constructors_accept() -> Result<(), Error> {
    for scale in [1e-15, 1e15] {
        Laws::of(Gaussian::new(scale)?).check();
        Laws::of(Laplace::new(scale)?).check();
        Laws::of(HorseshoeLike::new(scale)?).check();
        Laws::of(HorseshoeLike::exact(scale)?).check();
        for nu in [0.2, 1.0, 1e15] {
            Laws::of(StudentT::new(nu, scale)?).check();
        }
        for pi in [f64::MIN_POSITIVE, 0.5, 1.0_f64.next_down()] {
            for other in [1e-15, 1.0, 1e15] {
                Laws::of(ScaleMixture::new(pi, scale, other)?).cases(128).check();
            }
        }
    }
    Ok(())
}
