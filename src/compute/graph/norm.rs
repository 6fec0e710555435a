//! Batch normalisation as a graph.

use dfdx::prelude::*;

use crate::compute::backend::{Backend, NormMoments, NormView, Taped};
use crate::compute::elem::Elem;

/// Normalises a batch by the moments of its channels; returns the result and the moments.
#[allow(clippy::type_complexity, reason = "dfdx's types are long")]
pub(crate) fn batch_norm<const C: usize, S, Ax: Axes, E: Elem, D: Backend<E>>(
    norm: NormView<'_, C, E, D>,
    x: Taped<S, E, D>,
) -> Result<(Taped<S, E, D>, Vec<NormMoments>), D::Err>
where
    S: Shape + HasAxes<Ax> + ReduceShapeTo<Rank1<C>, Ax>,
{
    let (shape, count) = (*x.shape(), <S as HasAxes<Ax>>::size(x.shape()) as f64);
    let mean = x.with_empty_tape().try_mean::<Rank1<C>, Ax>()?;
    let means = mean.as_vec();
    let centred = x.try_sub(mean.try_broadcast_like::<_, Ax>(&shape)?)?;
    let variance = centred.with_empty_tape().try_square()?.try_mean::<Rank1<C>, Ax>()?;
    let variances = variance.as_vec();
    let std = variance.try_add(E::of(norm.epsilon))?.try_sqrt()?;
    let slope = norm.scale.retaped::<OwnedTape<E, D>>().try_div(std)?.try_broadcast_like::<_, Ax>(&shape)?;
    let bias = norm.bias.retaped::<OwnedTape<E, D>>().try_broadcast_like::<_, Ax>(&shape)?;
    let moments = means.iter().zip(&variances);
    let moments = moments.map(|(m, v)| NormMoments { mean: m.f64(), variance: v.f64(), count }).collect();
    Ok((centred.try_mul(slope)?.try_add(bias)?, moments))
}

/// `slope (x - mean) + bias` for every channel, off the tape.
pub(crate) fn normalise<const C: usize, S: Shape, Ax: Axes, E: Elem, D: Backend<E>>(
    x: Tensor<S, E, D>,
    mean: Tensor<Rank1<C>, E, D>,
    slope: Tensor<Rank1<C>, E, D>,
    bias: Tensor<Rank1<C>, E, D>,
) -> Result<Tensor<S, E, D>, D::Err>
where
    Rank1<C>: BroadcastShapeTo<S, Ax>,
{
    let shape = *x.shape();
    let spread = |t: Tensor<Rank1<C>, E, D>| t.try_broadcast_like::<_, Ax>(&shape);
    x.try_sub(spread(mean)?)?.try_mul(spread(slope)?)?.try_add(spread(bias)?)
}
