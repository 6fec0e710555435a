//! Layers of dfdx as operations of compact networks.

use dfdx::prelude::*;
use sparsevd_infer::Op;

use super::tensors::not_finite;
use crate::compute::dfdx_tricks::floats;
use crate::compute::{Backend, Elem};

/// `y = W x + b`.
pub(super) fn linear<const I: usize, const O: usize, E: Elem, D: Backend<E>>(
    weight: &Tensor<Rank2<O, I>, E, D>,
    bias: Option<&Tensor<Rank1<O>, E, D>>,
) -> Result<Option<Op>, String> {
    let (weights, bias) = (floats(weight), bias.map_or_else(|| vec![0.0; O], floats));
    all_finite("weight", &weights)?;
    all_finite("bias", &bias)?;
    Ok(Some(Op::Linear { weights, bias, sigma: None }))
}

/// `y = (scale / std) x + bias - mean scale / std`.
pub(super) fn norm<const C: usize, E: Elem, D: Backend<E>>(
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
    not_finite(values.iter().copied()).map_or(Ok(()), |(_, x)| Err(format!("its {name} holds {x}")))
}
