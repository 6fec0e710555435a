//! Random chains: every kind of operation, as it fits what comes before.

use proptest::prelude::*;
use sparsevd_infer::{Activation, Op, Pool, PoolKind, Window};

/// An operation before it is known what it reads.
#[derive(Clone, Debug)]
pub struct Draw {
    kind: Kind,
    outputs: usize,
    groups: usize,
    window: Window,
    /// Of its numbers, and how many of them are not zero.
    seed: u64,
    keep: f64,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Linear,
    Conv2d,
    Scale,
    Activation(Activation),
    Pool(PoolKind),
    Flatten,
}

/// The most numbers that one input may have anywhere.
const MOST: usize = 500;

pub fn draw() -> impl Strategy<Value = Draw> {
    let kind = prop_oneof![
        1 => Just(Kind::Linear),
        2 => Just(Kind::Conv2d),
        1 => Just(Kind::Scale),
        2 => prop::sample::select(vec![Activation::Relu, Activation::Tanh, Activation::Sigmoid]).prop_map(Kind::Activation),
        2 => prop::sample::select(vec![PoolKind::Max, PoolKind::Mean]).prop_map(Kind::Pool),
        1 => Just(Kind::Flatten),
    ];
    let window = (1_usize..4, 1_usize..4, 0_usize..3, 1_usize..3).prop_map(|(kernel, stride, pad, dilation)| Window {
        kernel,
        stride,
        pad,
        dilation,
    });
    let numbers = (any::<u64>(), prop::sample::select(vec![0.1, 0.5, 1.0]));
    (kind, 1_usize..5, 1_usize..4, window, numbers).prop_map(|(kind, outputs, groups, window, (seed, keep))| Draw {
        kind,
        outputs,
        groups,
        window,
        seed,
        keep,
    })
}

impl Draw {
    /// The operation, if one of this kind can read such a shape.
    pub fn op(&self, [channels, height, width]: [usize; 3]) -> Option<Op> {
        let fits = |w: Window, channels: usize| {
            let [h, w] = w.outputs([height, width])?;
            (channels * h * w <= MOST).then_some(())
        };
        let mut numbers = Numbers(self.seed);
        Some(match self.kind {
            Kind::Linear => {
                let weights = self.weights(&mut numbers, self.outputs, channels * height * width, 1);
                Op::Linear { weights, bias: numbers.some(self.outputs, self.keep), sigma: None }
            }
            Kind::Conv2d => {
                let groups = if channels.is_multiple_of(self.groups) { self.groups } else { 1 };
                let outputs = self.outputs * groups;
                fits(self.window, outputs)?;
                let area = self.window.kernel * self.window.kernel;
                let weights = self.weights(&mut numbers, outputs, channels / groups * area, area);
                let bias = numbers.some(outputs, self.keep);
                Op::Conv2d { weights, bias, sigma: None, groups, window: self.window }
            }
            Kind::Scale => {
                Op::Scale { factor: numbers.some(channels, self.keep), shift: numbers.some(channels, self.keep) }
            }
            Kind::Activation(f) => Op::Activation(f),
            Kind::Pool(kind) => {
                let window = Window { dilation: 1, pad: self.window.pad.min(self.window.kernel - 1), ..self.window };
                fits(window, channels)?;
                Op::Pool(Pool { kind, window })
            }
            Kind::Flatten => Op::Flatten,
        })
    }

    /// Weights of which some are zero: single ones, all into an output, and all from an input of `area` weights.
    fn weights(&self, numbers: &mut Numbers, rows: usize, cols: usize, area: usize) -> Vec<f64> {
        let (row, col) = (numbers.mask(rows, 0.7), numbers.mask(cols.div_ceil(area), 0.7));
        let all = numbers.some(rows * cols, self.keep).into_iter().enumerate();
        all.map(|(i, w)| if row[i / cols] && col[i % cols / area] { w } else { 0.0 }).collect()
    }
}

/// Numbers between -1 and 1 (Steele, Lea and Flood 2014, "SplitMix").
pub struct Numbers(pub u64);

impl Numbers {
    pub fn one(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// True for this fraction.
    fn mask(&mut self, n: usize, keep: f64) -> Vec<bool> {
        (0..n).map(|_| self.one() < 2.0 * keep - 1.0).collect()
    }

    /// Numbers of which this fraction is not zero.
    fn some(&mut self, n: usize, keep: f64) -> Vec<f64> {
        (0..n).map(|_| if self.one() < 2.0 * keep - 1.0 { self.one() } else { 0.0 }).collect()
    }
}
