//! Modules of dfdx as parts of networks.

use dfdx::nn::modules as dfdx_modules;
use sparsevd_infer::{Activation, Op};

use super::describe::ByPath;
use super::layer::Layer;
use super::network::{Network, join_path, no_compact_form};
use super::plain::{linear, norm};
use crate::compute::{Backend, Elem};
use crate::error::Error;

impl<N: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D> for dfdx_modules::Residual<N> {
    fn visit<'a>(&'a self, path: &str, found: &mut ByPath<&'a dyn Layer<E, D>>) {
        self.0.visit(&join_path(path, 0), found);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut ByPath<&'a mut dyn Layer<E, D>>) {
        self.0.visit_mut(&join_path(path, 0), found);
    }
    fn kinds(&self, path: &str, found: &mut ByPath<String>) {
        found.push((path.into(), "Residual".into()));
        self.0.kinds(&join_path(path, 0), found);
    }
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        match self.0.output_shape(&join_path(path, 0), input)? {
            Some(output) if output != input => {
                Err(Error::misfit(path, format!("inputs of its output's shape, {output:?}: it is residual"), input))
            }
            same => Ok(same),
        }
    }
}

impl<F: Network<E, D>, R: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D>
    for dfdx_modules::GeneralizedResidual<F, R>
{
    fn visit<'a>(&'a self, path: &str, found: &mut ByPath<&'a dyn Layer<E, D>>) {
        self.f.visit(&join_path(path, "f"), found);
        self.r.visit(&join_path(path, "r"), found);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut ByPath<&'a mut dyn Layer<E, D>>) {
        self.f.visit_mut(&join_path(path, "f"), found);
        self.r.visit_mut(&join_path(path, "r"), found);
    }
    fn kinds(&self, path: &str, found: &mut ByPath<String>) {
        found.push((path.into(), "GeneralizedResidual".into()));
        self.f.kinds(&join_path(path, "f"), found);
        self.r.kinds(&join_path(path, "r"), found);
    }
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        let f = self.f.output_shape(&join_path(path, "f"), input)?;
        let r = self.r.output_shape(&join_path(path, "r"), input)?;
        match (f, r) {
            (Some(f), Some(r)) if f != r => Err(Error::misfit(
                path,
                format!("inputs with equal shapes after both branches, not {f:?}, {r:?}"),
                input,
            )),
            (f, r) => Ok(f.or(r)),
        }
    }
}

impl<N: Network<E, D>, const TIMES: usize, E: Elem, D: Backend<E>> Network<E, D> for dfdx_modules::Repeated<N, TIMES> {
    fn visit<'a>(&'a self, path: &str, found: &mut ByPath<&'a dyn Layer<E, D>>) {
        self.modules.iter().enumerate().for_each(|(i, part)| part.visit(&join_path(path, i), found));
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut ByPath<&'a mut dyn Layer<E, D>>) {
        self.modules.iter_mut().enumerate().for_each(|(i, part)| part.visit_mut(&join_path(path, i), found));
    }
    fn kinds(&self, path: &str, found: &mut ByPath<String>) {
        self.modules.iter().enumerate().for_each(|(i, part)| part.kinds(&join_path(path, i), found));
    }
    fn plain(&self, path: &str, threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
        self.modules.iter().enumerate().try_for_each(|(i, part)| part.plain(&join_path(path, i), threshold, found))
    }
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        let mut parts = self.modules.iter().enumerate();
        parts.try_fold(Some(input.to_vec()), |shape, (i, part)| match shape {
            Some(shape) => part.output_shape(&join_path(path, i), &shape),
            None => Ok(None),
        })
    }
}

/// Implements [`Network`] for dfdx's modules that contain no variational layer. For each it takes the output's shape,
/// or an error with the shape that is read; the module's name, unless its parameters identify it; and its compact form.
macro_rules! without_layers {
    ($($shape:expr, $kind:expr, $plain:expr => $([$($generic:tt)*] $module:ident $(<$($arg:ident),+>)?),+;)+) => { $($(
        impl<$($generic)* E: Elem, D: Backend<E>> Network<E, D> for dfdx_modules::$module $(<$($arg),+>)? {
            fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
                let shape: Result<Vec<usize>, String> = $shape(input);
                shape.map(Some).map_err(|expected| Error::misfit(path, expected, input))
            }
            fn kinds(&self, path: &str, found: &mut ByPath<String>) {
                let kind: Option<String> = $kind(self, stringify!($module));
                found.extend(kind.map(|kind| (path.to_string(), kind)));
            }
            fn plain(&self, path: &str, _threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
                let plain: Result<Option<Op>, String> = $plain(self);
                let plain = plain.map_err(|problem| Error::Compact { part: path.into(), problem })?;
                found.extend(plain.map(|op| (path.to_string(), op)));
                Ok(())
            }
        }
    )+)+ };
}
without_layers! {
    same, named, |_| activation(Activation::Relu) => [] ReLU;
    same, named, |_| activation(Activation::Tanh) => [] Tanh;
    same, named, |_| activation(Activation::Sigmoid) => [] Sigmoid;
    same, silent, |_| Ok(None) => [] Dropout, [const N: usize,] DropoutOneIn<N>;
    same, named, |_| Err(no_compact_form::<Self>()) => [] FastGeLU, [] Sin, [] Cos, [] Ln, [] Exp, [] Square, [] Sqrt, [] Abs,
        [] Softmax, [] LogSoftmax, [] AccurateGeLU;
    same, |m: &Self, name| Some(format!("{name}({:?})", m.0)), |_| Err(no_compact_form::<Self>()) => [] LeakyReLU<E>;
    pooled, named, |_| Err(no_compact_form::<Self>()) => [] AvgPoolGlobal, [] MaxPoolGlobal, [] MinPoolGlobal;
    features::<I, O>, silent, |m: &Self| linear(&m.weight, Some(&m.bias)) =>
        [const I: usize, const O: usize,] Linear<I, O, E, D>;
    features::<I, O>, silent, |m: &Self| linear(&m.weight, None) =>
        [const I: usize, const O: usize,] UnbiasedLinear<I, O, E, D>;
    features::<M, M>, silent, |_| Err(no_compact_form::<Self>()) => [const M: usize,] LayerNorm1D<M, E, D>;
    channels::<C>, silent, |m: &Self| norm(&m.scale, &m.bias, &m.running_mean, &m.running_var, m.epsilon) =>
        [const C: usize,] BatchNorm1D<C, E, D>, [const C: usize,] BatchNorm2D<C, E, D>;
    channels::<C>, silent, |_| Err(no_compact_form::<Self>()) => [const C: usize,] Bias2D<C, E, D>;
}

/// The name of a module whose type determines what it computes.
fn named<T>(_: &T, name: &str) -> Option<String> {
    Some(name.into())
}

/// No name: the module's tensors identify it, or it changes nothing at evaluation.
fn silent<T>(_: &T, _: &str) -> Option<String> {
    None
}

fn activation(f: Activation) -> Result<Option<Op>, String> {
    Ok(Some(Op::Activation(f)))
}

/// Any shape, unchanged.
fn same(input: &[usize]) -> Result<Vec<usize>, String> {
    Ok(input.to_vec())
}

/// An image to one number per channel.
fn pooled(input: &[usize]) -> Result<Vec<usize>, String> {
    if let [channels, _, _] = *input { Ok(vec![channels]) } else { Err("images".into()) }
}

/// `I` features, in the last dimension, to `O`.
fn features<const I: usize, const O: usize>(input: &[usize]) -> Result<Vec<usize>, String> {
    match input {
        [others @ .., features] if *features == I => Ok([others, &[O]].concat()),
        _ => Err(format!("{I} numbers")),
    }
}

/// `C` channels, in the first dimension, unchanged.
fn channels<const C: usize>(input: &[usize]) -> Result<Vec<usize>, String> {
    if input.first() == Some(&C) { Ok(input.to_vec()) } else { Err(format!("{C} channels")) }
}
