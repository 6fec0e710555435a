//! A linear map with its activation and its pool, before it becomes a layer.

use serde::{Deserialize, Serialize};

use crate::op::{Activation, Pool, PoolKind};
use crate::window::Window;

/// A part of a network that cannot follow the parts before it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("part {part}: {problem}")]
pub struct ShapeError {
    /// Its number, from 0.
    pub part: usize,
    /// The problem, in words.
    pub problem: String,
}

pub(crate) fn wrong(part: usize, problem: impl Into<String>) -> ShapeError {
    ShapeError { part, problem: problem.into() }
}

/// A linear map with its activation and its pool, before it becomes a layer.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// The part it comes from.
    pub(crate) part: usize,
    /// Channels, height, width.
    pub(crate) input: [usize; 3],
    /// The window of pixels that an output reads; `None` for the whole input.
    pub(crate) window: Option<Window>,
    pub(crate) rows: Vec<Row>,
    pub(crate) activation: Option<Activation>,
    pub(crate) pool: Option<Pool>,
    /// Channels, height, width, after the pool.
    pub(crate) output: [usize; 3],
    pub(crate) before: Before,
    /// The largest rounding error that the weights may have.
    pub(crate) sigma: Option<f64>,
}

/// The sizes of a layer before compaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// Number of weights.
    pub weights: usize,
    /// Number of input features or channels.
    pub inputs: usize,
    /// Number of outputs or output channels.
    pub outputs: usize,
    /// Number of multiplications and additions per example.
    pub flops: usize,
}

/// An output channel.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) alive: bool,
    pub(crate) bias: f64,
    pub(crate) taps: Vec<Tap>,
}

/// A weight that is not zero. It multiplies number `place` of the kernel, or of the whole image, in `channel`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tap {
    pub(crate) channel: usize,
    pub(crate) place: usize,
    pub(crate) weight: f64,
}

impl Block {
    pub(crate) fn new(
        part: usize,
        input: [usize; 3],
        window: Option<Window>,
        rows: Vec<Row>,
    ) -> Result<Self, ShapeError> {
        let [h, w] = match window {
            None => [1, 1],
            Some(window) => outputs(part, window, input)?,
        };
        let output = [rows.len(), h, w];
        let block = Block {
            part,
            input,
            window,
            rows,
            activation: None,
            pool: None,
            output,
            before: Before::default(),
            sigma: None,
        };
        Ok(block)
    }

    /// The block with its sizes before compaction, from its number of weights, and with its rounding error.
    pub(crate) fn of(mut self, weights: usize, sigma: Option<f64>) -> Self {
        let [outputs, h, w] = self.output;
        let inputs = if self.window.is_some() { self.input[0] } else { self.input.iter().product() };
        self.before = Before { weights, inputs, outputs, flops: 2 * weights * h * w };
        self.sigma = sigma.filter(|sigma| *sigma > 0.0 && sigma.is_finite());
        self
    }

    /// Number of values of one channel that a row may read.
    pub(crate) fn area(&self) -> usize {
        self.window.map_or(self.input[1] * self.input[2], |w| w.kernel * w.kernel)
    }

    /// True if it reads zeros around its input.
    pub(crate) fn pads(&self) -> bool {
        self.window.is_some_and(|w| w.pad > 0)
    }

    /// The value of all outputs of a row; `None` if the row has weights, or its outputs differ.
    pub(crate) fn constant(&self, row: &Row) -> Option<f64> {
        let value = self.activation.map_or(row.bias, |f| f64::from(f.of(row.bias as f32)));
        let borders = self.pool.is_some_and(|p| p.kind == PoolKind::Mean && p.window.pad > 0);
        (row.taps.is_empty() && (value == 0.0 || !borders)).then_some(value)
    }
}

/// Height and width of a window's output.
pub(crate) fn outputs(part: usize, window: Window, [_, height, width]: [usize; 3]) -> Result<[usize; 2], ShapeError> {
    let large = || wrong(part, format!("a window of {} pixels on an image of {height} x {width}", window.reach()));
    if window.is_sane() { window.outputs([height, width]).ok_or_else(large) } else { Err(large()) }
}
