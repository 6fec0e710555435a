//! The KL of a layer and its gradient, from the prior's own formula, in one pass.

use dfdx::prelude::*;
use sparsevd_priors::{Dual, Lane, Normal, Prior, Real, Shared, shared};

use super::buffer::Buffer;
use super::gradient::{accumulate, gradient, ordered, with_gradient};
use super::memory::{numbers, tensor};
use super::weights::{Row, Weights, Write, splat};
use crate::compute::backend::{LayerView, Taped};
use crate::compute::elem::Elem;
use crate::compute::scale::LearnedScales;
use crate::spec::{Family, Grid, Map};

pub(super) fn kl<M: Map, Q: Family, P: Prior, E: Elem>(
    layer: LayerView<'_, M, Q, P, E, Cpu>,
) -> Result<Taped<Rank0, E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let mut tape = OwnedTape::default();
    let (theta, spread) = (ordered(layer.theta, &mut tape)?, ordered(layer.spread, &mut tape)?);
    let weights = Weights { grid: M::grid(), theta: numbers(&theta), spread: numbers(&spread), shared: shared::<Q>() };
    let mut d_theta = Buffer::any(weights.theta.len());
    let mut d_spread = Buffer::any(weights.spread.len());
    let total = value_and_gradient(&weights, layer.posterior, layer.prior, &mut d_theta, &mut d_spread);
    let out = tensor(layer.theta.device(), (), |out| out[0] = E::of(total))?;
    let id = out.clone();
    tape.add_backward_op(move |grads| {
        grads.try_alloc_for(&id)?;
        let g = grads.get(&id).array();
        with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&theta),
            |to_theta, grads| {
                add_scaled(g, [to_theta, gradient(grads, &spread)?], [&d_theta, &d_spread]);
                Ok(())
            },
        )
    });
    Ok(out.put_tape(tape))
}

/// `to += g from`, twice.
fn add_scaled<E: Elem>(g: E, [to_theta, to_spread]: [&mut [E]; 2], [d_theta, d_spread]: [&[E]; 2]) {
    rayon::join(|| accumulate(to_theta, d_theta, |d| d * g), || accumulate(to_spread, d_spread, |d| d * g));
}

/// Returns the summed KL; its gradient replaces the contents of `d_theta` and `d_spread`. The function has as few type
/// parameters as possible: it takes most of the compile time.
fn value_and_gradient<Q: Family, P: Prior, E: Elem>(
    weights: &Weights<'_, E>,
    posterior: &Q,
    prior: &P,
    d_theta: &mut [E],
    d_spread: &mut [E],
) -> f64 {
    match Scales::fit(weights, posterior, prior) {
        None => weights.pull_back(Write::All, d_theta, d_spread, |_, row, i| {
            let (theta, spread) = row.duals(i);
            prior.kl(posterior.q(theta, spread))
        }),
        Some(scales) => weights.pull_back(Write::All, d_theta, d_spread, |r, row, i| {
            let (theta, spread) = row.duals(i);
            prior.kl(scales.divide(posterior.q(theta, spread), r, i))
        }),
    }
}

/// The learned scales of a prior, as reciprocals and as shifts of the log-variance.
struct Scales<E> {
    shared: Shared,
    grid: Grid,
    recip: Vec<E>,
    shift: Vec<E>,
}

impl<E: Elem> Scales<E> {
    /// Fits the prior to the posterior's moments; `None` if the prior has no learned scale.
    fn fit<Q: Family, P: Prior>(weights: &Weights<'_, E>, posterior: &Q, prior: &P) -> Option<Self> {
        let grid = weights.grid;
        let fitted = LearnedScales::fit(prior, grid, |sums| {
            for r in 0..grid.rows {
                let row = weights.row(r);
                for i in (0..grid.cols).step_by(E::Lanes::WIDTH) {
                    let [first, second] = moments(posterior, &row, i);
                    for j in i..grid.cols.min(i + E::Lanes::WIDTH) {
                        sums.add(r, j, [first[j - i].f64(), second[j - i].f64()]);
                    }
                }
            }
        })?;
        let (recip, shift) = (|s: f64| E::of(s.recip()), |s: f64| E::of(-2.0 * s.ln()));
        Some(Scales { shared: fitted.shared, grid, recip: fitted.spread_out(recip), shift: fitted.spread_out(shift) })
    }

    /// `q` in units of its scale.
    #[inline(always)]
    fn divide(&self, q: Normal<Dual<E::Lanes>>, r: usize, i: usize) -> Normal<Dual<E::Lanes>> {
        let (recip, shift) = match self.shared {
            Shared::PerInput => {
                let Grid { rows, cols, groups, .. } = self.grid;
                let group = r * groups / rows * cols;
                let of = |scales: &[E]| E::Lanes::load(&scales[group + i..group + cols]);
                (of(&self.recip), of(&self.shift))
            }
            Shared::PerOutput => (splat(self.recip[r]), splat(self.shift[r])),
            Shared::PerLayer | Shared::None => (splat(self.recip[0]), splat(self.shift[0])),
        };
        let constant = |value| Dual { value, grad: [E::Lanes::splat(0.0); 2] };
        Normal::new(q.mean * constant(recip), q.log_var + constant(shift))
    }
}

/// E w and E w² of one vector of weights.
fn moments<Q: Family, E: Elem>(posterior: &Q, row: &Row<'_, E>, i: usize) -> [[E; 16]; 2] {
    let (theta, spread) = row.lanes(i);
    let q = posterior.q(theta, spread);
    let [mut first, mut second] = [[E::default(); 16]; 2];
    (q.mean.square() + q.var()).store(&mut second[..E::Lanes::WIDTH]);
    q.mean.store(&mut first[..E::Lanes::WIDTH]);
    [first, second]
}
