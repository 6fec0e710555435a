//! The objective: the negative ELBO per example.

use dfdx::nn::tensor_collection::TensorCollection;
use dfdx::prelude::*;

use super::finite;
use crate::compute::{Backend, Elem, Taped};
use crate::error::{Error, setting};
use crate::model::Network;
use crate::model::tensors::{self, AnyNetwork};

/// The evidence lower bound (ELBO), with the two numbers that weight its KL: the number of training examples, N, and
/// the KL weight, β.
///
/// ```text
/// objective = NLL per example + β KL / N                        nats per example; minimise it
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

/// The fields of [`Elbo`] as read from a file, not yet checked.
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
    /// The objective, to be minimised.
    pub objective: Taped<Rank0, E, D>,
    /// The negative log-likelihood, in nats per example.
    pub nll: f64,
    /// The KL, in nats, summed over all weights, without β.
    pub kl: f64,
    /// The KL weight that was used.
    pub beta: f64,
}

impl Elbo {
    /// The objective for `n` training examples, with β = 1 from the start.
    ///
    /// # Errors
    /// [`Error::Setting`] if `n` is 0.
    pub fn new(n: usize) -> Result<Self, Error> {
        setting(n > 0, "number of training examples", 0.0, "at least 1")?;
        Ok(Elbo { n, beta: 1.0, warm_up: (0.0, 0.0) })
    }

    /// Sets the KL weight after the warm-up: below 1 more weights are kept, above 1 fewer. Only with `β = 1` is the
    /// objective the bound.
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

    /// The objective of a batch, from its negative log-likelihood per example and the KL of the network.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if the objective is NaN or infinite, naming the layer; [`Error::NoLayer`]; [`Error::Input`]
    /// if `visit` of a module of your own does not reach each of its layers exactly once; [`Error::Setting`] for a
    /// masking threshold that is NaN; the device's.
    pub fn loss<N: Network<E, D> + TensorCollection<E, D>, E: Elem, D: Backend<E>>(
        &self,
        network: &N,
        nll: Taped<Rank0, E, D>,
        epoch: f64,
    ) -> Result<Loss<E, D>, Error> {
        self.loss_of_any(network, nll, epoch)
    }

    fn loss_of_any<E: Elem, D: Backend<E>>(
        &self,
        network: &dyn AnyNetwork<E, D>,
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
