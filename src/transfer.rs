//! Means from an already trained network, and back.

use dfdx::nn::tensor_collection::*;
use dfdx::prelude::*;

use crate::backend::{Backend, Elem};
use crate::error::Error;

/// Copies the weights and biases of one network into another of the same shape: from a deterministic network into a
/// variational one (its means), or the reverse. Returns how many tensors were copied.
///
/// Tensors are matched by name, `"0.weight"` to `"0.weight"`, which dfdx's `Linear` and this library's layers share.
/// Layers without a bias neither give nor take one. What only the target has (log sigma^2) stays; set it with
/// [`VariationalLayer::set_spread`](crate::VariationalLayer::set_spread).
///
/// # Errors
/// [`Error::Mismatch`] naming every tensor that the source lacks or has in another shape; the target is then unchanged.
pub fn copy_means<E, D, E2, D2>(
    from: &impl TensorCollection<E, D>,
    to: &mut impl TensorCollection<E2, D2>,
) -> Result<usize, Error>
where
    E: Elem,
    D: Backend<E>,
    E2: Elem,
    D2: Backend<E2>,
{
    let source = read(from)?;
    let mut problems = Vec::new();
    for target in read(to)?.iter().filter(|t| t.is_mean()) {
        match source.iter().find(|s| s.is_mean() && s.name == target.name) {
            None => problems.push(format!("the source has no `{}`", target.name)),
            Some(s) if s.shape != target.shape => {
                problems.push(format!("`{}` is {:?} in the source, {:?} in the target", s.name, s.shape, target.shape));
            }
            Some(_) => {}
        }
    }
    if !problems.is_empty() {
        return Err(Error::Mismatch(problems));
    }
    let mut writer = Writer { source, written: 0 };
    walk_mut(to, &mut writer)?;
    Ok(writer.written)
}

/// A tensor's name, shape and numbers.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
    /// Whether it is a parameter; the bias of a layer without one is not.
    pub(crate) trained: bool,
}

impl Named {
    fn is_mean(&self) -> bool {
        self.trained && matches!(self.name.rsplit('.').next(), Some("weight" | "bias"))
    }
}

/// All tensors of a network, in order.
pub(crate) fn read<E: Elem, D: Backend<E>>(network: &impl TensorCollection<E, D>) -> Result<Vec<Named>, Error> {
    let mut reader = Reader(Vec::new());
    walk(network, &mut reader)?;
    Ok(reader.0)
}

fn walk<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(network: &N, reader: &mut Reader) -> Result<(), Error> {
    N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: reader })
        .map(|_| ())
        .map_err(|e: D::Err| Error::device(e))
}

fn walk_mut<N: TensorCollection<E, D>, E: Elem, D: Backend<E>>(
    network: &mut N,
    writer: &mut Writer,
) -> Result<(), Error> {
    N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: writer })
        .map(|_| ())
        .map_err(|e: D::Err| Error::device(e))
}

struct Reader(Vec<Named>);

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Reader {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        let shape = tensor.shape().concrete().into_iter().collect();
        let values = tensor.as_vec().into_iter().map(Elem::f64).collect();
        self.0.push(Named { name, shape, values, trained: options.do_gradient_update });
        Ok(None)
    }
}

struct Writer {
    source: Vec<Named>,
    written: usize,
}

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Writer {
    type Viewer = (ViewTensorMut, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&mut Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        let source = self.source.iter().find(|s| s.is_mean() && s.name == name);
        if let Some(source) = source.filter(|_| options.do_gradient_update) {
            let values: Vec<E> = source.values.iter().map(|x| E::of(*x)).collect();
            tensor.copy_from(&values);
            self.written += 1;
        }
        Ok(None)
    }
}
