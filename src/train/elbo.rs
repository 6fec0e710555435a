//! The objective: the negative ELBO per datum.

use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;

use super::finite;
use crate::compute::{Backend, Elem, Taped};
use crate::error::{Error, setting};
use crate::model::Network;
use crate::model::tensors;

/// The evidence lower bound, which owns the two numbers that are so easily got wrong: how many data there are, and how
/// much the KL counts.
///
/// ```text
/// objective = NLL per datum + beta KL / N                        nats per datum; minimise it
/// ```
///
/// The KL is the sum over all weights, never an average. With the improper log-uniform prior this is a regularised
/// objective rather than a bound (Hron et al. 2018).
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Parts")]
pub struct Elbo {
    n: usize,
    beta: f64,
    warm_up: (f64, f64),
}

/// As in a file, not yet checked.
#[derive(serde::Deserialize)]
struct Parts {
    n: usize,
    beta: f64,
    warm_up: (f64, f64),
}

impl TryFrom<Parts> for Elbo {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self, Error> {
        Elbo::new(parts.n)?.beta(parts.beta)?.warm_up(parts.warm_up.0, parts.warm_up.1)
    }
}

/// An objective with its parts.
pub struct Loss<E: Elem = f32, D: Backend<E> = Cpu> {
    /// What to call `backward` on.
    pub objective: Taped<Rank0, E, D>,
    /// Nats per datum.
    pub nll: f64,
    /// Nats, summed over all weights, without beta.
    pub kl: f64,
    /// The KL weight that was used.
    pub beta: f64,
}

impl Elbo {
    /// The objective for `n` training data, with beta = 1 from the start.
    ///
    /// # Errors
    /// [`Error::Setting`] if `n` is 0.
    pub fn new(n: usize) -> Result<Self, Error> {
        setting(n > 0, "number of training data", 0.0, "at least 1")?;
        Ok(Elbo { n, beta: 1.0, warm_up: (0.0, 0.0) })
    }

    /// Weighs the KL by `beta` (after the warm-up): below 1 more weights are kept, above 1 fewer. Only `beta = 1` makes
    /// the objective the bound.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `beta` is finite and `>= 0`.
    pub fn beta(mut self, beta: f64) -> Result<Self, Error> {
        setting(beta.is_finite() && beta >= 0.0, "beta", beta, "at least 0 and finite")?;
        self.beta = beta;
        Ok(self)
    }

    /// Raises the KL weight linearly from 0 at epoch `from` to its full value at epoch `to`.
    ///
    /// # Errors
    /// [`Error::Setting`] unless `0 <= from <= to`, both finite.
    pub fn warm_up(mut self, from: f64, to: f64) -> Result<Self, Error> {
        setting(from >= 0.0 && from.is_finite(), "start of the warm-up", from, "an epoch, 0 or later")?;
        setting(to >= from && to.is_finite(), "end of the warm-up", to, "an epoch, not before its start")?;
        self.warm_up = (from, to);
        Ok(self)
    }

    /// The KL weight at an epoch.
    pub fn beta_at(&self, epoch: f64) -> f64 {
        let (from, to) = self.warm_up;
        let risen = if epoch >= to { 1.0 } else { ((epoch - from) / (to - from)).max(0.0) };
        self.beta * risen
    }

    /// Puts together the objective of a batch: its negative log-likelihood per datum, and the KL of the network.
    ///
    /// # Errors
    /// [`Error::NotFinite`] where the objective is NaN or infinite, naming the layer; [`Error::NoLayer`];
    /// [`Error::Input`] where `visit` of a module of yours does not come to each of its layers once; [`Error::Setting`]
    /// for a trained-in threshold that is NaN; the device's.
    pub fn loss<N: Network<E, D> + TensorCollection<E, D>, E: Elem, D: Backend<E>>(
        &self,
        network: &N,
        nll: Taped<Rank0, E, D>,
        epoch: f64,
    ) -> Result<Loss<E, D>, Error> {
        tensors::all_visited(network)?;
        let (kl, beta) = (network.kl()?, self.beta_at(epoch));
        let (nll_value, kl_value) = (value(&nll), value(&kl));
        let cost = kl.try_mul(E::of(beta / self.n as f64)).map_err(Error::device)?;
        let objective = nll.try_add(cost).map_err(Error::device)?;
        finite::objective(network, nll_value, kl_value, value(&objective))?;
        Ok(Loss { objective, nll: nll_value, kl: kl_value, beta })
    }
}

fn value<E: Elem, D: Backend<E>>(scalar: &Taped<Rank0, E, D>) -> f64 {
    scalar.as_vec().first().map_or(f64::NAN, |x| x.f64())
}
