//! A module of your own, with variational layers and a parameter inside: it is trained, pruned and saved like any
//! other.
//!
//! `cargo run --release --example custom_block`

use sparsevd::dfdx::nn::tensor_collection::*;
use sparsevd::prelude::*;
use sparsevd::{ByPath, join_path};

/// The specification of the module, in a network's type: `x + gate * inner(x)`, where the gate starts at 0 (Bachlechner
/// et al. 2021, "ReZero").
#[derive(Clone, Debug, Default)]
struct Gated<N>(N);

/// The built module, on a device.
#[derive(Clone, Debug)]
struct GatedModule<N, E: Dtype, D: Storage<E>> {
    inner: N,
    gate: Tensor<Rank0, E, D>,
}

impl<N: BuildOnDevice<D, E>, E: Elem, D: Backend<E>> BuildOnDevice<D, E> for Gated<N> {
    type Built = GatedModule<N::Built, E, D>;
}

/// Its parts by name, which are built, trained and saved.
impl<N: TensorCollection<E, D>, E: Elem, D: Device<E>> TensorCollection<E, D> for GatedModule<N, E, D> {
    type To<E2: Dtype, D2: Device<E2>> = GatedModule<N::To<E2, D2>, E2, D2>;

    fn iter_tensors<V: ModuleVisitor<Self, E, D>>(visitor: &mut V) -> Result<Option<Self::To<V::E2, V::D2>>, V::Err> {
        let inner = Self::module("inner", |s| &s.inner, |s| &mut s.inner);
        let gate = Self::tensor("gate", |s| &s.gate, |s| &mut s.gate, TensorOptions::reset_to_zeros());
        visitor.visit_fields((inner, gate), |(inner, gate)| GatedModule { inner, gate })
    }
}

/// Its variational layers, under the names of its parts: they are counted in the KL, pruned and configured.
impl<N: Network<E, D>, E: Elem, D: Backend<E>> Network<E, D> for GatedModule<N, E, D> {
    fn visit<'a>(&'a self, path: &str, found: &mut ByPath<&'a dyn Layer<E, D>>) {
        self.inner.visit(&join_path(path, "inner"), found);
    }
    fn visit_mut<'a>(&'a mut self, path: &str, found: &mut ByPath<&'a mut dyn Layer<E, D>>) {
        self.inner.visit_mut(&join_path(path, "inner"), found);
    }
    /// Its activations, for files.
    fn kinds(&self, path: &str, found: &mut ByPath<String>) {
        self.inner.kinds(&join_path(path, "inner"), found);
    }
}

type Batch<B, const M: usize, E, D, T = NoneTape> = Tensor<(B, Const<M>), E, D, T>;

/// Evaluation: without a tape, deterministic.
impl<N, B: Dim, const M: usize, E: Elem, D: Backend<E>> Module<Batch<B, M, E, D>> for GatedModule<N, E, D>
where
    N: Module<Batch<B, M, E, D>, Output = Batch<B, M, E, D>, Error = D::Err>,
{
    type Output = Batch<B, M, E, D>;
    type Error = D::Err;

    fn try_forward(&self, x: Batch<B, M, E, D>) -> Result<Self::Output, D::Err> {
        let y = self.inner.try_forward(x.clone())?;
        let gate = self.gate.clone().try_broadcast_like::<_, Axes2<0, 1>>(x.shape())?;
        y.try_mul(gate)?.try_add(x)
    }
}

/// Training: on a tape, with the noise of the layers inside.
impl<N, B: Dim, const M: usize, E: Elem, D: Backend<E>> ModuleMut<Batch<B, M, E, D, OwnedTape<E, D>>>
    for GatedModule<N, E, D>
where
    N: ModuleMut<Batch<B, M, E, D, OwnedTape<E, D>>, Output = Batch<B, M, E, D, OwnedTape<E, D>>, Error = D::Err>,
{
    type Output = Batch<B, M, E, D, OwnedTape<E, D>>;
    type Error = D::Err;

    fn try_forward_mut(&mut self, x: Self::Output) -> Result<Self::Output, D::Err> {
        let (x, tape) = x.split_tape();
        let y = self.inner.try_forward_mut(x.clone().put_tape(tape))?;
        let gate = self.gate.retaped::<OwnedTape<E, D>>().try_broadcast_like::<_, Axes2<0, 1>>(x.shape())?;
        y.try_mul(gate)?.try_add(x)
    }
}

type Block = Gated<(SparseVdLinear<100, 100>, ReLU)>;
type Net = (SparseVdLinear<64, 100>, ReLU, Block, Block, SparseVdLinear<100, 10>);

fn main() -> Result<(), Error> {
    let split = Split::optdigits()?.centred();
    let mut net = Cpu::seed_from_u64(0).build_module::<Net, f32>();
    Trainer { epochs: 40, batch: 50, learning_rate: 2e-3, ..Trainer::default() }.fit(&mut net, split.train())?;

    let pruned = predict(&mut net, split.test(), Evaluate::Pruned(3.0))?.score(split.test().labels())?;
    println!("error {:.2} %, gates {:.2} and {:.2}", 100.0 * pruned.error, net.2.gate.array(), net.3.gate.array());
    println!("{}", net.sparsity(3.0)?);
    Ok(())
}
