//! Tuples of networks as networks.

use sparsevd_infer::Op;

use super::describe::ByPath;
use super::layer::Layer;
use super::network::{Network, join_path};
use crate::compute::{Backend, Elem};
use crate::error::Error;

/// Implements `Network` for a tuple, which visits its parts in order. A macro, because Rust has no generics over the
/// length of a tuple.
macro_rules! tuple {
    ($($part:ident $index:tt),+) => {
        impl<E: Elem, D: Backend<E>, $($part: Network<E, D>),+> Network<E, D> for ($($part,)+) {
            fn visit<'a>(&'a self, path: &str, found: &mut ByPath<&'a dyn Layer<E, D>>) {
                $(self.$index.visit(&join_path(path, $index), found);)+
            }
            fn visit_mut<'a>(&'a mut self, path: &str, found: &mut ByPath<&'a mut dyn Layer<E, D>>) {
                $(self.$index.visit_mut(&join_path(path, $index), found);)+
            }
            fn kinds(&self, path: &str, found: &mut ByPath<String>) {
                $(self.$index.kinds(&join_path(path, $index), found);)+
            }
            fn plain(&self, path: &str, threshold: f64, found: &mut ByPath<Op>) -> Result<(), Error> {
                $(self.$index.plain(&join_path(path, $index), threshold, found)?;)+
                Ok(())
            }
            fn output_shape(&self, path: &str, input: &[usize]) -> Result<Option<Vec<usize>>, Error> {
                let shape = Some(input.to_vec());
                $(
                    let Some(shape) = shape else { return Ok(None) };
                    let shape = self.$index.output_shape(&join_path(path, $index), &shape)?;
                )+
                Ok(shape)
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, F 3);
tuple!(A 0, B 1, C 2, F 3, G 4);
tuple!(A 0, B 1, C 2, F 3, G 4, H 5);
