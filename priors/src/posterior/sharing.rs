//! The sharing of a posterior's second parameter among weights.

use std::fmt::Debug;

use crate::prior::Shared;

/// The sharing of a posterior's second parameter among weights: one per weight, per output, or per layer.
pub trait Sharing: Clone + Copy + Debug + Default + Send + Sync + 'static {
    /// The same as a value; never [`Shared::PerInput`].
    const SHARED: Shared;
}

/// Every weight has its own.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerWeight;
impl Sharing for PerWeight {
    const SHARED: Shared = Shared::None;
}

/// The weights into one output share it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerOutput;
impl Sharing for PerOutput {
    const SHARED: Shared = Shared::PerOutput;
}

/// All weights of the layer share it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerLayer;
impl Sharing for PerLayer {
    const SHARED: Shared = Shared::PerLayer;
}
