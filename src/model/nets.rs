//! The networks of the paper, generic over posterior and prior.

use sparsevd_priors::{Additive, LogUniform};

use super::activation::ReLU;
use super::builders::{BatchNorm, Variational};
use super::flatten::Flatten;
use super::pool::MaxPool2d;
use crate::spec::{Conv2dMap, LinearMap};

/// LeNet-300-100: two hidden layers of 300 and 100, ReLU, 10 classes; 266,200 weights for `I = 784` inputs.
///
/// `LeNet300100` is Sparse Variational Dropout on MNIST; `LeNet300100<Ard>` the same network with another prior,
/// `LeNet300100<Flat, Delta>` the deterministic one, `LeNet300100<LogUniform, Additive, 64>` one for 8 × 8 images.
pub type LeNet300100<P = LogUniform, Q = Additive, const I: usize = 784> = (
    Variational<LinearMap<I, 300>, Q, P>,
    ReLU,
    Variational<LinearMap<300, 100>, Q, P>,
    ReLU,
    Variational<LinearMap<100, 10>, Q, P>,
);

/// LeNet-5-Caffe, for images of 1 × 28 × 28: two 5 × 5 convolutions to 20 and 50 channels, each with ReLU and 2 × 2
/// max-pooling, then 800-500-10; 430,500 weights.
///
/// Caffe's own net has no ReLU between convolution and pool; as in published comparisons, this one has.
pub type LeNet5<P = LogUniform, Q = Additive> = (
    (Variational<Conv2dMap<1, 20, 5>, Q, P>, ReLU, MaxPool2d<2>),
    (Variational<Conv2dMap<20, 50, 5>, Q, P>, ReLU, MaxPool2d<2>),
    Flatten<800>,
    Variational<LinearMap<800, 500>, Q, P>,
    ReLU,
    Variational<LinearMap<500, 10>, Q, P>,
);

/// A 3 × 3 convolution that keeps the size, batch norm instead of a bias, and ReLU.
pub type VggConv<const IN: usize, const OUT: usize, P, Q> =
    (Variational<Conv2dMap<IN, OUT, 3, 1, 1, 1, 1, IN, false>, Q, P>, BatchNorm<OUT>, ReLU);

/// The VGG-like net of the paper, for images of 3 × 32 × 32 in 10 classes (Zagoruyko 2015): 2, 2, 3, 3 and 3
/// convolutions with batch norm to `C1`, `C2`, `C3`, `C4` and `C4` channels, 2 × 2 max-pooling after each group, then
/// `C4`-`C4`-10.
///
/// `VggLike` is the net of width k = 1: 64, 128, 256 and 512 channels; [`VggHalf`] and [`VggQuarter`] have a half and a
/// quarter of them. Without the dropout of the original.
pub type VggLike<
    P = LogUniform,
    Q = Additive,
    const C1: usize = 64,
    const C2: usize = 128,
    const C3: usize = 256,
    const C4: usize = 512,
> = (
    (VggConv<3, C1, P, Q>, VggConv<C1, C1, P, Q>, MaxPool2d<2>),
    (VggConv<C1, C2, P, Q>, VggConv<C2, C2, P, Q>, MaxPool2d<2>),
    (VggConv<C2, C3, P, Q>, VggConv<C3, C3, P, Q>, VggConv<C3, C3, P, Q>, MaxPool2d<2>),
    (VggConv<C3, C4, P, Q>, VggConv<C4, C4, P, Q>, VggConv<C4, C4, P, Q>, MaxPool2d<2>),
    (VggConv<C4, C4, P, Q>, VggConv<C4, C4, P, Q>, VggConv<C4, C4, P, Q>, MaxPool2d<2>),
    (
        Flatten<C4>,
        Variational<LinearMap<C4, C4, false>, Q, P>,
        BatchNorm<C4>,
        ReLU,
        Variational<LinearMap<C4, 10>, Q, P>,
    ),
);

/// [`VggLike`] of width k = 0.5.
pub type VggHalf<P = LogUniform, Q = Additive> = VggLike<P, Q, 32, 64, 128, 256>;
/// [`VggLike`] of width k = 0.25.
pub type VggQuarter<P = LogUniform, Q = Additive> = VggLike<P, Q, 16, 32, 64, 128>;
