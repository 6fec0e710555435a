//! The summed KL of a layer as a graph.

use dfdx::prelude::*;
use sparsevd_priors::{Normal, Prior, Real, Shared, shared};

use super::node::{Matrix, Node};
use crate::compute::backend::{Backend, LayerView, Taped};
use crate::compute::dfdx_tricks::tensor_of;
use crate::compute::elem::Elem;
use crate::compute::scale::LearnedScales;
use crate::spec::{Family, Map, Spread};

/// The summed KL of a layer, in nats.
pub(crate) fn kl<M: Map, Q: Family, P: Prior, E: Elem, D: Backend<E>>(
    layer: LayerView<'_, M, Q, P, E, D>,
) -> Result<Taped<Rank0, E, D>, D::Err> {
    let (theta, spread) = parameters::<_, _, _, _, _, OwnedTape<E, D>>(layer)?;
    let q = layer.posterior.q(theta, spread);
    let q = match scales(layer)? {
        None => q,
        Some([scale, minus_2_ln]) => {
            let (scale, shift) = (scale.put_tape(OwnedTape::default()), minus_2_ln.put_tape(OwnedTape::default()));
            let (scale, shift) = (q.mean.join(scale), q.mean.join(shift));
            Normal::new(q.mean / scale, q.log_var + shift)
        }
    };
    layer.prior.kl(q).finish()?.try_sum::<Rank0, _>()
}

/// θ and the second parameter of every weight, as matrices and inputs of one formula.
#[allow(clippy::type_complexity, reason = "a pair")]
pub(super) fn parameters<M: Map, Q: Family, P, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    layer: LayerView<'_, M, Q, P, E, D>,
) -> Result<(Node<E, D, T>, Node<E, D, T>), D::Err> {
    let theta = Node::root(layer.theta.retaped::<T>().try_reshape_like(&matrix::<M>())?);
    let spread = theta.join(spread_matrix::<M, Q, _, _, T>(layer.spread)?);
    Ok((theta, spread))
}

fn matrix<M: Map>() -> Matrix {
    (M::grid().rows, M::grid().cols)
}

fn spread_matrix<M: Map, Q: Family, E: Elem, D: Backend<E>, T: Tape<E, D>>(
    spread: &Tensor<Spread<M, Q>, E, D>,
) -> Result<Tensor<Matrix, E, D, T>, D::Err> {
    let (shape, spread) = (matrix::<M>(), spread.retaped::<T>());
    match shared::<Q>() {
        Shared::None => spread.try_reshape_like(&shape),
        Shared::PerOutput => spread.try_reshape_like(&(shape.0,))?.try_broadcast_like::<_, Axis<1>>(&shape),
        Shared::PerInput => spread.try_reshape_like(&(shape.1,))?.try_broadcast_like::<_, Axis<0>>(&shape),
        Shared::PerLayer => spread.try_reshape_like(&())?.try_broadcast_like::<_, Axes2<0, 1>>(&shape),
    }
}

/// The learned scale of every weight's prior, and the shift `-2 ln scale` of its log-variance; constants of the graph.
/// They are fitted on the host.
#[allow(clippy::type_complexity, reason = "two tensors")]
fn scales<M: Map, Q: Family, P: Prior, E: Elem, D: Backend<E>>(
    layer: LayerView<'_, M, Q, P, E, D>,
) -> Result<Option<[Tensor<Matrix, E, D>; 2]>, D::Err> {
    if layer.prior.learned_scale().is_none() {
        return Ok(None);
    }
    let (theta, spread) = parameters::<_, _, _, _, _, NoneTape>(layer)?;
    let q = layer.posterior.q(theta, spread);
    let second = (q.mean.clone().square() + q.var()).finish()?.as_vec();
    let first = q.mean.finish()?.as_vec();
    let grid = M::grid();
    let places = || (0..grid.rows).flat_map(|row| (0..grid.cols).map(move |col| (row, col)));
    let fitted = LearnedScales::fit(layer.prior, grid, |sums| {
        let moments = first.iter().zip(&second);
        places().zip(moments).for_each(|((row, col), (f, s))| sums.add(row, col, [f.f64(), s.f64()]));
    });
    let Some(fitted) = fitted else { return Ok(None) };
    let constant = |f: fn(f64) -> f64| {
        let numbers: Vec<E> = places().map(|(row, col)| E::of(f(fitted.of(row, col)))).collect();
        tensor_of(layer.theta.device(), &numbers, matrix::<M>())
    };
    Ok(Some([constant(|scale| scale)?, constant(|scale| -2.0 * scale.ln())?]))
}
