//! The layouts in which a network reads an example.

use std::fmt::Debug;

use dfdx::shapes::{Const, Shape};

/// The layout in which a network reads an image: one vector, or channels, height and width.
pub trait Layout: Clone + Copy + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The shape of a batch for a network that reads `I` numbers, or `I` channels.
    type Shape<const I: usize>: Shape;

    /// That shape, for images of these channels, height and width; `None` if a network that reads `I` cannot read them.
    fn shape<const I: usize>(batch: usize, dims: [usize; 3]) -> Option<Self::Shape<I>>;

    /// The shape of one example.
    fn dims(dims: [usize; 3]) -> Vec<usize>;

    /// The examples that a network with `inputs` inputs reads, in words.
    fn reads(inputs: usize) -> String;
}

/// Each example is one vector, for dense networks: the default.
///
/// # Shapes
/// `(batch, channels × height × width)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vectors;

/// Each example is an image, for convolutional networks.
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
