//! Building networks from their types.

use dfdx::nn::BuildOnDevice;

use super::network::Network;
use crate::compute::{Backend, Elem};

/// Builds networks on a device, as dfdx's trait of the same name does. For a type that is not a [`Network`] the
/// compiler's message says what to do.
pub trait DeviceBuildExt: Sized {
    /// A network of this type, with new parameters.
    ///
    /// # Panics
    /// If the device is out of memory.
    fn build_module<M, E: Elem>(&self) -> M::Built
    where
        M: BuildOnDevice<Self, E>,
        M::Built: Network<E, Self>,
        Self: Backend<E>,
    {
        M::build_on_device(self)
    }

    /// A network of this type, with new parameters.
    ///
    /// # Errors
    /// The device's, when it is out of memory.
    fn try_build_module<M, E: Elem>(&self) -> Result<M::Built, Self::Err>
    where
        M: BuildOnDevice<Self, E>,
        M::Built: Network<E, Self>,
        Self: Backend<E>,
    {
        M::try_build_on_device(self)
    }
}

impl DeviceBuildExt for dfdx::tensor::Cpu {}
#[cfg(feature = "cuda")]
impl DeviceBuildExt for dfdx::tensor::Cuda {}
