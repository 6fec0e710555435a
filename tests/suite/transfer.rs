//! Means from a trained network into another, by name.

use crate::common::floats;
use sparsevd::copy_means;
use sparsevd::prelude::*;

type Plain = (Linear<5, 4>, ReLU, Linear<4, 3>);
type Bayesian = (SparseVdLinear<5, 4>, ReLU, ArdLinear<4, 3>);

fn dev() -> Cpu {
    Cpu::seed_from_u64(8)
}

#[test]
fn from_dfdx_and_back() {
    let dev = dev();
    let plain = dev.build_module::<Plain, f64>();
    let mut bayesian = dev.build_module::<Bayesian, f32>();
    bayesian.0.set_spread(-7.0).unwrap();
    assert_eq!(copy_means(&plain, &mut bayesian).unwrap(), 4);
    let single = |x: Vec<f64>| x.into_iter().map(|x| f64::from(x as f32)).collect::<Vec<_>>();
    assert_eq!(floats(&bayesian.0.theta), single(floats(&plain.0.weight)));
    assert_eq!(floats(&bayesian.0.bias), single(floats(&plain.0.bias)));
    assert_eq!(floats(&bayesian.2.theta), single(floats(&plain.2.weight)));
    assert_eq!(floats(&bayesian.2.bias), single(floats(&plain.2.bias)));
    assert_eq!(floats(&bayesian.0.spread), vec![-7.0; 20]);

    let mut back = dev.build_module::<Plain, f64>();
    assert_ne!(floats(&back.0.weight), floats(&plain.0.weight));
    assert_eq!(copy_means(&bayesian, &mut back).unwrap(), 4);
    assert_eq!(floats(&back.0.weight), floats(&bayesian.0.theta));
    assert_eq!(floats(&back.2.bias), floats(&bayesian.2.bias));

    let x = dev.sample_normal::<Rank2<6, 5>>();
    let rows: Tensor<(usize, Const<5>), f64, Cpu> = dev.tensor_from_vec(x.as_vec(), (6, Const));
    let mut wide = dev.build_module::<Bayesian, f64>();
    copy_means(&plain, &mut wide).unwrap();
    for (a, b) in wide.forward(rows).as_vec().iter().zip(plain.forward(x).as_vec()) {
        assert!((a - b).abs() < 1e-12);
    }
}

#[test]
fn every_mismatch_is_named_and_nothing_is_changed() {
    let dev = dev();
    let plain = dev.build_module::<(Linear<5, 4>, ReLU, Linear<4, 2>), f32>();
    let mut bayesian = dev.build_module::<(SparseVdLinear<5, 4>, ReLU, ArdLinear<4, 3>, ReLU, ArdLinear<3, 2>), f32>();
    let before = floats(&bayesian.0.theta);
    let Err(Error::Mismatch(problems)) = copy_means(&plain, &mut bayesian) else { panic!("a mismatch") };
    assert_eq!(problems.len(), 4, "{problems:?}");
    for (problem, parts) in problems.iter().zip([
        ["`2.weight`", "[2, 4]", "[3, 4]"],
        ["`2.bias`", "[2]", "[3]"],
        ["`4.weight`", "source", "no"],
        ["`4.bias`", "source", "no"],
    ]) {
        assert!(parts.iter().all(|part| problem.contains(part)), "{problem}");
    }
    assert_eq!(floats(&bayesian.0.theta), before);
}

/// A layer without a bias has a tensor for it all the same: zero, and nobody's to give or take.
#[test]
fn a_bias_that_is_not_there_stays_out_of_it() {
    type Unbiased = Variational<LinearMap<5, 4, false>, Additive, LogUniform>;
    let dev = dev();
    let mut ours = dev.build_module::<Unbiased, f32>();
    let unbiased = dev.build_module::<UnbiasedLinear<5, 4>, f32>();
    assert_eq!(copy_means(&unbiased, &mut ours).unwrap(), 1);
    assert_eq!(floats(&ours.theta), floats(&unbiased.weight));

    let mut biased = dev.build_module::<Linear<5, 4>, f32>();
    assert_eq!(copy_means(&biased, &mut ours).unwrap(), 1);
    assert_eq!(floats(&ours.bias), [0.0; 4]);
    let Err(Error::Mismatch(problems)) = copy_means(&ours, &mut biased) else { panic!("a mismatch") };
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn batch_norms_come_along() {
    type Dense = (DenseLinear<5, 4>, BatchNorm<4>, ReLU, DenseLinear<4, 3>);
    type Sparse = (SparseVdLinear<5, 4>, BatchNorm<4>, ReLU, SparseVdLinear<4, 3>);
    let dev = dev();
    let mut dense = dev.build_module::<Dense, f64>();
    let x: Tensor<(usize, Const<5>), f64, Cpu> = dev.sample_normal_like(&(6, Const));
    dense.forward_mut(x.leaky_trace()); // moves the running moments
    dense.1.scale = dev.sample_normal();
    let mut sparse = dev.build_module::<Sparse, f64>();
    assert_eq!(copy_means(&dense, &mut sparse).unwrap(), 8);
    for (a, b) in sparse.forward(x.clone()).as_vec().iter().zip(dense.forward(x).as_vec()) {
        assert!((a - b).abs() < 1e-12, "{a} {b}");
    }
}
