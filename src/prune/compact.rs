//! Conversion of a trained network to a compact one.

use sparsevd_infer::{self as infer, CompactNet};

use crate::compute::{Backend, Elem};
use crate::error::{Error, setting};
use crate::model::Network;

/// The compact form of a network whose weights with log α at or above `threshold` are pruned. It computes the same
/// function as [`Evaluate::Pruned`](crate::Evaluate::Pruned), up to rounding, without dfdx, and is smaller and faster.
///
/// Inputs and outputs keep their order. Batch norms are folded into the weights; dead inputs, neurons and filters are
/// removed, and constant ones are folded into the next bias (details: [`infer::compact`]). Each layer is stored in the
/// form that is fastest for its density ([`CompactNet::tuned`]).
///
/// ```
/// use sparsevd::infer::{CompactNet, Precision, Scratch};
/// use sparsevd::prelude::*;
/// use sparsevd::{LeNet5, THRESHOLD, compact};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("compact.safetensors");
/// let net = Cpu::seed_from_u64(0).build_module::<LeNet5, f32>(); // train it first
/// let small = compact(&net, &[1, 28, 28], THRESHOLD)?;
/// println!("{}", small.report()?);
/// small.save(&path, Precision::Single)?;
///
/// let (small, mut scratch) = (CompactNet::load(&path)?, Scratch::default());
/// let images = vec![0.0; 3 * 28 * 28];
/// let logits = small.forward(&images, &mut scratch)?; // (3, 10), row by row
/// # assert_eq!(logits.len(), 30);
/// # Ok(()) }
/// ```
///
/// A compact form exists for this library's layers, `ReLU`, pools, `Flatten` and batch norm, and for dfdx's `Linear`,
/// `ReLU`, `Tanh`, `Sigmoid`, batch norms and dropout; not for `Residual`, layer norms, global pools and other
/// activations.
///
/// # Shapes
/// `input` is the shape of one example: `[features]`, or `[channels, height, width]`.
///
/// # Errors
/// [`Error::Setting`] for a threshold that is NaN; [`Error::Input`] for an `input` of another length; [`Error::Shape`]
/// for a part that cannot read its input; [`Error::Compact`] for a part that has no compact form, or whose parameters
/// are not finite.
pub fn compact<E: Elem, D: Backend<E>>(
    network: &impl Network<E, D>,
    input: &[usize],
    threshold: f64,
) -> Result<CompactNet, Error> {
    compact_any(network, input, threshold)
}

fn compact_any<E: Elem, D: Backend<E>>(
    network: &dyn Network<E, D>,
    input: &[usize],
    threshold: f64,
) -> Result<CompactNet, Error> {
    setting(!threshold.is_nan(), "threshold", threshold, "a number")?;
    let shape = match *input {
        [features] => [features, 1, 1],
        [channels, height, width] => [channels, height, width],
        _ => {
            return Err(Error::Input(format!(
                "the input's shape is {input:?}; it must be [features] or [channels, height, width]"
            )));
        }
    };
    network.output_shape("", input)?;
    let mut plain = Vec::new();
    network.plain("", threshold, &mut plain)?;
    let (paths, ops): (Vec<String>, Vec<infer::Op>) = plain.into_iter().unzip();
    infer::compact(&ops, shape).map_err(|error| {
        let part = paths.get(error.part).cloned().unwrap_or_default();
        Error::Compact { part, problem: error.problem }
    })
}
