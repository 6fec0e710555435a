//! All that is random in a training, as a function of its seed, the epoch and the step.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::backend::{Backend, Elem};
use crate::network::Network;

/// The order of the data in an epoch.
pub(super) fn order(seed: u64, n: usize, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut StdRng::seed_from_u64(mix(seed, epoch as u64)));
    order
}

/// Ties a step's noise to the seed, so that a training does not depend on what ran before it.
pub(super) fn seed_noise<E: Elem, D: Backend<E>>(network: &mut impl Network<E, D>, seed: u64) {
    for (i, (_, layer)) in network.layers_mut().into_iter().enumerate() {
        layer.seed_noise(mix(seed, i as u64));
    }
}

/// A seed from a seed and a number.
pub(crate) fn mix(seed: u64, number: u64) -> u64 {
    let z = (seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 27)
}
