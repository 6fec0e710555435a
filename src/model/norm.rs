//! The built batch norm.

use std::cell::Cell;

use dfdx::nn::ModuleMut;
use dfdx::nn::modules::Module;
use dfdx::nn::tensor_collection::*;
use dfdx::prelude::*;
use sparsevd_infer::Op;

use super::describe::ByPath;
use super::network::Network;
use super::plain;
use crate::compute::dfdx_tricks::tensor_of;
use crate::compute::{Backend, Elem, NormMoments, NormView, Taped};
use crate::error::Error;

/// A batch norm on a device; its specification is [`BatchNorm`](crate::BatchNorm).
#[derive(Clone, Debug)]
pub struct BatchNorm<const C: usize, E: Dtype = f32, D: Storage<E> = Cpu> {
    /// The factor of each channel; 1 in a new norm.
    pub scale: Tensor<Rank1<C>, E, D>,
    /// The shift of each channel; 0 in a new norm.
    pub bias: Tensor<Rank1<C>, E, D>,
    /// The mean that evaluation subtracts; 0 in a new norm.
    pub running_mean: Tensor<Rank1<C>, E, D>,
    /// The variance that evaluation divides by; 1 in a new norm.
    pub running_var: Tensor<Rank1<C>, E, D>,
    /// The number added to the variance; 1e-5 in a new norm. Files of networks hold it, and the momentum.
    pub epsilon: f64,
    /// The fraction by which a batch moves the running moments, from 0 to 1; 0.1 in a new norm.
    pub momentum: f64,
}

impl<const C: usize, E: Elem, D: Device<E>> TensorCollection<E, D> for BatchNorm<C, E, D> {
    type To<E2: Dtype, D2: Device<E2>> = BatchNorm<C, E2, D2>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(visitor: &mut V) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let ones = || TensorOptions::detached(|t: &mut Tensor<Rank1<C>, E, D>| t.try_fill_with_ones());
        let zeros = || TensorOptions::detached(|t: &mut Tensor<Rank1<C>, E, D>| t.try_fill_with_zeros());
        // On another device or in another precision dfdx's norms get the default scalars; this one keeps its own.
        let seen = Cell::new(None);
        visitor.visit_fields(
            (
                Self::tensor(
                    "scale",
                    |s| {
                        seen.set(Some((s.epsilon, s.momentum)));
                        &s.scale
                    },
                    |s| &mut s.scale,
                    TensorOptions::reset_to_ones(),
                ),
                Self::tensor("bias", |s| &s.bias, |s| &mut s.bias, TensorOptions::reset_to_zeros()),
                Self::tensor("running_mean", |s| &s.running_mean, |s| &mut s.running_mean, zeros()),
                Self::tensor("running_var", |s| &s.running_var, |s| &mut s.running_var, ones()),
                Self::scalar("epsilon", |s| &s.epsilon, |s| &mut s.epsilon, ScalarOptions::from_default(1e-5)),
                Self::scalar("momentum", |s| &s.momentum, |s| &mut s.momentum, ScalarOptions::from_default(0.1)),
            ),
            |(scale, bias, running_mean, running_var, epsilon, momentum)| {
                let (epsilon, momentum) = seen.get().unwrap_or((epsilon, momentum));
                BatchNorm { scale, bias, running_mean, running_var, epsilon, momentum }
            },
        )
    }
}

impl<const C: usize, E: Elem, D: Backend<E>> BatchNorm<C, E, D> {
    fn evaluate<S: Shape, Ax: Axes>(&self, x: Tensor<S, E, D>) -> Result<Tensor<S, E, D>, D::Err>
    where
        Rank1<C>: BroadcastShapeTo<S, Ax>,
    {
        let std = self.running_var.clone().try_add(E::of(self.epsilon))?.try_sqrt()?;
        let slope = self.scale.clone().try_div(std)?;
        D::normalise(x, self.running_mean.clone(), slope, self.bias.clone())
    }

    fn view(&self) -> NormView<'_, C, E, D> {
        NormView { scale: &self.scale, bias: &self.bias, epsilon: self.epsilon }
    }

    fn train<S, Ax: Axes>(&mut self, x: Taped<S, E, D>) -> Result<Taped<S, E, D>, D::Err>
    where
        S: Shape + HasAxes<Ax> + ReduceShapeTo<Rank1<C>, Ax>,
    {
        let (y, moments) = D::batch_norm(self.view(), x)?;
        if moments.iter().any(|m| m.count < 2.0) {
            return Err(D::shape_error()); // a single number has no variance
        }
        if moments.iter().any(|m| !(m.mean.is_finite() && m.variance.is_finite())) {
            return Ok(y); // the objective will be rejected, and a user's own loop may continue
        }
        let moved = |running: &Tensor<Rank1<C>, E, D>, to: fn(&NormMoments) -> f64| {
            let step = |(old, m): (&E, &NormMoments)| E::of((1.0 - self.momentum) * old.f64() + self.momentum * to(m));
            let new: Vec<E> = running.as_vec().iter().zip(&moments).map(step).collect();
            tensor_of(running.device(), &new, *running.shape())
        };
        let mean = moved(&self.running_mean, |m| m.mean)?;
        let var = moved(&self.running_var, |m| m.variance * m.count / (m.count - 1.0))?;
        (self.running_mean, self.running_var) = (mean, var);
        Ok(y)
    }
}

impl<B: Dim, const C: usize, E: Elem, D: Backend<E>> Module<Tensor<(B, Const<C>), E, D, NoneTape>>
    for BatchNorm<C, E, D>
{
    type Output = Tensor<(B, Const<C>), E, D, NoneTape>;
    type Error = D::Err;

    fn try_forward(&self, x: Tensor<(B, Const<C>), E, D, NoneTape>) -> Result<Self::Output, D::Err> {
        self.evaluate(x)
    }
}

impl<B: Dim, const C: usize, E: Elem, D: Backend<E>> ModuleMut<Taped<(B, Const<C>), E, D>> for BatchNorm<C, E, D> {
    type Output = Taped<(B, Const<C>), E, D>;
    type Error = D::Err;

    fn try_forward_mut(&mut self, x: Taped<(B, Const<C>), E, D>) -> Result<Self::Output, D::Err> {
        self.train(x)
    }
}

impl<B: Dim, const C: usize, H: Dim, W: Dim, E: Elem, D: Backend<E>> Module<Tensor<(B, Const<C>, H, W), E, D, NoneTape>>
    for BatchNorm<C, E, D>
{
    type Output = Tensor<(B, Const<C>, H, W), E, D, NoneTape>;
    type Error = D::Err;

    fn try_forward(&self, x: Tensor<(B, Const<C>, H, W), E, D, NoneTape>) -> Result<Self::Output, D::Err> {
        self.evaluate(x)
    }
}

impl<B: Dim, const C: usize, H: Dim, W: Dim, E: Elem, D: Backend<E>> ModuleMut<Taped<(B, Const<C>, H, W), E, D>>
    for BatchNorm<C, E, D>
{
    type Output = Taped<(B, Const<C>, H, W), E, D>;
    type Error = D::Err;

    fn try_forward_mut(&mut self, x: Taped<(B, Const<C>, H, W), E, D>) -> Result<Self::Output, D::Err> {
        self.train(x)
    }
}

impl<const C: usize, E: Elem, D: Backend<E>> Network<E, D> for BatchNorm<C, E, D> {
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        match *input {
            [channels] | [channels, _, _] if channels == C => Ok(Some(input.to_vec())),
            _ => Err(Error::misfit(path, format!("{C} channels"), input)),
        }
    }

    fn plain(&self, path: &str, _threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
        let op = plain::norm(&self.scale, &self.bias, &self.running_mean, &self.running_var, self.epsilon);
        let op = op.map_err(|problem| Error::Compact { part: path.into(), problem })?;
        found.extend(op.map(|op| (path.to_string(), op)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::graph;
    use crate::model::builders;

    /// Ours and dfdx's after two training passes, with gradients, and at evaluation.
    #[test]
    fn is_what_dfdx_computes() {
        type Images = Rank4<5, 3, 7, 6>;
        let device = Cpu::seed_from_u64(1);
        let mut ours = device.build_module::<builders::BatchNorm<3>, f64>();
        let mut theirs = device.build_module::<dfdx::nn::builders::BatchNorm2D<3>, f64>();
        for scale in [&mut ours.scale, &mut theirs.scale] {
            *scale = device.tensor([0.5, -2.0, 3.0]);
        }
        let weights: Tensor<Images, f64, _> = device.sample_normal();
        for _ in 0..2 {
            let x: Tensor<Images, f64, _> = device.sample_normal() * 3.0 + 5.0;
            let (y, z) = (ours.forward_mut(x.leaky_trace()), theirs.forward_mut(x.leaky_trace()));
            let near = |a: Vec<f64>, b: Vec<f64>| a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10);
            assert!(near(y.as_vec(), z.as_vec()));
            let a = (y.square() * weights.clone()).sum().backward();
            let b = (z.square() * weights.clone()).sum().backward();
            assert!(near(a.get(&x).as_vec(), b.get(&x).as_vec()));
            assert!(near(a.get(&ours.scale).as_vec(), b.get(&theirs.scale).as_vec()));
            assert!(near(a.get(&ours.bias).as_vec(), b.get(&theirs.bias).as_vec()));
            assert!(near(ours.running_mean.as_vec(), theirs.running_mean.as_vec()));
            assert!(near(ours.running_var.as_vec(), theirs.running_var.as_vec()));
            assert!(near(ours.forward(x.clone()).as_vec(), theirs.forward(x).as_vec()));
        }
    }

    #[test]
    fn a_single_number_is_refused() {
        let device = Cpu::default();
        let mut norm = device.build_module::<builders::BatchNorm<2>, f32>();
        assert!(norm.try_forward_mut(device.tensor([[3.0, -1.0]]).leaky_trace()).is_err());
        assert_eq!((norm.running_mean.array(), norm.running_var.array()), ([0.0; 2], [1.0; 2]));
    }

    /// Parameters need not be contiguous: one number for all channels, which gets the sum of their gradients.
    #[test]
    fn broadcast_parameters_train() {
        let device = Cpu::seed_from_u64(3);
        let mut norm = device.build_module::<builders::BatchNorm<130>, f64>();
        norm.scale = device.tensor(1.5).broadcast();
        norm.bias = device.tensor(0.5).broadcast();
        let x: Tensor<Rank2<9, 130>, f64, _> = device.sample_normal();
        let (fused, _) = <Cpu as Backend<f64>>::batch_norm(norm.view(), x.leaky_trace()).unwrap();
        let (graph, _) = graph::norm::batch_norm(norm.view(), x.leaky_trace()).unwrap();
        let (a, b) = (fused.square().sum().backward(), graph.square().sum().backward());
        for of in [&norm.scale, &norm.bias] {
            let gradient = |gradients: &Gradients<f64, Cpu>| gradients.get(of).array();
            let (a, b) = (gradient(&a), gradient(&b));
            assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs())), "{a:?} {b:?}");
        }
    }

    /// The fused passes against the graph, for vectors, in more data than one piece.
    #[test]
    fn fused_is_composed() {
        let device = Cpu::seed_from_u64(2);
        let norm = device.build_module::<builders::BatchNorm<130>, f64>();
        let x: Tensor<Rank2<200, 130>, f64, _> = device.sample_normal();
        let weights: Tensor<Rank2<200, 130>, f64, _> = device.sample_normal();
        let (fused, _) = <Cpu as Backend<f64>>::batch_norm(norm.view(), x.leaky_trace()).unwrap();
        let (graph, _) = graph::norm::batch_norm(norm.view(), x.leaky_trace()).unwrap();
        let gradient = |y: Taped<_, f64, Cpu>| (y.square() * weights.clone()).sum().backward().get(&x).as_vec();
        let (a, b) = (gradient(fused), gradient(graph));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-10 * (1.0 + b.abs())));
    }

    /// Training overwrites x if no other tensor shares x. Other operations may have read x before, or still share it;
    /// or several read the output.
    #[test]
    fn in_place_or_not_gradients_are_right() {
        type Images = Taped<Rank4<5, 3, 7, 9>, f64, Cpu>;
        type Train<'a> = &'a mut dyn FnMut(Images) -> Images;
        type Objective = fn(Images, Train) -> Taped<Rank0, f64, Cpu>;
        let alone: Objective = |x, norm| norm(x * 2.0).exp().sum();
        let read_before: Objective = |x, norm| {
            let h = x * 2.0;
            let read = h.with_empty_tape().sum::<Rank0, _>();
            norm(h).exp().sum::<Rank0, _>() + read
        };
        let still_held: Objective = |x, norm| {
            let h = x * 2.0;
            let held = h.with_empty_tape();
            (norm(h).exp() + held.square()).sum()
        };
        let read_twice: Objective = |x, norm| {
            let y = norm(x * 2.0);
            let again = y.with_empty_tape();
            (y.exp() + again.square()).sum()
        };
        let device = Cpu::seed_from_u64(4);
        let mut norm = device.build_module::<builders::BatchNorm<3>, f64>();
        norm.scale = device.tensor([0.5, -2.0, 3.0]);
        norm.bias = device.tensor([0.1, 0.2, -0.3]);
        let x: Tensor<Rank4<5, 3, 7, 9>, f64, Cpu> = device.sample_normal();
        for objective in [alone, read_before, still_held, read_twice] {
            let fused: Train = &mut |x| <Cpu as Backend<f64>>::batch_norm(norm.view(), x).unwrap().0;
            let graph: Train = &mut |x| graph::norm::batch_norm(norm.view(), x).unwrap().0;
            let [fused, graph] = [fused, graph].map(|norm_of| {
                let objective = objective(x.leaky_trace(), norm_of);
                let value = objective.array();
                let gradients = objective.backward();
                let [scale, bias] = [&norm.scale, &norm.bias].map(|of| gradients.get(of).as_vec());
                [vec![value], scale, bias, gradients.get(&x).as_vec()].concat()
            });
            assert!(fused.iter().zip(&graph).all(|(a, b)| (a - b).abs() < 1e-9 * (1.0 + b.abs())));
        }
    }

    /// Evaluation, too; images of a size that both kinds of loops meet, and one with a NaN.
    #[test]
    fn evaluation_is_composed() {
        let device = Cpu::seed_from_u64(5);
        let of = |x: &mut dyn FnMut() -> Tensor<(usize, Const<3>, usize, usize), f64, Cpu>| {
            let [mean, slope, bias]: [Tensor<Rank1<3>, f64, Cpu>; 3] = std::array::from_fn(|_| device.sample_normal());
            let graph = graph::norm::normalise(x(), mean.clone(), slope.clone(), bias.clone()).unwrap().as_vec();
            let (alone, held) = (x(), x());
            let kept = held.clone();
            for x in [alone, held] {
                let y = <Cpu as Backend<f64>>::normalise(x, mean.clone(), slope.clone(), bias.clone()).unwrap();
                let same = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12 || (a.is_nan() && b.is_nan());
                assert!(y.as_vec().iter().zip(&graph).all(same));
            }
            assert_eq!(kept.as_vec()[1..], x().as_vec()[1..], "what another tensor holds is left alone");
        };
        for size in [1, 3, 8, 9] {
            let x: Tensor<_, f64, Cpu> = device.sample_normal_like(&(4, Const, size, size));
            let mut numbers = x.as_vec();
            numbers[0] = f64::NAN;
            of(&mut || device.tensor_from_vec(numbers.clone(), *x.shape()));
        }
    }
}
