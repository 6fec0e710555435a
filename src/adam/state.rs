//! What Adam remembers, by name: out for a checkpoint, and back.

use std::collections::BTreeMap;

use dfdx::nn::tensor_collection::*;
use dfdx::prelude::*;

use super::Adam;
use crate::backend::{Backend, Elem, tensor_of};
use crate::error::Error;
use crate::tensors::Named;

impl<E: Elem, D: Backend<E>> Adam<E, D> {
    /// Steps taken, and how many of them before the moments were zero.
    pub(crate) fn steps(&self) -> [i32; 2] {
        [self.steps, self.begun]
    }

    /// The moments by name: `adam.m.0.weight`, `adam.v.0.weight`, .., as the next step would find them.
    pub(crate) fn state<N: TensorCollection<E, D>>(&mut self, network: &N) -> Result<Vec<Named<E>>, Error> {
        self.follow(network)?;
        let mut reader = Reader { moments: self.moments(network)?, found: Vec::new() };
        N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: &mut reader }).map_err(Error::device)?;
        Ok(reader.found)
    }

    /// Goes on after these [`steps`](Adam::steps), with these moments.
    pub(crate) fn restore<N: TensorCollection<E, D>>(
        &mut self,
        network: &N,
        [steps, begun]: [i32; 2],
        values: &mut BTreeMap<String, Vec<E>>,
    ) -> Result<(), Error> {
        (self.steps, self.begun, self.trained) = (steps, begun, Vec::new());
        (self.moments, self.gradients) = (None, None);
        let mut writer = Writer { moments: self.moments(network)?, values };
        N::iter_tensors(&mut RecursiveWalker { m: (network, String::new()), f: &mut writer })
            .map(drop)
            .map_err(Error::device)
    }
}

/// What a tensor's moments are called.
fn names(tensor: &str) -> [String; 2] {
    ["m", "v"].map(|moment| format!("adam.{moment}.{tensor}"))
}

struct Reader<'a, E: Elem, D: Backend<E>> {
    moments: &'a mut [Gradients<E, D>; 2],
    found: Vec<Named<E>>,
}

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Reader<'_, E, D> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        if options.do_gradient_update {
            let shape: Vec<usize> = tensor.shape().concrete().into_iter().collect();
            for (moments, name) in self.moments.iter_mut().zip(names(&name)) {
                moments.try_alloc_for(tensor)?;
                let values = moments.get(tensor).as_vec();
                self.found.push(Named::trained(name, shape.clone(), values));
            }
        }
        Ok(None)
    }
}

struct Writer<'a, E: Elem, D: Backend<E>> {
    moments: &'a mut [Gradients<E, D>; 2],
    values: &'a mut BTreeMap<String, Vec<E>>,
}

impl<E: Elem, D: Backend<E>> TensorVisitor<E, D> for Writer<'_, E, D> {
    type Viewer = (ViewTensorRef, ViewTensorName);
    type Err = D::Err;
    type E2 = E;
    type D2 = D;

    /// A gradient is set to `c` by taking that of `sum(c x)`.
    fn visit<S: Shape>(
        &mut self,
        options: TensorOptions<S, E, D>,
        (tensor, name): (&Tensor<S, E, D>, String),
    ) -> Result<Option<Tensor<S, E, D>>, D::Err> {
        for (moments, name) in self.moments.iter_mut().zip(names(&name)) {
            if let Some(values) = self.values.remove(&name).filter(|_| options.do_gradient_update) {
                let x = tensor.trace(std::mem::replace(moments, Gradients::leaky()));
                let c = tensor_of(tensor.device(), &values, *tensor.shape())?;
                *moments = x.try_mul(c)?.try_sum::<Rank0, S::AllAxes>()?.try_backward()?;
            }
        }
        Ok(None)
    }
}
