//! Specifications: types from which `build_module` builds the modules of the same name.

use std::marker::PhantomData;

use dfdx::nn::BuildOnDevice;
use sparsevd_priors::Prior;

use crate::compute::{Backend, Elem};
use crate::spec::{Family, Map};

/// The specification of a variational layer: a map, a posterior family and a prior.
///
/// A network is an ordinary dfdx tuple of these and dfdx's own modules; `dev.build_module::<Net, f32>()` builds
/// [`modules::Variational`](crate::modules::Variational) layers from them. The aliases
/// ([`SparseVdLinear`](crate::SparseVdLinear), [`ArdLinear`](crate::ArdLinear), ..) name the usual special cases.
/// Layers are built with the default prior; [`Network::set_prior`](crate::Network::set_prior) changes its
/// hyper-parameters.
///
/// A batch of the wrong width does not compile:
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// let dev = Cpu::default();
/// let mut layer = dev.build_module::<SparseVdLinear<16, 10>, f32>();
/// let x: Tensor<(usize, Const<32>), f32, Cpu> = dev.zeros_like(&(100, Const));
/// layer.forward_mut(x.leaky_trace()); // the layer reads 16 columns, not 32
/// ```
///
/// Neither does training on an activation without its tape, whose gradient would be lost:
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// let dev = Cpu::default();
/// let mut net = dev.build_module::<(SparseVdLinear<4, 4>, SparseVdLinear<4, 4>, SparseVdLinear<4, 4>), f32>();
/// let x: Tensor<(usize, Const<4>), f32, Cpu> = dev.zeros_like(&(100, Const));
/// let (h, tape) = net.0.forward_mut(x.leaky_trace()).split_tape();
/// let a = net.1.forward_mut(h.clone().put_tape(tape));
/// let b = net.2.forward_mut(h.clone()); // `h.retaped::<OwnedTape<_, _>>()` would have a tape
/// ```
///
/// Neither does a prior without a formula, nor type arguments in another order:
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// #[derive(Clone, Debug, Default)]
/// struct Mine;
/// Cpu::default().build_module::<VariationalLinear<16, 10, Mine>, f32>(); // `Mine` is not a prior
/// ```
///
/// ```compile_fail,E0277
/// # use sparsevd::prelude::*;
/// Cpu::default().build_module::<Variational<LinearMap<16, 10>, LogUniform, Additive>, f32>();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Variational<M: Map, Q: Family, P: Prior + Default>(PhantomData<(M, Q, P)>);

impl<M: Map, Q: Family, P: Prior + Default, E: Elem, D: Backend<E>> BuildOnDevice<D, E> for Variational<M, Q, P> {
    type Built = super::variational::Variational<M, Q, P, E, D>;
}

/// Batch normalisation over `C` channels or features (Ioffe and Szegedy 2015), for images and for vectors.
///
/// ```text
/// y = scale (x - mean) / sqrt(variance + epsilon) + bias              channel by channel; epsilon = 1e-5
/// ```
/// Training uses the mean and the (biased) variance of the batch, over examples and positions, and moves the running
/// moments towards the mean and the unbiased variance by the momentum, 0.1. Evaluation uses the running moments.
/// Parameters, their names and their defaults are those of dfdx's `BatchNorm1D` and `BatchNorm2D`, which work with this
/// library's layers, too, on one thread. A batch whose moments are not finite leaves the running moments as they are. A
/// batch of one vector has no variance: `forward_mut` panics, `try_forward_mut` returns dfdx's `WrongNumElements`;
/// leave such a batch out.
///
/// On the CPU, training writes the output over the input, and its gradient over that of the input, if no other tensor
/// shares the input: `Gradients` then has no gradient of the output. A clone of the input keeps both.
///
/// # Shapes
/// `(batch, C)` or `(batch, C, height, width)`, unchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchNorm<const C: usize>;

impl<const C: usize, E: Elem, D: Backend<E>> BuildOnDevice<D, E> for BatchNorm<C> {
    type Built = super::norm::BatchNorm<C, E, D>;
}
