//! A view of a network that uses other weights than its posterior means.

use std::marker::PhantomData;
use std::ops::Deref;

use dfdx::tensor::Cpu;

use super::layer::Weights;
use super::network::Network;
use crate::compute::seeds::Seed;
use crate::compute::{Backend, Elem};
use crate::error::{Error, setting};

/// A network whose `forward` computes with chosen [`Weights`], made by [`Network::with_weights`].
///
/// It borrows the network, so that the weights cannot become stale: the network cannot be trained while the view lives,
/// and after that `forward` computes with the posterior means. A clone of the network inside computes with the means,
/// too.
#[must_use = "the chosen weights hold only for `forward` through this view"]
pub struct View<'a, N: Network<E, D>, E: Elem = f32, D: Backend<E> = Cpu> {
    network: &'a mut N,
    device: PhantomData<(E, D)>,
}

impl<'a, N: Network<E, D>, E: Elem, D: Backend<E>> View<'a, N, E, D> {
    pub(crate) fn new(network: &'a mut N, weights: Weights) -> Result<Self, Error> {
        if let Weights::Pruned(threshold) = weights {
            setting(!threshold.is_nan(), "threshold", threshold, "a number")?;
        }
        let view = View { network, device: PhantomData };
        for (i, (_, layer)) in view.network.layers_mut().into_iter().enumerate() {
            layer.use_weights(match weights {
                Weights::Sample(seed) => Weights::Sample(Seed(seed).of_layer_in_draw(i as u64).0),
                other => other,
            })?;
        }
        Ok(view)
    }
}

impl<N: Network<E, D>, E: Elem, D: Backend<E>> Deref for View<'_, N, E, D> {
    type Target = N;

    fn deref(&self) -> &N {
        self.network
    }
}

impl<N: Network<E, D>, E: Elem, D: Backend<E>> Drop for View<'_, N, E, D> {
    fn drop(&mut self) {
        self.network.layers_mut().into_iter().for_each(|(_, layer)| layer.use_means());
    }
}
