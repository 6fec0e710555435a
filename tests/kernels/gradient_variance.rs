//! The variance of each estimator's gradients.

use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Delta, Estimator, Family, GradientVariance, Variance, gradient_variance};

type Net<Q, P> = (Variational<LinearMap<64, 50>, Q, P>, ReLU, Variational<LinearMap<50, 10>, Q, P>);

/// The variances of the gradients of a small classifier on 50 digits.
fn variances<Q: Family, P: Prior + Default>(estimator: Estimator, spread: f64, passes: usize) -> Vec<GradientVariance> {
    let digits = Split::optdigits().unwrap().centred().into_parts().0.take(50, 0).unwrap();
    let mut net = Cpu::seed_from_u64(1).build_module::<Net<Q, P>, f32>();
    net.layers_mut().into_iter().for_each(|(_, layer)| layer.set_spread(spread).unwrap());
    net.configure(Settings { estimator, ..Settings::default() });
    let x: Tensor<(usize, Const<64>), f32, Cpu> = Cpu::default().tensor_from_vec(digits.inputs().to_vec(), (50, Const));
    gradient_variance(&mut net, passes, 3, |net| {
        let nll = categorical(net.forward_mut(x.leaky_trace()), digits.labels())?;
        Ok(Elbo::new(1000)?.loss(net, nll, 0.0)?.objective)
    })
    .unwrap()
}

/// Theta's and the spread's, layer by layer.
fn means<Q: Family, P: Prior + Default>(estimator: Estimator) -> [f64; 4] {
    let of = variances::<Q, P>(estimator, -4.0, 100);
    let spread = |i: usize| of[i].spread.unwrap().mean;
    assert_eq!((of[0].layer.as_str(), of[1].layer.as_str(), of.len()), ("0", "2", 2));
    [of[0].theta.mean, spread(0), of[1].theta.mean, spread(1)]
}

/// 100 passes: each variance is known to sqrt(2 / 99) = 14 % or better. The factors found are, for theta and the spread
/// of either layer, 6, 78, 1.0 and 10 from local reparameterisation to Flipout, and 2.7, 2.8, 3.2 and 2.3 from there to
/// weight sampling. Theta of the last layer sees the noise of each datum only through its own output, so that for it
/// Flipout is as good as local reparameterisation.
#[test]
fn local_reparameterisation_beats_flipout_beats_weight_sampling() {
    let local = means::<Additive, LogUniform>(Estimator::LocalReparameterisation);
    let flipout = means::<Additive, LogUniform>(Estimator::Flipout);
    let sampling = means::<Additive, LogUniform>(Estimator::WeightSampling);
    for (i, factor) in [3.0, 20.0, 0.8, 4.0].into_iter().enumerate() {
        assert!(local[i] > 0.0 && factor * local[i] < flipout[i], "{i}: {local:?} {flipout:?}");
        assert!(1.6 * flipout[i] < sampling[i], "{i}: {flipout:?} {sampling:?}");
    }
}

#[test]
fn without_noise_there_is_no_variance() {
    for of in variances::<Delta, Flat>(Estimator::default(), 0.0, 3) {
        assert_eq!((of.theta, of.spread), (Variance { mean: 0.0, sum: 0.0 }, None));
    }
}

/// `y_o = theta_o x + sigma_o |x| eps_o` summed over three outputs: the gradient of theta is `x`, without noise, that
/// of log sigma^2 is `sigma_o |x| eps_o / 2`, of variance `sigma_o^2 x^2 / 4`. Over 4,000 passes each of the three is
/// known to sqrt(2 / 3999) = 2.2 %, and no weighted mean of them is worse: 4.5 standard errors are 10 %.
#[test]
fn a_variance_that_is_known_is_found() {
    let mut net = Cpu::seed_from_u64(1).build_module::<SparseVdLinear<1, 3>, f64>();
    net.spread.copy_from(&[-1.0, -2.0, -3.0]);
    let x: Tensor<(usize, Const<1>), f64, Cpu> = Cpu::default().tensor_from_vec(vec![1.5], (1, Const));
    let before = net.clone();
    let of = gradient_variance(&mut net, 4000, 7, |net| Ok(net.forward_mut(x.leaky_trace()).sum())).unwrap();
    let expected: f64 = [-1.0, -2.0, -3.0_f64].map(|s| s.exp() * 1.5_f64.powi(2) / 4.0).iter().sum();
    let found = of[0].spread.unwrap();
    assert!((found.sum / expected - 1.0).abs() < 0.1, "{} {expected}", found.sum);
    assert!((found.mean - found.sum / 3.0).abs() < 1e-12 && of[0].theta.sum == 0.0);
    // The parameters stay, and the seed decides.
    assert_eq!((net.theta.as_vec(), net.spread.as_vec()), (before.theta.as_vec(), before.spread.as_vec()));
    let mut again =
        |seed| gradient_variance(&mut net, 10, seed, |net| Ok(net.forward_mut(x.leaky_trace()).sum())).unwrap();
    assert_eq!(again(1), again(1));
    assert_ne!(again(1), again(2));
}

#[test]
fn what_cannot_be_estimated_is_refused() {
    let mut net = Cpu::seed_from_u64(1).build_module::<SparseVdLinear<1, 3>, f64>();
    let one = gradient_variance(&mut net, 1, 0, |net| Network::kl(net));
    assert!(matches!(one, Err(Error::Setting { name: "passes", .. })));
    let fails = gradient_variance(&mut net, 2, 0, |_| Err(Error::NoLayer));
    assert!(matches!(fails, Err(Error::NoLayer)));
}
