//! A module of a user's own, with a parameter and a statistic, among layers of this library.

use sparsevd::dfdx::nn::tensor_collection::*;
use sparsevd::prelude::*;
use sparsevd::{GaussianLikelihood, compact, means_from_bytes, posterior_from_bytes, posterior_to_bytes};

#[derive(Clone, Debug, Default)]
struct Scale;

#[derive(Clone, Debug)]
struct Scaled<E: Dtype, D: Storage<E>> {
    temperature: Tensor<Rank0, E, D>,
    /// Nothing trains it; only its name is that of a layer's bias.
    bias: Tensor<Rank0, E, D>,
}

impl<E: Elem, D: Backend<E>> BuildOnDevice<D, E> for Scale {
    type Built = Scaled<E, D>;
}

impl<E: Elem, D: Device<E>> TensorCollection<E, D> for Scaled<E, D> {
    type To<E2: Dtype, D2: Device<E2>> = Scaled<E2, D2>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(visitor: &mut V) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let ones = TensorOptions::reset_to_ones();
        let still = TensorOptions::detached(|t| t.try_fill_with_zeros());
        let fields = (
            Self::tensor("temperature", |s| &s.temperature, |s| &mut s.temperature, ones),
            Self::tensor("bias", |s| &s.bias, |s| &mut s.bias, still),
        );
        visitor.visit_fields(fields, |(temperature, bias)| Scaled { temperature, bias })
    }
}

impl<E: Elem, D: Backend<E>> Network<E, D> for Scaled<E, D> {}

type Net = (SparseVdLinear<3, 2>, Scale);

fn net(seed: u64) -> <Net as BuildOnDevice<Cpu, f32>>::Built {
    Cpu::seed_from_u64(seed).build_module::<Net, f32>()
}

fn own(net: &<Net as BuildOnDevice<Cpu, f32>>::Built) -> [f32; 2] {
    [net.1.temperature.array(), net.1.bias.array()]
}

#[test]
fn its_tensors_are_saved_whatever_they_are_called() {
    let (mut from, mut to) = (net(1), net(2));
    from.1.temperature.copy_from(&[2.5]);
    from.1.bias.copy_from(&[-1.5]);
    posterior_from_bytes(&mut to, &posterior_to_bytes(&from, &()).unwrap()).unwrap();
    assert_eq!(own(&to), [2.5, -1.5]);
}

#[test]
fn means_leave_its_tensors_alone() {
    let (mut from, mut to) = (net(1), net(2));
    from.1.temperature.copy_from(&[2.5]);
    assert_eq!(means_from_bytes(&mut to, &posterior_to_bytes(&from, &()).unwrap()).unwrap(), 2);
    assert_eq!(to.0.theta.as_vec(), from.0.theta.as_vec());
    assert_eq!(own(&to), [1.0, 0.0], "as `copy_means` does");
}

#[test]
fn a_noise_level_does_not_hinder_compaction() {
    let net = Cpu::seed_from_u64(1).build_module::<(GaussianLinear<3, 2>, GaussianLikelihood), f32>();
    assert_eq!(compact(&net, &[3], 3.0).unwrap().report().unwrap().layers[0].outputs, 2);
}

#[test]
fn an_objective_from_a_file_is_checked() {
    let elbo = Elbo::new(10).unwrap().beta(0.5).unwrap().warm_up(1.0, 2.0).unwrap();
    let text = serde_json::to_string(&elbo).unwrap();
    assert_eq!(serde_json::from_str::<Elbo>(&text).unwrap(), elbo);
    for (good, bad) in [("10", "0"), ("0.5", "-0.5"), ("1.0", "3.0")] {
        assert!(serde_json::from_str::<Elbo>(&text.replace(good, bad)).is_err(), "{text}: {good} to {bad}");
    }
}
