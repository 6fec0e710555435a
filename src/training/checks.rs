//! What is looked at in every step: whether the classes are right, and the numbers numbers.

use dfdx::prelude::*;

use crate::backend::{Backend, Elem, Taped};
use crate::elbo::Loss;
use crate::error::Error;
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
    if loss.nll.is_finite() && loss.kl.is_finite() {
        return Ok(());
    }
    let found = |what: &str, value: f64, layer: String| Error::NotFinite {
        what: what.into(),
        value,
        layer,
        epoch,
        step,
        checkpoint: None,
    };
    for (path, layer) in network.layers() {
        if let Some((parameter, value)) = layer.not_finite() {
            return Err(found(parameter, value, format!("layer {path}")));
        }
        let kl = layer.kl()?.as_vec().first().map_or(f64::NAN, |x| x.f64());
        if !kl.is_finite() {
            return Err(found("the KL", kl, format!("layer {path}")));
        }
    }
    Err(found("the negative log-likelihood", loss.nll, "the output".into()))
}
