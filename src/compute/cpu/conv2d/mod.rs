//! A convolutional layer's sampled output as one operation. The [`direct`] kernels compute windows that move one pixel at a
//! time. For others the images are unfolded once for the mean and the variance product, some at a time so that they stay
//! in the cache, and again in the backward pass.

mod backward;
mod direct;
mod forward;

use std::ops::Range;

use dfdx::prelude::*;
use sparsevd_priors::{Lane, Prior};

use super::buffer::Buffer;
use super::effective::{Effective, Factor};
use super::gradient::{Parameter, ordered, with_gradient};
use super::memory::{numbers, numbers_mut, tensor, zeros_while};
use super::product::Matrix;
use super::unfold::Geometry;
use crate::compute::backend::{LayerView, Taped};
use crate::compute::elem::Elem;
use crate::compute::noise;
use crate::compute::seeds::Seed;
use crate::spec::{Convolution, Family};
use backward::{Part, Sums};

/// Number of parts that a batch is cut into. Each part sums its own gradients, and the sums are added in order, so that
/// the result does not depend on the number of threads.
const PARTS: usize = 8;
/// Number of unfolded numbers that fit into a core's cache.
const BLOCK: usize = 1 << 16;

type Images<B, C, E> = Taped<(B, C, usize, usize), E, Cpu>;

/// `y = conv(x, θ) + b + sqrt(conv(x², v) + floor) ε`, with `v = Var w`, on the tape.
pub(super) fn conv2d<M: Convolution, B: Dim, Q: Family, P: Prior, E: Elem>(
    layer: LayerView<'_, M, Q, P, E, Cpu>,
    x: Images<B, M::In, E>,
    seed: Seed,
    input_grad: bool,
) -> Result<Images<B, M::Out, E>, CpuError>
where
    Cpu: Device<E>,
{
    let (x, mut tape) = x.try_contiguous()?.split_tape();
    let convolution = Convolve::new::<M, B>(&x, Effective::of(layer, &mut tape)?)?;
    let bias = ordered(layer.bias, &mut tape)?;
    let (mut y, mut slope) = zeros_while(x.device(), convolution.output::<M, B>(&x), || {
        convolution.effective.noisy().then(|| {
            let mut eps = Buffer::any(convolution.images * convolution.output_len());
            if !convolution.draws_later() {
                noise::fill(seed, &mut eps);
            }
            eps
        })
    })?;
    let noise = slope.as_deref_mut().map(|eps| Noise { eps, seed: convolution.draws_later().then_some(seed) });
    convolution.forward(numbers(&x), numbers(&bias), numbers_mut(&mut y), noise);

    let out = y.ghost();
    let bias: Option<Box<dyn Parameter<E>>> = if M::BIAS { Some(Box::new(bias)) } else { None };
    let pass = Pass { convolution, slope, x: Box::new(x), bias };
    tape.add_backward_op(move |grads| {
        let sums = with_gradient(
            grads,
            |grads| grads.get_or_alloc_mut(&out),
            |g, grads| pass.sums(&g[..], input_grad, grads),
        )?;
        pass.add(&sums, grads)
    });
    Ok(y.put_tape(tape))
}

/// The data that the backward pass needs.
struct Pass<E: Elem> {
    convolution: Convolve<E>,
    slope: Option<Buffer<E>>,
    x: Box<dyn Parameter<E>>,
    bias: Option<Box<dyn Parameter<E>>>,
}

impl<E: Elem> Pass<E> {
    /// Returns the gradients of the weights and of the bias for the output's gradient `g`; adds to the gradient of the
    /// input.
    fn sums(&self, g: &[E], input_grad: bool, grads: &mut Gradients<E, Cpu>) -> Result<Sums<E>, CpuError> {
        let run = |d_x: Option<&mut [E]>| {
            Ok(self.convolution.backward(Part { x: self.x.numbers(), g, slope: self.slope.as_deref(), d_x }))
        };
        if !input_grad {
            return run(None);
        }
        with_gradient(grads, |grads| self.x.gradient(grads), |d_x, _| run(Some(&mut d_x[..])))
    }

    /// Adds them to those of the parameters.
    fn add(&self, sums: &Sums<E>, grads: &mut Gradients<E, Cpu>) -> Result<(), CpuError> {
        if let Some(bias) = &self.bias {
            bias.gradient(grads)?.iter_mut().zip(sums.bias.iter()).for_each(|(to, g)| *to += *g);
        }
        let convolution = &self.convolution;
        convolution.effective.pull_back(grads, |d_means, d_variance| {
            for group in 0..convolution.groups {
                convolution.hand_out(&convolution.means(group), group, &sums.means, d_means);
                if let Some(variances) = convolution.variances(group) {
                    convolution.hand_out(&variances, group, &sums.variance, d_variance);
                }
            }
        })
    }
}

/// `y = conv(x, weights) + b`.
#[allow(clippy::type_complexity, reason = "dfdx's types are long")]
pub(super) fn conv2d_with<M: Convolution, B: Dim, Q: Family, P: Prior, E: Elem>(
    layer: LayerView<'_, M, Q, P, E, Cpu>,
    x: Tensor<(B, M::In, usize, usize), E, Cpu>,
    weights: Tensor<M::Weight, E, Cpu>,
) -> Result<Tensor<(B, M::Out, usize, usize), E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let (x, bias) = (x.try_contiguous()?, layer.bias.clone().try_contiguous()?);
    let convolution = Convolve::new::<M, B>(&x, Effective::still(layer, weights)?)?;
    tensor(x.device(), convolution.output::<M, B>(&x), |y| convolution.forward(numbers(&x), numbers(&bias), y, None))
}

/// The noise of outputs.
struct Noise<'a, E> {
    /// Becomes the derivative of each output by its variance, `eps / (2 std)`.
    eps: &'a mut [E],
    /// The seed to draw `eps` from, if it is not drawn yet.
    seed: Option<Seed>,
}

/// One convolution of a batch.
struct Convolve<E: Elem> {
    effective: Effective<E>,
    /// The geometry of one group of channels.
    geometry: Geometry,
    groups: usize,
    images: usize,
    bias: bool,
}

impl<E: Elem> Convolve<E> {
    fn new<M: Convolution, B: Dim>(
        x: &Tensor<(B, M::In, usize, usize), E, Cpu>,
        effective: Effective<E>,
    ) -> Result<Self, CpuError> {
        let (batch, channels, height, width) = *x.shape();
        let outputs = M::WINDOW.outputs([height, width]).ok_or(CpuError::WrongNumElements)?;
        let geometry =
            Geometry { window: M::WINDOW, channels: channels.size() / M::GROUPS, image: [height, width], outputs };
        Ok(Convolve { effective, geometry, groups: M::GROUPS, images: batch.size(), bias: M::BIAS })
    }

    /// The shape of the output.
    fn output<M: Convolution, B: Dim>(
        &self,
        x: &Tensor<(B, M::In, usize, usize), E, Cpu>,
    ) -> (B, M::Out, usize, usize) {
        (x.shape().0, M::Out::default(), self.geometry.outputs[0], self.geometry.outputs[1])
    }

    /// Number of outputs of one image.
    fn output_len(&self) -> usize {
        self.effective.grid.rows * self.geometry.positions()
    }

    /// Number of inputs of one image, over all groups.
    fn input_len(&self) -> usize {
        self.groups * self.geometry.pixels()
    }

    /// The parts of the batch as ranges of images, whose lengths differ by at most one.
    fn parts(&self, count: usize) -> impl Iterator<Item = Range<usize>> + use<E> {
        let images = self.images;
        (0..count).map(move |i| images * i / count..images * (i + 1) / count).filter(|part| !part.is_empty())
    }

    /// Number of images unfolded at a time.
    fn block(&self) -> usize {
        (BLOCK / (self.geometry.rows() * self.geometry.positions()).max(1)).clamp(1, self.images.div_ceil(PARTS).max(1))
    }

    /// The outputs of a group.
    fn outputs(&self, group: usize) -> Range<usize> {
        let rows = self.effective.grid.rows / self.groups;
        group * rows..(group + 1) * rows
    }

    /// True if the [`direct`] kernels compute this convolution. They are written over vectors: single numbers are faster in
    /// a matrix product.
    fn is_direct(&self) -> bool {
        self.groups == 1 && E::Lanes::WIDTH > 1 && direct::applies(&self.geometry)
    }

    /// Means and variances for the [`direct`] kernels, if these compute this convolution and the weights are dense; the
    /// variances are empty without noise.
    fn direct(&self) -> Option<[&[E]; 2]> {
        if !(direct::WIDE && self.is_direct()) {
            return None;
        }
        match (self.means(0), self.variances(0)) {
            (Factor::Dense(means), None) => Some([means.numbers(), &[]]),
            (Factor::Dense(means), Some(Factor::Dense(variances))) => Some([means.numbers(), variances.numbers()]),
            _ => None,
        }
    }

    /// True if the noise is drawn during the product, while it is in the cache.
    fn draws_later(&self) -> bool {
        self.direct().is_some() && direct::draws::<E>(&self.geometry, self.effective.grid.rows, self.images)
    }

    /// The weights that are not masked, if they are few and the [`direct`] kernels compute this convolution.
    fn live(&self) -> Option<direct::Live<'_, E>> {
        if !self.is_direct() {
            return None;
        }
        let weight = |(output, col, mean), variance| direct::Weight { output, col, moments: [mean, variance] };
        let weights = match (self.means(0), self.variances(0)) {
            (Factor::Sparse(means), None) => means.iter().map(|mean| weight(mean, E::default())).collect(),
            // Masking keeps both of a weight's moments, or only its mean: then the variances are dense.
            (Factor::Sparse(means), Some(Factor::Sparse(variances))) if means.len() == variances.len() => {
                means.iter().zip(variances.iter()).map(|(mean, (_, _, variance))| weight(mean, variance)).collect()
            }
            _ => return None,
        };
        Some(direct::Live { geometry: &self.geometry, outputs: self.effective.grid.rows, weights })
    }

    /// E w of a group.
    fn means(&self, group: usize) -> Factor<'_, E> {
        self.effective.means(self.outputs(group))
    }

    /// Var w of a group, if there is noise.
    fn variances(&self, group: usize) -> Option<Factor<'_, E>> {
        self.effective.variances(self.outputs(group))
    }

    fn matrix<'a>(&self, unfolded: &'a [E], columns: usize) -> Matrix<'a, E> {
        Matrix::new(unfolded, self.geometry.rows(), columns)
    }

    /// The matrix of one group's channels.
    fn unfold(&self, x: &[E], group: usize, to: &mut [E]) {
        if self.groups == 1 {
            return self.geometry.unfold(x, to);
        }
        let mut own = Buffer::any(x.len() / self.groups);
        self.for_group(x.len(), group, |all, part| own[part].copy_from_slice(&x[all]));
        self.geometry.unfold(&own, to);
    }

    /// Calls `f(range among all channels, range among the group's own)` for a group's channels, image by image.
    fn for_group(&self, len: usize, group: usize, mut f: impl FnMut(Range<usize>, Range<usize>)) {
        let pixels = self.geometry.pixels();
        for image in 0..len / self.input_len() {
            let start = image * self.input_len() + group * pixels;
            f(start..start + pixels, image * pixels..(image + 1) * pixels);
        }
    }

    /// Calls `f(range in the output, range in the product, output channel)` for each of a group's planes.
    fn for_planes(&self, images: usize, group: usize, mut f: impl FnMut(Range<usize>, Range<usize>, usize)) {
        let (rows, positions) = (self.effective.grid.rows / self.groups, self.geometry.positions());
        for (image, row) in (0..images).flat_map(|image| (0..rows).map(move |row| (image, row))) {
            let output = group * rows + row;
            let plane = (image * self.effective.grid.rows + output) * positions;
            let column = (row * images + image) * positions;
            f(plane..plane + positions, column..column + positions, output);
        }
    }
}
