//! Which modules are networks: tuples of networks, and what dfdx brings.

use dfdx::nn::modules as dfdx_modules;
use dfdx::prelude::*;
use sparsevd_infer::{Activation, Op};

use crate::backend::{Backend, Elem};
use crate::error::Error;
use crate::network::{Layers, LayersMut, Network, Plain};
use crate::variational::floats;

/// The path of a part, which is how the names of its tensors begin: `"2"` in `""`, `"2.0"` in `"2"`.
pub fn within(path: &str, part: impl std::fmt::Display) -> String {
    if path.is_empty() { part.to_string() } else { format!("{path}.{part}") }
}

/// A part of a network that cannot read its input.
pub(crate) fn misfit(path: &str, expected: impl Into<String>, found: &[usize]) -> Error {
    Error::Shape { layer: path.into(), expected: expected.into(), found: found.into() }
}

/// Tuples visit their parts in order. A macro because Rust has no way to say "tuples of every length".
macro_rules! tuple {
    ($($part:ident $index:tt),+) => {
        impl<E: Elem, D: Backend<E>, $($part: Network<E, D>),+> Network<E, D> for ($($part,)+) {
            fn visit<'a>(&'a self, path: &str, found: &mut Layers<'a, E, D>) {
                $(self.$index.visit(&within(path, $index), found);)+
            }
            fn visit_mut<'a>(&'a mut self, path: &str, found: &mut LayersMut<'a, E, D>) {
                $(self.$index.visit_mut(&within(path, $index), found);)+
            }
            fn plain(&self, path: &str, threshold: f64, found: &mut Plain) -> Result<(), Error> {
                $(self.$index.plain(&within(path, $index), threshold, found)?;)+
                Ok(())
            }
            fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
                let shape = Some(input.to_vec());
                $(
                    let Some(shape) = shape else { return Ok(None) };
                    let shape = self.$index.output_shape(&within(path, $index), &shape)?;
                )+
                Ok(shape)
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, F 3);
tuple!(A 0, B 1, C 2, F 3, G 4);
tuple!(A 0, B 1, C 2, F 3, G 4, H 5);

impl<N: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D> for dfdx_modules::Residual<N> {
    fn visit<'a>(&'a self, path: &str, found: &mut Layers<'a, E, D>) {
        self.0.visit(&within(path, 0), found);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut LayersMut<'a, E, D>) {
        self.0.visit_mut(&within(path, 0), found);
    }
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        match self.0.output_shape(&within(path, 0), input)? {
            Some(output) if output != input => {
                Err(misfit(path, format!("what it gives, {output:?}, because it is residual"), input))
            }
            same => Ok(same),
        }
    }
}

impl<F: Network<E, D>, R: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D>
    for dfdx_modules::GeneralizedResidual<F, R>
{
    fn visit<'a>(&'a self, path: &str, found: &mut Layers<'a, E, D>) {
        self.f.visit(&within(path, "f"), found);
        self.r.visit(&within(path, "r"), found);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut LayersMut<'a, E, D>) {
        self.f.visit_mut(&within(path, "f"), found);
        self.r.visit_mut(&within(path, "r"), found);
    }
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        let f = self.f.output_shape(&within(path, "f"), input)?;
        let r = self.r.output_shape(&within(path, "r"), input)?;
        match (f, r) {
            (Some(f), Some(r)) if f != r => {
                Err(misfit(path, format!("what its two ways make one shape of, not {f:?} and {r:?}"), input))
            }
            (f, r) => Ok(f.or(r)),
        }
    }
}

impl<N: Network<E, D>, const TIMES: usize, E: Elem, D: Backend<E>> Network<E, D> for dfdx_modules::Repeated<N, TIMES> {
    fn visit<'a>(&'a self, path: &str, found: &mut Layers<'a, E, D>) {
        self.modules.iter().enumerate().for_each(|(i, part)| part.visit(&within(path, i), found));
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut LayersMut<'a, E, D>) {
        self.modules.iter_mut().enumerate().for_each(|(i, part)| part.visit_mut(&within(path, i), found));
    }
    fn plain(&self, path: &str, threshold: f64, found: &mut Plain) -> Result<(), Error> {
        self.modules.iter().enumerate().try_for_each(|(i, part)| part.plain(&within(path, i), threshold, found))
    }
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        let mut parts = self.modules.iter().enumerate();
        parts.try_fold(Some(input.to_vec()), |shape, (i, part)| match shape {
            Some(shape) => part.output_shape(&within(path, i), &shape),
            None => Ok(None),
        })
    }
}

/// dfdx's own modules hold no layer of ours and cost no KL. Each says what it makes of a shape, or what it reads.
macro_rules! without_layers {
    ($($shape:expr, $plain:expr => $([$($generic:tt)*] $module:ident $(<$($arg:ident),+>)?),+;)+) => { $($(
        impl<$($generic)* E: Elem, D: Backend<E>> Network<E, D> for dfdx_modules::$module $(<$($arg),+>)? {
            fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
                let shape: Result<Vec<usize>, String> = $shape(input);
                shape.map(Some).map_err(|expected| misfit(path, expected, input))
            }
            fn plain(&self, path: &str, _threshold: f64, found: &mut Plain) -> Result<(), Error> {
                let plain: Result<Option<Op>, &str> = $plain(self);
                let plain = plain.map_err(|problem| Error::Compact { part: path.into(), problem: problem.into() })?;
                found.extend(plain.map(|op| (path.to_string(), op)));
                Ok(())
            }
        }
    )+)+ };
}
without_layers! {
    same, |_| activation(Activation::Relu) => [] ReLU;
    same, |_| activation(Activation::Tanh) => [] Tanh;
    same, |_| activation(Activation::Sigmoid) => [] Sigmoid;
    same, |_| Ok(None) => [] Dropout, [const N: usize,] DropoutOneIn<N>;
    same, |_| unknown() => [] FastGeLU, [] Sin, [] Cos, [] Ln, [] Exp, [] Square, [] Sqrt, [] Abs, [] Softmax,
        [] LogSoftmax, [] LeakyReLU<E>, [] AccurateGeLU;
    pooled, |_| unknown() => [] AvgPoolGlobal, [] MaxPoolGlobal, [] MinPoolGlobal;
    features::<I, O>, |m: &Self| linear(&m.weight, Some(&m.bias)) =>
        [const I: usize, const O: usize,] Linear<I, O, E, D>;
    features::<I, O>, |m: &Self| linear(&m.weight, None) => [const I: usize, const O: usize,] UnbiasedLinear<I, O, E, D>;
    features::<M, M>, |_| unknown() => [const M: usize,] LayerNorm1D<M, E, D>;
    channels::<C>, |m: &Self| norm(&m.scale, &m.bias, &m.running_mean, &m.running_var, m.epsilon) =>
        [const C: usize,] BatchNorm1D<C, E, D>, [const C: usize,] BatchNorm2D<C, E, D>;
    channels::<C>, |_| unknown() => [const C: usize,] Bias2D<C, E, D>;
}

fn activation(f: Activation) -> Result<Option<Op>, &'static str> {
    Ok(Some(Op::Activation(f)))
}

fn unknown() -> Result<Option<Op>, &'static str> {
    Err("dfdx's module of this kind has no compact form")
}

fn linear<const I: usize, const O: usize, E: Elem, D: Backend<E>>(
    weight: &Tensor<Rank2<O, I>, E, D>,
    bias: Option<&Tensor<Rank1<O>, E, D>>,
) -> Result<Option<Op>, &'static str> {
    let bias = bias.map_or_else(|| vec![0.0; O], floats);
    Ok(Some(Op::Linear { weights: floats(weight), bias, sigma: None }))
}

/// `y = (scale / std) x + bias - mean scale / std`.
pub(crate) fn norm<const C: usize, E: Elem, D: Backend<E>>(
    scale: &Tensor<Rank1<C>, E, D>,
    bias: &Tensor<Rank1<C>, E, D>,
    mean: &Tensor<Rank1<C>, E, D>,
    variance: &Tensor<Rank1<C>, E, D>,
    epsilon: f64,
) -> Result<Option<Op>, &'static str> {
    let factor = floats(scale).into_iter().zip(floats(variance)).map(|(scale, v)| scale / (v + epsilon).sqrt());
    let factor: Vec<f64> = factor.collect();
    let shift = floats(bias).into_iter().zip(floats(mean).into_iter().zip(&factor)).map(|(b, (m, f))| b - m * f);
    let shift: Vec<f64> = shift.collect();
    if factor.iter().chain(&shift).any(|x| !x.is_finite()) {
        return Err("a batch norm whose moments or parameters are not finite");
    }
    Ok(Some(Op::Scale { factor, shift }))
}

/// Any shape, unchanged.
fn same(input: &[usize]) -> Result<Vec<usize>, String> {
    Ok(input.to_vec())
}

/// An image to one number a channel.
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
