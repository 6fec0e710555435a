//! The activation of the networks here; dfdx's other activations work with this library's layers, too.

use dfdx::nn::ZeroSizedModule;
use dfdx::nn::modules::{Module, NonMutableModule};
use dfdx::prelude::*;
use sparsevd_infer::{Activation, Op};

use super::describe::ByPath;
use super::network::Network;
use crate::compute::{Backend, Elem};
use crate::error::Error;

/// `max(x, 0)`, element by element, any shape.
///
/// Like dfdx's module of the same name, but on all threads of the CPU, and NaN stays NaN, as in PyTorch (dfdx makes it
/// 0), so that a training run that diverges is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReLU;

impl ZeroSizedModule for ReLU {}
impl NonMutableModule for ReLU {}

impl<S: Shape, E: Elem, D: Backend<E>, T: Tape<E, D>> Module<Tensor<S, E, D, T>> for ReLU {
    type Output = Tensor<S, E, D, T>;
    type Error = D::Err;

    fn try_forward(&self, x: Tensor<S, E, D, T>) -> Result<Self::Output, D::Err> {
        D::relu(x)
    }
}

impl<E: Elem, D: Backend<E>> Network<E, D> for ReLU {
    fn output_shape(&self, _path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        Ok(Some(input.to_vec()))
    }

    fn kinds(&self, path: &str, found: &mut ByPath<String>) {
        found.push((path.into(), "ReLU".into()));
    }

    fn plain(&self, path: &str, _threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
        found.push((path.into(), Op::Activation(Activation::Relu)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Taped;

    /// With more numbers than one piece holds.
    #[test]
    fn is_what_dfdx_computes() {
        let device = Cpu::seed_from_u64(1);
        let x: Tensor<Rank2<200, 301>, f64, _> = device.sample_normal();
        let ours = ReLU.forward(x.leaky_trace());
        let theirs = x.leaky_trace().relu();
        assert_eq!(ours.as_vec(), theirs.as_vec());
        let weights: Tensor<Rank2<200, 301>, f64, _> = device.sample_normal();
        let ours = (ours * weights.clone()).sum().backward().get(&x);
        let theirs = (theirs * weights).sum().backward().get(&x);
        assert_eq!(ours.as_vec(), theirs.as_vec());
    }

    /// It overwrites x if no other tensor shares x. Other operations may have read x before, or still share it.
    #[test]
    fn in_place_or_not_gradients_are_right() {
        type Numbers = Taped<Rank2<20, 30>, f64, Cpu>;
        type Objective = fn(Numbers, fn(Numbers) -> Numbers) -> Taped<Rank0, f64, Cpu>;
        let alone: Objective = |x, relu| relu(x * 2.0).square().sum();
        let read_before: Objective = |x, relu| {
            let h = x * 2.0;
            let read = h.with_empty_tape().sum::<Rank0, _>();
            relu(h).square().sum::<Rank0, _>() + read
        };
        let still_held: Objective = |x, relu| {
            let h = x * 2.0;
            let held = h.with_empty_tape();
            (relu(h) * 3.0 + held.square()).sum()
        };
        let x: Tensor<Rank2<20, 30>, f64, Cpu> = Cpu::seed_from_u64(2).sample_normal();
        for objective in [alone, read_before, still_held] {
            let [ours, theirs] = [|x| ReLU.forward(x), |x: Numbers| x.relu()].map(|relu: fn(Numbers) -> Numbers| {
                let objective = objective(x.leaky_trace(), relu);
                (objective.array(), objective.backward().get(&x).as_vec())
            });
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn keeps_nan() {
        let x = Cpu::default().tensor([f32::NAN, -1.0, 2.0]);
        let y = ReLU.forward(x).array();
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [0.0, 2.0]);
    }
}
