//! One layer of a compact network: its parts, and the plan by which it runs.

use crate::kernel::{Entry, Rows};
use crate::matrix::Matrix;
use crate::parts::{MOST, Parts, Sizes};

/// One layer: a linear map, then an activation, then a pool.
#[derive(Clone, Debug)]
pub struct Layer {
    parts: Parts,
    pub(crate) plan: Plan,
}

/// The quantities that follow from the parts.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) weights: Weights,
    /// Outputs before the pool: lines, and their length.
    pub(crate) lines: usize,
    pub(crate) line: usize,
    /// The distances from the input of an output to that of the output below, and to that of the one on the right.
    pub(crate) down: usize,
    pub(crate) right: usize,
    /// Channels, height, width after the pool.
    pub(crate) output: [usize; 3],
}

#[derive(Clone, Debug)]
pub(crate) enum Weights {
    Sparse(Rows),
    /// The offsets of the columns, and true if the input itself consists of these columns, in order.
    Dense(Vec<u32>, bool),
}

impl Plan {
    fn new(parts: &Parts, Sizes { before_pool: [lines, line], output: [h, w] }: Sizes) -> Self {
        let ([_, height, width], window) = (parts.input, parts.window);
        let pad = window.map_or(0, |w| w.pad);
        let (pitch, rows) = (width + 2 * pad, height + 2 * pad);
        let offset = |column: u32| match window {
            None => column,
            Some(w) => {
                let (channel, tap) = (column as usize / (w.kernel * w.kernel), column as usize % (w.kernel * w.kernel));
                (channel * pitch * rows + (tap / w.kernel * pitch + tap % w.kernel) * w.dilation) as u32
            }
        };
        let weights = match &parts.matrix {
            Matrix::Csr(csr) => {
                let entry = |(column, weight): (&u32, &f32)| Entry { offset: offset(*column), weight: *weight };
                let entries = csr.columns().iter().zip(csr.values()).map(entry).collect();
                Weights::Sparse(Rows::new(csr.starts().to_vec(), entries))
            }
            Matrix::Dense(dense) => {
                let offsets: Vec<u32> = dense.columns().iter().map(|c| offset(*c)).collect();
                let all = line == 1 && offsets.iter().zip(0..).all(|(offset, i)| *offset == i);
                Weights::Dense(offsets, all)
            }
        };
        let stride = window.map_or(1, |w| w.stride);
        Plan { weights, lines, line, down: stride * pitch, right: stride, output: [parts.bias.len(), h, w] }
    }
}

impl Layer {
    /// The layer of these parts.
    ///
    /// # Errors
    /// The problem, in words.
    pub(crate) fn new(parts: Parts) -> Result<Self, String> {
        let plan = Plan::new(&parts, parts.check()?);
        let layer = Layer { parts, plan };
        if layer.scratch() > MOST { Err(format!("more than {MOST} numbers of scratch per example")) } else { Ok(layer) }
    }

    /// The parts.
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// Number of outputs before the pool, per output channel.
    pub(crate) fn positions(&self) -> usize {
        self.plan.lines * self.plan.line
    }

    pub(crate) fn pad(&self) -> usize {
        self.parts.window.map_or(0, |w| w.pad)
    }

    /// Number of values that it reads per example, padding included.
    pub(crate) fn reads(&self) -> usize {
        let [c, h, w] = self.parts.input;
        c * (h + 2 * self.pad()) * (w + 2 * self.pad())
    }

    /// Channels, height and width of its output.
    pub(crate) fn output(&self) -> [usize; 3] {
        self.plan.output
    }

    /// Number of values of scratch per example.
    pub(crate) fn scratch(&self) -> usize {
        let plane = self.plan.lines * self.plan.line;
        match &self.plan.weights {
            // A plane, with the numbers between its lines.
            Weights::Sparse(_) if self.parts.window.is_some() => self.plan.lines * self.plan.line.max(self.plan.down),
            Weights::Sparse(_) if self.parts.pool.is_some() => plane,
            Weights::Sparse(_) => 0,
            Weights::Dense(offsets, all) => {
                let unfolded = if *all { 0 } else { offsets.len() * self.plan.line };
                unfolded + if self.parts.pool.is_some() { plane * self.parts.bias.len() } else { 0 }
            }
        }
    }
}
