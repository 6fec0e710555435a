//! The networks of the paper, generic over posterior and prior.

use dfdx::nn::builders::ReLU;

use crate::map::LinearMap;
use crate::posterior::Additive;
use crate::{Variational, priors::LogUniform};

/// LeNet-300-100: two hidden layers of 300 and 100, ReLU, 10 classes; 266,200 weights for `I = 784` inputs.
///
/// `LeNet300100` is Sparse Variational Dropout on MNIST; `LeNet300100<Ard>` the same network with another prior,
/// `LeNet300100<Flat, Delta>` the deterministic one, `LeNet300100<LogUniform, Additive, 64>` one for 8x8 images.
pub type LeNet300100<P = LogUniform, Q = Additive, const I: usize = 784> = (
    Variational<LinearMap<I, 300>, Q, P>,
    ReLU,
    Variational<LinearMap<300, 100>, Q, P>,
    ReLU,
    Variational<LinearMap<100, 10>, Q, P>,
);
