//! The compact network and its forward pass.

use wide::f32x16;

use crate::form::Form;
use crate::layer::Layer;
use crate::pack;

/// A trained network reduced to what its output depends on.
///
/// It is `Send` and `Sync`: threads share one network, each with a [`Scratch`] of its own.
#[derive(Clone, Debug)]
pub struct CompactNet {
    pub(crate) input: [usize; 3],
    pub(crate) layers: Vec<Layer>,
}

/// The working memory of a forward pass. The first pass allocates it; later passes over at most as many examples are
/// allocation-free.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    here: Aligned,
    there: Aligned,
    within: Aligned,
    out: Vec<f32>,
}

/// Numbers aligned to cache lines: the sixteen that are read at once are never in two lines.
#[derive(Clone, Debug, Default)]
struct Aligned(Vec<f32x16>);

impl Aligned {
    /// The first `len` numbers; it allocates them if necessary.
    fn first(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() * 16 < len {
            self.0.resize(len.div_ceil(16), f32x16::ZERO);
        }
        &mut bytemuck::cast_slice_mut(&mut self.0)[..len]
    }
}

/// Input that is not a whole number of examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} numbers of input; the network reads {each} per example")]
pub struct InputError {
    /// The number of values given.
    pub found: usize,
    /// The number of values per example.
    pub each: usize,
}

impl CompactNet {
    /// The layers, in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Number of input values per example.
    pub fn inputs(&self) -> usize {
        self.input.iter().product()
    }

    /// Number of outputs per example.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs(), |layer| layer.output().iter().product())
    }

    /// The outputs of all examples in `x`, one example after the other.
    ///
    /// # Shapes
    /// input `(batch, inputs)`, images as `(batch, channels, height, width)`; output `(batch, outputs)`.
    ///
    /// # Errors
    /// [`InputError`] if `x` is not a whole number of examples.
    pub fn forward<'s>(&self, x: &[f32], scratch: &'s mut Scratch) -> Result<&'s [f32], InputError> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        if !x.len().is_multiple_of(inputs) {
            return Err(InputError { found: x.len(), each: inputs });
        }
        let data = x.len() / inputs;
        scratch.out.resize(data * outputs, 0.0);
        let mut out = std::mem::take(&mut scratch.out);
        let mut done = 0;
        let widest = self.widest();
        while done < data {
            let (x, y) = (&x[done * inputs..], &mut out[done * outputs..]);
            done += match (data - done).min(widest) {
                48.. => self.tile::<64>(x, y, scratch),
                24.. => self.tile::<32>(x, y, scratch),
                9.. => self.tile::<16>(x, y, scratch),
                3.. => self.tile::<8>(x, y, scratch),
                _ => self.tile::<1>(x, y, scratch),
            };
        }
        scratch.out = out;
        Ok(&scratch.out)
    }

    /// The most examples that are interleaved: one if images are very large, so that the scratch stays small; 16 if
    /// there is a dense layer, which reads them again for every few rows, so that they stay in the cache; otherwise 64.
    fn widest(&self) -> usize {
        let dense = self.layers.iter().any(|layer| layer.form() == Form::Dense);
        match self.most() {
            most if most > 1 << 18 => 1,
            _ if dense => 16,
            _ => 64,
        }
    }

    /// The largest number of values per example in any layer.
    fn most(&self) -> usize {
        self.layers.iter().map(|layer| layer.reads().max(layer.scratch())).fold(self.outputs(), usize::max)
    }

    /// Computes up to `T` examples, interleaved; returns their number.
    fn tile<const T: usize>(&self, x: &[f32], out: &mut [f32], scratch: &mut Scratch) -> usize {
        let Some(first) = self.layers.first() else { return 1 };
        let data = (x.len() / self.inputs()).min(T);
        let Scratch { here, there, within, .. } = scratch;
        let most = self.most();
        let (mut here, mut there) = (here.first(T * most), there.first(T * most));
        let within = within.first(T * self.layers.iter().map(Layer::scratch).max().unwrap_or(0));
        let x = &x[..data * self.inputs()];
        let in_place = T == 1 && first.pad() == 0;
        if !in_place {
            pack::pack::<T>(x, data, first, here);
        }
        for (l, layer) in self.layers.iter().enumerate() {
            let (size, pad) = match self.layers.get(l + 1) {
                Some(next) => (next.reads() * T, next.pad()),
                None => (self.outputs() * T, 0),
            };
            let y = &mut there[..size];
            if pad > 0 {
                y.fill(0.0);
            }
            let x = if l == 0 && in_place { x } else { &here[..layer.reads() * T] };
            layer.forward::<T>(x, y, pad, within);
            std::mem::swap(&mut here, &mut there);
        }
        for (t, out) in out.chunks_exact_mut(self.outputs()).take(data).enumerate() {
            out.iter_mut().zip(here.iter().skip(t).step_by(T)).for_each(|(out, y)| *out = *y);
        }
        data
    }
}
