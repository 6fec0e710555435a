//! From images to vectors, which dfdx has on nightly Rust only.

use dfdx::nn::ZeroSizedModule;
use dfdx::nn::modules::{Module, NonMutableModule};
use dfdx::prelude::*;
use sparsevd_infer::Op;

use super::describe::ByPath;
use super::network::Network;
use crate::compute::{Backend, Elem, Images};
use crate::error::Error;

/// Images as vectors of `N = channels × height × width` numbers, channel by channel, row by row.
///
/// # Shapes
/// input `(batch, channels, height, width)`, output `(batch, N)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flatten<const N: usize>;

impl<const N: usize> ZeroSizedModule for Flatten<N> {}
impl<const N: usize> NonMutableModule for Flatten<N> {}

impl<const N: usize, B: Dim, C: Dim, E: Elem, D: Backend<E>, T: Tape<E, D>> Module<Images<B, C, E, D, T>>
    for Flatten<N>
{
    type Output = Tensor<(B, Const<N>), E, D, T>;
    type Error = D::Err;

    fn try_forward(&self, x: Images<B, C, E, D, T>) -> Result<Self::Output, D::Err> {
        let (batch, channels, height, width) = *x.shape();
        if channels.size() * height * width != N {
            return Err(D::shape_error());
        }
        x.try_reshape_like(&(batch, Const))
    }
}

impl<const N: usize, E: Elem, D: Backend<E>> Network<E, D> for Flatten<N> {
    fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        if input.iter().product::<usize>() == N {
            return Ok(Some(vec![N]));
        }
        Err(Error::misfit(path, format!("images of {N} numbers in all"), input))
    }

    fn plain(&self, path: &str, _threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
        found.push((path.into(), Op::Flatten));
        Ok(())
    }
}
