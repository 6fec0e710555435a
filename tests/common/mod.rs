//! Shared by the tests: layers with given parameters, their numbers and gradients, and one comparison.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(missing_docs, reason = "a test's helpers")]

use dfdx::prelude::Gradients;
use sparsevd::prelude::*;

/// A tensor's numbers.
pub fn floats<S: Shape, E: Elem, T>(tensor: &Tensor<S, E, Cpu, T>) -> Vec<f64>
where
    Cpu: Backend<E>,
{
    tensor.as_vec().into_iter().map(Elem::f64).collect()
}

/// Runs the dfdx graph in all layers of a network, or the fused kernels.
pub fn compose<E: Elem>(net: &mut impl Network<E, Cpu>, composed: bool)
where
    Cpu: Backend<E>,
{
    net.layers_mut().into_iter().for_each(|(_, layer)| layer.compose(composed));
}

/// Overwrites a tensor with as many of these numbers as it holds.
pub fn put<S: Shape, E: Elem>(tensor: &mut Tensor<S, E, Cpu>, numbers: &[f64]) {
    let count = tensor.shape().num_elements();
    tensor.copy_from(&numbers[..count].iter().map(|x| E::of(*x)).collect::<Vec<_>>());
}

/// A batch of rows, taken from `numbers`.
pub fn batch<const I: usize, E: Elem>(rows: usize, numbers: &[f64]) -> Tensor<(usize, Const<I>), E, Cpu>
where
    Cpu: Backend<E>,
{
    let numbers = numbers[..rows * I].iter().map(|x| E::of(*x)).collect();
    Cpu::default().tensor_from_vec(numbers, (rows, Const))
}

/// The gradient of a tensor; zero where nothing flowed.
pub fn gradient<S: Shape, E: Elem>(gradients: &mut Gradients<E, Cpu>, of: &Tensor<S, E, Cpu>) -> Vec<f64> {
    gradients.get_or_alloc_mut(of).unwrap().iter().map(|x| x.f64()).collect()
}

/// Panics unless `|a - b| <= tolerance (|b| + unit(i))` throughout.
pub fn close(what: &str, a: &[f64], b: &[f64], tolerance: f64, unit: impl Fn(usize) -> f64) {
    assert_eq!(a.len(), b.len(), "{what}");
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let gap = (a - b).abs() / (b.abs() + unit(i));
        assert!(gap <= tolerance, "{what} [{i}]: {a} and {b}, off by {gap:.1e} of {:.1e}", b.abs() + unit(i));
    }
}

/// The largest absolute value.
pub fn largest(x: &[f64]) -> f64 {
    x.iter().fold(0.0, |a, b| a.max(b.abs()))
}
