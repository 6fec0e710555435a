//! Checks for NaN and infinity in the objective, before they reach the weights.

use crate::compute::{Backend, Elem};
use crate::error::{Error, place};
use crate::model::Network;

/// Rejects an objective that is not finite, and names its first term or layer that is not.
pub(crate) fn objective<E: Elem, D: Backend<E>>(
    network: &dyn Network<E, D>,
    nll: f64,
    kl: f64,
    objective: f64,
) -> Result<(), Error> {
    if nll.is_finite() && kl.is_finite() && objective.is_finite() {
        return Ok(());
    }
    weights(network)?;
    for (path, layer) in network.layers() {
        let kl = layer.own_kl()?.as_vec().first().map_or(f64::NAN, |x| x.f64());
        if !kl.is_finite() {
            return Err(Error::kl_not_finite(kl, &path));
        }
    }
    Err(if nll.is_finite() {
        Error::not_finite("beta KL / N", objective - nll, "the objective".into())
    } else {
        Error::not_finite("the negative log-likelihood", nll, "the output".into())
    })
}

/// Rejects a weight that is not finite.
fn weights<E: Elem, D: Backend<E>>(network: &dyn Network<E, D>) -> Result<(), Error> {
    let layers = network.layers();
    let bad = layers.iter().find_map(|(path, layer)| Some((path, layer.not_finite()?)));
    bad.map_or(Ok(()), |(path, (parameter, value))| Err(Error::not_finite(parameter, value, place(path))))
}
