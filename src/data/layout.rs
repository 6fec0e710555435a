//! How a network gets to see a datum.

use std::fmt::Debug;

use dfdx::shapes::{Const, Shape};

/// How a network gets to see an image: as one vector, or with channels, height and width.
pub trait Layout: Clone + Copy + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The shape of a batch for a network that reads `I` numbers, or `I` channels.
    type Shape<const I: usize>: Shape;

    /// That shape, for images of these channels, height and width; `None` if a network that reads `I` does not fit them.
    fn shape<const I: usize>(batch: usize, dims: [usize; 3]) -> Option<Self::Shape<I>>;

    /// The shape of one datum.
    fn dims(dims: [usize; 3]) -> Vec<usize>;

    /// What a network that reads `inputs` asks for, in words.
    fn reads(inputs: usize) -> String;
}

/// Each datum is one vector, for dense networks: the default.
///
/// # Shapes
/// `(batch, channels x height x width)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vectors;

/// Each datum is an image, for convolutional networks.
///
/// # Shapes
/// `(batch, channels, height, width)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Images;

impl Layout for Vectors {
    type Shape<const I: usize> = (usize, Const<I>);

    fn shape<const I: usize>(batch: usize, dims: [usize; 3]) -> Option<Self::Shape<I>> {
        (dims.iter().product::<usize>() == I).then_some((batch, Const))
    }

    fn dims(dims: [usize; 3]) -> Vec<usize> {
        vec![dims.iter().product()]
    }

    fn reads(inputs: usize) -> String {
        format!("{inputs} numbers")
    }
}

impl Layout for Images {
    type Shape<const I: usize> = (usize, Const<I>, usize, usize);

    fn shape<const I: usize>(batch: usize, [channels, height, width]: [usize; 3]) -> Option<Self::Shape<I>> {
        (channels == I).then_some((batch, Const, height, width))
    }

    fn dims(dims: [usize; 3]) -> Vec<usize> {
        dims.into()
    }

    fn reads(inputs: usize) -> String {
        format!("images of {inputs} channels")
    }
}
