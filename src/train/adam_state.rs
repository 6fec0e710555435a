//! The moments of Adam by name, saved to and restored from a checkpoint.

use std::collections::BTreeMap;

use dfdx::prelude::*;

use super::adam::Adam;
use crate::compute::visit::{AnyTensor, Tensors, Visit};
use crate::compute::{Backend, Elem};
use crate::error::Error;
use crate::model::tensors::Named;

impl<E: Elem, D: Backend<E>> Adam<E, D> {
    /// The number of steps taken, and of those before the moments were last zero.
    pub(crate) fn steps(&self) -> [i32; 2] {
        [self.steps, self.begun]
    }

    /// The moments by name: `adam.m.0.weight`, `adam.v.0.weight`, .., as the next step would use them.
    pub(crate) fn state(&mut self, network: &dyn Tensors<E, D>) -> Result<Vec<Named<E>>, Error> {
        self.follow(network)?;
        let mut reader = Reader { moments: self.moments(network)?, found: Vec::new() };
        network.read_with(&mut reader).map_err(Error::device)?;
        Ok(reader.found)
    }

    /// Restores these numbers of [`steps`](Adam::steps) and these moments.
    pub(crate) fn restore(
        &mut self,
        network: &dyn Tensors<E, D>,
        [steps, begun]: [i32; 2],
        values: &mut BTreeMap<String, Vec<E>>,
    ) -> Result<(), Error> {
        (self.steps, self.begun, self.trained) = (steps, begun, Vec::new());
        (self.moments, self.gradients) = (None, None);
        let mut writer = Writer { moments: self.moments(network)?, values };
        network.read_with(&mut writer).map_err(Error::device)
    }
}

/// The tensor whose moment has this name; `None` if it is no moment.
pub(super) fn tensor_of_moment(name: &str) -> Option<&str> {
    ["adam.m.", "adam.v."].into_iter().find_map(|start| name.strip_prefix(start))
}

/// The names of a tensor's moments.
fn names(tensor: &str) -> [String; 2] {
    ["m", "v"].map(|moment| format!("adam.{moment}.{tensor}"))
}

struct Reader<'a, E: Elem, D: Backend<E>> {
    moments: &'a mut [Gradients<E, D>; 2],
    found: Vec<Named<E>>,
}

impl<E: Elem, D: Backend<E>> Visit<E, D> for Reader<'_, E, D> {
    fn tensor(&mut self, name: String, trained: bool, tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
        if trained {
            for (moments, name) in self.moments.iter_mut().zip(names(&name)) {
                let values = tensor.gradient(moments)?;
                self.found.push(Named::trained(name, tensor.dims(), values));
            }
        }
        Ok(())
    }
}

struct Writer<'a, E: Elem, D: Backend<E>> {
    moments: &'a mut [Gradients<E, D>; 2],
    values: &'a mut BTreeMap<String, Vec<E>>,
}

impl<E: Elem, D: Backend<E>> Visit<E, D> for Writer<'_, E, D> {
    fn tensor(&mut self, name: String, trained: bool, tensor: &dyn AnyTensor<E, D>) -> Result<(), D::Err> {
        for (moments, name) in self.moments.iter_mut().zip(names(&name)) {
            if let Some(values) = self.values.remove(&name).filter(|_| trained) {
                tensor.set_gradient(moments, &values)?;
            }
        }
        Ok(())
    }
}
