//! Which modules are networks: tuples of networks, and what dfdx brings.

use dfdx::nn::modules as dfdx_modules;
use dfdx::prelude::*;
use sparsevd_infer::{Activation, Op};

use crate::backend::{Backend, Elem};
use crate::describe::type_in_words;
use crate::error::Error;
use crate::network::{Kinds, Layers, LayersMut, Network, Plain};
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
            fn kinds(&self, path: &str, found: &mut Kinds) {
                $(self.$index.kinds(&within(path, $index), found);)+
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
    fn kinds(&self, path: &str, found: &mut Kinds) {
        found.push((path.into(), "Residual".into()));
        self.0.kinds(&within(path, 0), found);
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
    fn kinds(&self, path: &str, found: &mut Kinds) {
        found.push((path.into(), "GeneralizedResidual".into()));
        self.f.kinds(&within(path, "f"), found);
        self.r.kinds(&within(path, "r"), found);
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
    fn kinds(&self, path: &str, found: &mut Kinds) {
        self.modules.iter().enumerate().for_each(|(i, part)| part.kinds(&within(path, i), found));
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

/// dfdx's own modules hold no layer of ours and cost no KL. Each says what it makes of a shape, or what it reads, and
/// what it is, where its parameters do not.
macro_rules! without_layers {
    ($($shape:expr, $kind:expr, $plain:expr => $([$($generic:tt)*] $module:ident $(<$($arg:ident),+>)?),+;)+) => { $($(
        impl<$($generic)* E: Elem, D: Backend<E>> Network<E, D> for dfdx_modules::$module $(<$($arg),+>)? {
            fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
                let shape: Result<Vec<usize>, String> = $shape(input);
                shape.map(Some).map_err(|expected| misfit(path, expected, input))
            }
            fn kinds(&self, path: &str, found: &mut Kinds) {
                let kind: Option<String> = $kind(self);
                found.extend(kind.map(|kind| (path.to_string(), kind)));
            }
            fn plain(&self, path: &str, _threshold: f64, found: &mut Plain) -> Result<(), Error> {
                let plain: Result<Option<Op>, String> = $plain(self);
                let plain = plain.map_err(|problem| Error::Compact { part: path.into(), problem })?;
                found.extend(plain.map(|op| (path.to_string(), op)));
                Ok(())
            }
        }
    )+)+ };
}
without_layers! {
    same, kind, |_| activation(Activation::Relu) => [] ReLU;
    same, kind, |_| activation(Activation::Tanh) => [] Tanh;
    same, kind, |_| activation(Activation::Sigmoid) => [] Sigmoid;
    same, |_| None, |_| Ok(None) => [] Dropout, [const N: usize,] DropoutOneIn<N>;
    same, kind, |_| Err(no_compact_form::<Self>()) => [] FastGeLU, [] Sin, [] Cos, [] Ln, [] Exp, [] Square, [] Sqrt, [] Abs,
        [] Softmax, [] LogSoftmax, [] AccurateGeLU;
    same, |m: &Self| Some(format!("LeakyReLU({:?})", m.0)), |_| Err(no_compact_form::<Self>()) => [] LeakyReLU<E>;
    pooled, kind, |_| Err(no_compact_form::<Self>()) => [] AvgPoolGlobal, [] MaxPoolGlobal, [] MinPoolGlobal;
    features::<I, O>, |_| None, |m: &Self| linear(&m.weight, Some(&m.bias)) =>
        [const I: usize, const O: usize,] Linear<I, O, E, D>;
    features::<I, O>, |_| None, |m: &Self| linear(&m.weight, None) =>
        [const I: usize, const O: usize,] UnbiasedLinear<I, O, E, D>;
    features::<M, M>, |_| None, |_| Err(no_compact_form::<Self>()) => [const M: usize,] LayerNorm1D<M, E, D>;
    channels::<C>, |_| None, |m: &Self| norm(&m.scale, &m.bias, &m.running_mean, &m.running_var, m.epsilon) =>
        [const C: usize,] BatchNorm1D<C, E, D>, [const C: usize,] BatchNorm2D<C, E, D>;
    channels::<C>, |_| None, |_| Err(no_compact_form::<Self>()) => [const C: usize,] Bias2D<C, E, D>;
}

/// The name of a module whose type says all that it computes.
fn kind<T>(_: &T) -> Option<String> {
    Some(type_in_words::<T>())
}

fn activation(f: Activation) -> Result<Option<Op>, String> {
    Ok(Some(Op::Activation(f)))
}

/// Why a part of this type cannot be part of a compact network, and what can be done.
pub(crate) fn no_compact_form<T: ?Sized>() -> String {
    format!(
        "`{}` has no compact form, only chains of layers, batch norms, pools, dropout, `Flatten`, `ReLU`, `Tanh` and `Sigmoid` \
         have; compact the chains before and after it, predict with `Evaluate::Pruned` instead, or, where the type is yours, \
         write its `Network::plain`",
        type_in_words::<T>()
    )
}

fn linear<const I: usize, const O: usize, E: Elem, D: Backend<E>>(
    weight: &Tensor<Rank2<O, I>, E, D>,
    bias: Option<&Tensor<Rank1<O>, E, D>>,
) -> Result<Option<Op>, String> {
    let (weights, bias) = (floats(weight), bias.map_or_else(|| vec![0.0; O], floats));
    all_finite("weight", &weights)?;
    all_finite("bias", &bias)?;
    Ok(Some(Op::Linear { weights, bias, sigma: None }))
}

/// `y = (scale / std) x + bias - mean scale / std`.
pub(crate) fn norm<const C: usize, E: Elem, D: Backend<E>>(
    scale: &Tensor<Rank1<C>, E, D>,
    bias: &Tensor<Rank1<C>, E, D>,
    mean: &Tensor<Rank1<C>, E, D>,
    variance: &Tensor<Rank1<C>, E, D>,
    epsilon: f64,
) -> Result<Option<Op>, String> {
    let [scale, bias, mean, variance] = [scale, bias, mean, variance].map(floats);
    for (name, values) in [("scale", &scale), ("bias", &bias), ("running_mean", &mean), ("running_var", &variance)] {
        all_finite(name, values)?;
    }
    let std: Vec<f64> = variance.iter().map(|v| (v + epsilon).sqrt()).collect();
    if let Some(i) = std.iter().position(|std| std.is_nan() || *std == 0.0) {
        return Err(format!(
            "its running_var holds {} and its epsilon is {epsilon}; the sum must be more than 0",
            variance[i]
        ));
    }
    let factor: Vec<f64> = scale.iter().zip(std).map(|(scale, std)| scale / std).collect();
    let shift = bias.iter().zip(mean.iter().zip(&factor)).map(|(b, (m, f))| b - m * f).collect();
    Ok(Some(Op::Scale { factor, shift }))
}

fn all_finite(name: &str, values: &[f64]) -> Result<(), String> {
    match values.iter().find(|x| !x.is_finite()) {
        Some(x) => Err(format!("its {name} holds {x}")),
        None => Ok(()),
    }
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
