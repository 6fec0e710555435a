//! Networks: modules that contain variational layers.

use dfdx::prelude::*;
use sparsevd_infer::Op;
use sparsevd_priors::Prior;

use super::describe::{ByPath, Description, Identity, type_in_words};
use super::layer::{Layer, Weights};
use super::view::View;
use crate::compute::dfdx_tricks::id;
use crate::compute::{Backend, Elem, Taped};
use crate::error::Error;
use crate::spec::Settings;

/// The path of a part, with which the names of its tensors begin: part 2 of `""` is `"2"`, part 0 of `"2"` is `"2.0"`.
pub fn join_path(path: &str, part: impl std::fmt::Display) -> String {
    if path.is_empty() { part.to_string() } else { format!("{path}.{part}") }
}

/// A module that can contain variational layers: a layer, a tuple of up to six parts (nest tuples for more), a module
/// of your own, or one of dfdx's: `Linear`, batch and layer norms, dropout, activations, global pools, `Residual`,
/// `GeneralizedResidual` and `Repeated`.
///
/// A module of your own that contains layers calls `visit` and `visit_mut` for each field that has layers, with the
/// name that the field has in its `TensorCollection`. [`Trainer`](crate::Trainer), [`Elbo`](crate::Elbo) and
/// [`predict`](crate::predict) reject a module that omits one. `examples/custom_block.rs` is a complete example. A
/// module without layers needs no methods:
///
/// ```
/// # use sparsevd::prelude::*;
/// # use sparsevd::{ByPath, Layer, join_path};
/// struct Two<A, B> {
///     first: A,
///     second: B,
/// }
/// impl<A: Network<E, D>, B: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D> for Two<A, B> {
///     fn visit<'a>(&'a self, path: &str, found: &mut ByPath<&'a dyn Layer<E, D>>) {
///         self.first.visit(&join_path(path, "first"), found);
///         self.second.visit(&join_path(path, "second"), found);
///     }
///     fn visit_mut<'a>(&'a mut self, path: &str, found: &mut ByPath<&'a mut dyn Layer<E, D>>) {
///         self.first.visit_mut(&join_path(path, "first"), found);
///         self.second.visit_mut(&join_path(path, "second"), found);
///     }
/// }
///
/// struct Scale(f64);
/// impl<E: Elem, D: Backend<E>> Network<E, D> for Scale {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not part of a network: it does not implement `Network`",
    note = "a tuple has at most six parts; nest them for more: `((A, B, C), (D, E, F), G)`",
    note = "a module of your own without variational layers needs only `impl<E: Elem, D: Backend<E>> Network<E, D> for {Self} {{}}`",
    note = "a module with layers calls `visit` and `visit_mut` for each of its fields",
    note = "wrap a type that is not yours in a struct of your own"
)]
pub trait Network<E: Elem = f32, D: Backend<E> = Cpu> {
    /// Adds the layers inside to `found`, in order, with paths that start with `path`.
    fn visit<'a>(&'a self, _path: &str, _found: &mut ByPath<&'a dyn Layer<E, D>>) {}

    /// The same, to change them.
    fn visit_mut<'a>(&'a mut self, _path: &str, _found: &mut ByPath<&'a mut dyn Layer<E, D>>) {}

    /// The shape of the output for one example of shape `input`, without a forward pass. Training and evaluation check
    /// it first, so that the error for an image of the wrong size names the layer. `None`, the default, if it is not
    /// known; the parts that follow are then not checked.
    ///
    /// # Shapes
    /// Without the batch: `[features]`, or `[channels, height, width]`. `path` is the path of this part, `""` at the
    /// top.
    ///
    /// # Errors
    /// [`Error::Shape`].
    fn output_shape(&self, _path: &str, _input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
        Ok(None)
    }

    /// Adds the names of the parts without parameters (activations and pools) to `found`, for files: a file of a
    /// network with other activations between the same layers is rejected. It adds nothing by default; a module with
    /// parts inside calls it for each of them, as it does [`visit`](Network::visit).
    fn kinds(&self, _path: &str, _found: &mut ByPath<String>) {}

    /// Adds the operations that this part computes at evaluation, with the posterior means pruned at `threshold`, to
    /// `found`, for [`compact`](crate::compact). A part of your own that changes nothing at evaluation returns
    /// `Ok(())`.
    ///
    /// # Errors
    /// [`Error::Compact`] by default.
    fn plain(&self, path: &str, _threshold: f64, _found: &mut ByPath<Op>) -> Result<(), Error> {
        Err(Error::Compact { part: path.into(), problem: no_compact_form::<Self>() })
    }

    /// The variational layers, in order.
    fn layers(&self) -> ByPath<&dyn Layer<E, D>> {
        let mut found = Vec::new();
        self.visit("", &mut found);
        found
    }

    /// The variational layers, in order, to change them.
    fn layers_mut(&mut self) -> ByPath<&mut dyn Layer<E, D>> {
        let mut found = Vec::new();
        self.visit_mut("", &mut found);
        found
    }

    /// The descriptions of the layers, with their paths, for files.
    fn descriptions(&self) -> ByPath<Description> {
        self.layers().into_iter().map(|(path, layer)| (path, layer.describe())).collect()
    }

    /// The summed KL of all layers, in nats, on a tape.
    ///
    /// # Errors
    /// [`Error::NoLayer`], or the device's.
    fn kl(&self) -> Result<Taped<Rank0, E, D>, Error> {
        let mut layers = self.layers().into_iter().map(|(_, layer)| layer.own_kl());
        let first = layers.next().ok_or(Error::NoLayer)??;
        layers.try_fold(first, |sum, kl| sum.try_add(kl?).map_err(Error::device))
    }

    /// A [`View`] of the network whose `forward` uses these weights. The network cannot be trained or changed while the
    /// view lives; afterwards `forward` uses the posterior means again.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// # fn main() -> Result<(), Error> {
    /// let device = Cpu::seed_from_u64(0);
    /// let mut net = device.build_module::<SparseVdLinear<4, 2>, f32>();
    /// let x: Tensor<(usize, Const<4>), f32, _> = device.sample_normal_like(&(8, Const));
    /// let pruned = net.with_weights(Weights::Pruned(3.0))?.forward(x.clone());
    /// let draw = net.with_weights(Weights::Sample(1))?.forward(x.clone());
    /// let mean = net.forward(x);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`Error::Setting`] for a threshold that is NaN; the device's.
    fn with_weights(&mut self, weights: Weights) -> Result<View<'_, Self, E, D>, Error>
    where
        Self: Sized,
    {
        View::new(self, weights)
    }

    /// Puts a batch of data on a tape, for `forward_mut`. In their next pass, layers that read it do not compute its
    /// gradient, which is a third of the products of a first dense layer. For the gradient with respect to the data use
    /// dfdx's `x.leaky_trace()` instead.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// # fn main() -> Result<(), Error> {
    /// let device = Cpu::seed_from_u64(0);
    /// let mut net = device.build_module::<SparseVdLinear<4, 2>, f32>();
    /// let x: Tensor<(usize, Const<4>), f32, _> = device.sample_normal_like(&(8, Const));
    /// let x = net.input(x);
    /// let logits = net.forward_mut(x);
    /// # Ok(()) }
    /// ```
    fn input<S: Shape>(&mut self, x: Tensor<S, E, D>) -> Taped<S, E, D>
    where
        Self: Sized,
    {
        let data = id(&x);
        self.layers_mut().into_iter().for_each(|(_, layer)| layer.expect_data(data));
        x.put_tape(OwnedTape::default())
    }

    /// Sets the training settings of every layer.
    fn configure(&mut self, settings: Settings) {
        self.layers_mut().into_iter().for_each(|(_, layer)| *layer.settings() = settings);
    }

    /// Sets the prior of all layers that have a prior of this type; returns the number of these layers.
    ///
    /// It may be called between epochs, to set a hyper-parameter that you learn in a way of your own. A file stores the
    /// prior that it was written with, and can be read only into a network with the same prior: store the
    /// hyper-parameters in the file, too ([`save_posterior_with`](crate::save_posterior_with)).
    ///
    /// # Errors
    /// [`Error::NoPrior`] if there is none: a network's type says which priors its layers have; [`Error::NoLayer`].
    fn set_prior<P: Prior>(&mut self, prior: P) -> Result<usize, Error>
    where
        Self: Sized,
    {
        let (mut count, mut found) = (0, Vec::new());
        for (_, layer) in self.layers_mut() {
            found.push(layer.describe().prior.to_string());
            if let Some(to) = layer.prior().downcast_mut() {
                *to = prior.clone();
                count += 1;
            }
        }
        found.sort();
        found.dedup();
        if found.is_empty() {
            return Err(Error::NoLayer);
        }
        let none = || Error::NoPrior { prior: Identity::of_prior(&prior).to_string(), found: found.join(", ") };
        if count == 0 { Err(none()) } else { Ok(count) }
    }
}

/// The names of all parts of a network without parameters.
pub(crate) fn kinds<E: Elem, D: Backend<E>>(network: &dyn Network<E, D>) -> ByPath<String> {
    let mut found = Vec::new();
    network.kinds("", &mut found);
    found
}

/// The reason why a part of this type cannot be part of a compact network, and what to do.
pub(crate) fn no_compact_form<T: ?Sized>() -> String {
    format!(
        "`{}` has no compact form, only chains of layers, batch norms, pools, dropout, `Flatten`, `ReLU`, `Tanh` and \
         `Sigmoid` have one; compact the chains before and after it, predict with `Evaluate::Pruned` instead, or, if \
         the type is your own, implement `Network::plain`",
        type_in_words::<T>()
    )
}
