//! What is looked at in every step: whether the classes are right, and the numbers numbers.

use dfdx::prelude::*;

use crate::backend::{Backend, Elem, Taped};
use crate::elbo::Loss;
use crate::error::{Error, THE_KL};
use crate::network::Network;

/// How many of these data get another class than their label.
pub(super) fn misclassified<const C: usize, E: Elem, D: Backend<E>>(
    logits: &Taped<(usize, Const<C>), E, D>,
    labels: &[usize],
) -> usize {
    let logits = logits.as_vec();
    let best = |row: &[E]| (1..C).fold(0, |best, i| if row[i] > row[best] { i } else { best });
    logits.chunks(C).zip(labels).filter(|(row, label)| best(row) != **label).count()
}

/// Stops at the first number that is not one, and says where it came from.
pub(super) fn check_finite<E: Elem, D: Backend<E>>(
    network: &impl Network<E, D>,
    loss: &Loss<E, D>,
    epoch: usize,
    step: usize,
) -> Result<(), Error> {
    let first = |values: Vec<E>| values.first().map_or(f64::NAN, |x| x.f64());
    let objective = first(loss.objective.as_vec());
    if loss.nll.is_finite() && loss.kl.is_finite() && objective.is_finite() {
        return Ok(());
    }
    check_weights(network, epoch, step)?;
    for (path, layer) in network.layers() {
        let kl = first(layer.kl()?.as_vec());
        if !kl.is_finite() {
            return Err(found(THE_KL, kl, format!("layer {path}"), (epoch, step)));
        }
    }
    Err(if loss.nll.is_finite() {
        found("beta KL / N", objective - loss.nll, "the objective".into(), (epoch, step))
    } else {
        found("the negative log-likelihood", loss.nll, "the output".into(), (epoch, step))
    })
}

/// The same of the weights alone: after the last step of an epoch nothing else looks at them.
pub(super) fn check_weights<E: Elem, D: Backend<E>>(
    network: &impl Network<E, D>,
    epoch: usize,
    step: usize,
) -> Result<(), Error> {
    let layers = network.layers();
    let bad = layers.iter().find_map(|(path, layer)| Some((path, layer.not_finite()?)));
    bad.map_or(Ok(()), |(path, (parameter, value))| {
        Err(found(parameter, value, format!("layer {path}"), (epoch, step)))
    })
}

fn found(what: &str, value: f64, layer: String, (epoch, step): (usize, usize)) -> Error {
    Error::NotFinite { what: what.into(), value, layer, epoch, step, checkpoint: None }
}
