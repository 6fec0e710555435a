//! A reference for chains of operations, in double precision and with the simplest code.

use sparsevd_infer::{Activation, Op, Pool, PoolKind, Window};

/// One input on its way through a chain.
#[derive(Clone, Debug)]
pub struct Signal {
    /// Channels, height, width; features are channels of one pixel.
    pub shape: [usize; 3],
    /// Channel by channel, row by row.
    pub numbers: Vec<f64>,
    /// The sums of absolute values, without cancellation: rounding errors are a fraction of these.
    pub sizes: Vec<f64>,
}

impl Signal {
    pub fn new(shape: [usize; 3], numbers: Vec<f64>) -> Self {
        let sizes = numbers.iter().map(|x| x.abs()).collect();
        Signal { shape, numbers, sizes }
    }

    pub fn through(self, op: &Op) -> Self {
        match op {
            Op::Linear { weights, bias, .. } => self.linear(weights, bias),
            Op::Conv2d { weights, bias, groups, window, .. } => self.conv2d(weights, bias, *groups, *window),
            Op::Scale { factor, shift } => {
                let area = self.shape[1] * self.shape[2];
                let scaled = |x: &[f64], of: fn(f64) -> f64| {
                    x.iter().enumerate().map(|(i, x)| of(factor[i / area]) * x + of(shift[i / area])).collect()
                };
                Signal { numbers: scaled(&self.numbers, |x| x), sizes: scaled(&self.sizes, f64::abs), ..self }
            }
            Op::Activation(f) => {
                let numbers = self.numbers.iter().map(|x| match f {
                    Activation::Relu => x.max(0.0),
                    Activation::Tanh => x.tanh(),
                    Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
                });
                Signal { numbers: numbers.collect(), sizes: self.sizes.iter().map(|x| x + 1.0).collect(), ..self }
            }
            Op::Pool(pool) => self.pool(*pool),
            Op::Flatten => Signal { shape: [self.numbers.len(), 1, 1], ..self },
        }
    }

    fn linear(&self, weights: &[f64], bias: &[f64]) -> Self {
        let row = |o: usize| &weights[o * self.numbers.len()..(o + 1) * self.numbers.len()];
        let sum = |o: usize, x: &[f64], of: fn(f64) -> f64| -> f64 {
            of(bias[o]) + row(o).iter().zip(x).map(|(w, x)| of(*w) * x).sum::<f64>()
        };
        Signal {
            shape: [bias.len(), 1, 1],
            numbers: (0..bias.len()).map(|o| sum(o, &self.numbers, |x| x)).collect(),
            sizes: (0..bias.len()).map(|o| sum(o, &self.sizes, f64::abs)).collect(),
        }
    }

    fn conv2d(&self, weights: &[f64], bias: &[f64], groups: usize, window: Window) -> Self {
        let (inputs, outputs, k) = (self.shape[0] / groups, bias.len(), window.kernel);
        self.slide(outputs, window, |o, read| {
            let (mut y, mut size) = (bias[o], bias[o].abs());
            for i in 0..inputs {
                for (tap, pixel) in read.iter().enumerate() {
                    let weight = weights[(o * inputs + i) * k * k + tap];
                    let channel = o / (outputs / groups) * inputs + i;
                    let Some(at) = pixel.map(|pixel| channel * self.shape[1] * self.shape[2] + pixel) else { continue };
                    (y, size) = (y + weight * self.numbers[at], size + weight.abs() * self.sizes[at]);
                }
            }
            [y, size]
        })
    }

    fn pool(&self, pool: Pool) -> Self {
        let area = (pool.window.kernel * pool.window.kernel) as f64;
        self.slide(self.shape[0], pool.window, |channel, read| {
            let inside: Vec<usize> =
                read.iter().flatten().map(|pixel| channel * self.shape[1] * self.shape[2] + pixel).collect();
            let of = |x: &[f64]| match pool.kind {
                PoolKind::Max => inside.iter().map(|at| x[*at]).fold(f64::NEG_INFINITY, f64::max),
                PoolKind::Mean => inside.iter().map(|at| x[*at]).sum::<f64>() / area,
            };
            [of(&self.numbers), of(&self.sizes)]
        })
    }

    /// `each(channel, read)` of every window, where `read` has the pixel of each tap, or none in the padding.
    fn slide(&self, channels: usize, w: Window, each: impl Fn(usize, &[Option<usize>]) -> [f64; 2]) -> Self {
        let [_, height, width] = self.shape;
        let count = |size: usize| (size + 2 * w.pad - w.dilation * (w.kernel - 1) - 1) / w.stride + 1;
        let pixel = |o: usize, tap: usize, size: usize| {
            let at = (o * w.stride + tap * w.dilation) as i64 - w.pad as i64;
            (0..size as i64).contains(&at).then_some(at as usize)
        };
        let mut out = Signal { shape: [channels, count(height), count(width)], numbers: vec![], sizes: vec![] };
        for (c, i, j) in positions(out.shape) {
            let mut read = Vec::new();
            for (y, x) in (0..w.kernel).flat_map(|y| (0..w.kernel).map(move |x| (y, x))) {
                read.push(pixel(i, y, height).and_then(|row| Some(row * width + pixel(j, x, width)?)));
            }
            let [number, size] = each(c, &read);
            out.numbers.push(number);
            out.sizes.push(size);
        }
        out
    }
}

fn positions([channels, height, width]: [usize; 3]) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..channels).flat_map(move |c| (0..height).flat_map(move |i| (0..width).map(move |j| (c, i, j))))
}
