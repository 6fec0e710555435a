//! A trained network as a chain of linear maps, each with its activation and its pool.

use crate::block::{Block, Row, ShapeError, Tap, outputs, wrong};
use crate::op::{Activation, Op, Pool, PoolKind};
use crate::window::Window;

/// The blocks of a network.
pub(crate) fn blocks(parts: &[Op], input: [usize; 3]) -> Result<Vec<Block>, ShapeError> {
    let mut chain = Chain { input, blocks: Vec::new(), flat: false };
    for (part, op) in parts.iter().enumerate() {
        match op {
            Op::Linear { weights, bias, sigma } => chain.linear(part, weights, bias, *sigma)?,
            Op::Conv2d { weights, bias, sigma, groups, window } => {
                chain.conv2d(part, (weights, bias, *sigma), *groups, *window)?;
            }
            Op::Scale { factor, shift } => chain.scale(part, factor, shift)?,
            Op::Activation(f) => chain.activation(part, *f)?,
            Op::Pool(pool) => chain.pool(part, *pool)?,
            Op::Flatten => chain.flat = true,
        }
    }
    if chain.blocks.is_empty() {
        chain.identity(0)?;
    }
    Ok(chain.blocks)
}

/// The blocks so far.
struct Chain {
    input: [usize; 3],
    blocks: Vec<Block>,
    /// Whether the next part sees an image as its pixels.
    flat: bool,
}

impl Chain {
    /// Channels, height, width of what the next block reads.
    fn shape(&self) -> [usize; 3] {
        self.blocks.last().map_or(self.input, |block| block.output)
    }

    fn push(&mut self, block: Block) {
        self.blocks.push(block);
        self.flat = false;
    }

    fn linear(&mut self, part: usize, weights: &[f64], bias: &[f64], sigma: Option<f64>) -> Result<(), ShapeError> {
        let shape = self.shape();
        let [inputs, area] = [shape.iter().product::<usize>(), shape[1] * shape[2]];
        count(part, weights, bias.len(), inputs)?;
        let rows = rows(weights, bias, |_, i| (i / area.max(1), i % area.max(1)));
        self.push(Block::new(part, shape, None, rows)?.of(weights.len(), sigma));
        Ok(())
    }

    fn conv2d(
        &mut self,
        part: usize,
        (weights, bias, sigma): (&[f64], &[f64], Option<f64>),
        groups: usize,
        window: Window,
    ) -> Result<(), ShapeError> {
        self.settle(part)?;
        outputs(part, window, self.shape())?;
        let (shape, area, outputs) = (self.shape(), window.kernel * window.kernel, bias.len());
        if groups == 0 || !shape[0].is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(wrong(part, format!("{groups} groups of {} channels, to {outputs}", shape[0])));
        }
        let per_group = shape[0] / groups;
        count(part, weights, outputs, per_group * area)?;
        let first = |row: usize| row * groups / outputs * per_group;
        let rows = rows(weights, bias, |row, i| (first(row) + i / area, i % area));
        self.push(Block::new(part, shape, Some(window), rows)?.of(weights.len(), sigma));
        Ok(())
    }

    /// Into the weights before it; as a layer of its own where something has come in between.
    fn scale(&mut self, part: usize, factor: &[f64], shift: &[f64]) -> Result<(), ShapeError> {
        self.settle(part)?;
        if factor.len() != self.shape()[0] || shift.len() != factor.len() {
            let channels = self.shape()[0];
            return Err(wrong(
                part,
                format!("{} factors and {} shifts for {channels} channels", factor.len(), shift.len()),
            ));
        }
        if self.blocks.last().is_none_or(|b| b.activation.is_some() || b.pool.is_some()) {
            self.identity(part)?;
        }
        let Some(block) = self.blocks.last_mut() else { return Ok(()) };
        // Weights of a row are as uncertain as they are large: the row that shrinks most is the one to heed.
        let least = factor.iter().map(|f| f.abs()).filter(|f| *f > 0.0).fold(f64::INFINITY, f64::min);
        block.sigma = block.sigma.map(|sigma| sigma * least).filter(|sigma| *sigma > 0.0 && sigma.is_finite());
        for (row, (factor, shift)) in block.rows.iter_mut().zip(factor.iter().zip(shift)) {
            row.bias = row.bias * factor + shift;
            row.taps.iter_mut().for_each(|tap| tap.weight *= factor);
            row.taps.retain(|tap| tap.weight != 0.0);
        }
        Ok(())
    }

    /// An activation here never falls, so it may come before a maximum instead of after it.
    fn activation(&mut self, part: usize, f: Activation) -> Result<(), ShapeError> {
        let takes = |b: &Block| b.activation.is_none() && b.pool.is_none_or(|p| p.kind == PoolKind::Max);
        if !self.blocks.last().is_some_and(takes) {
            self.identity(part)?;
        }
        self.blocks.last_mut().into_iter().for_each(|block| block.activation = Some(f));
        Ok(())
    }

    fn pool(&mut self, part: usize, pool: Pool) -> Result<(), ShapeError> {
        self.settle(part)?;
        if self.blocks.last().is_none_or(|b| b.pool.is_some()) {
            self.identity(part)?;
        }
        let (shape, [h, w]) = (self.shape(), outputs(part, pool.window, self.shape())?);
        if let Some(block) = self.blocks.last_mut() {
            (block.pool, block.output) = (Some(pool), [shape[0], h, w]);
        }
        Ok(())
    }

    /// What comes next needs pixels as channels of their own, if they have been made so.
    fn settle(&mut self, part: usize) -> Result<(), ShapeError> {
        let flat = self.flat && self.shape()[1..] != [1, 1];
        if flat { self.identity(part) } else { Ok(()) }
    }

    /// A map that changes nothing.
    fn identity(&mut self, part: usize) -> Result<(), ShapeError> {
        let (shape, one) = (self.shape(), Window { kernel: 1, stride: 1, pad: 0, dilation: 1 });
        let area = shape[1] * shape[2];
        let (window, area) = if self.flat || area == 1 { (None, area.max(1)) } else { (Some(one), 1) };
        let row = |i: usize| {
            let tap = Tap { channel: i / area, place: i % area, weight: 1.0 };
            Row { alive: true, bias: 0.0, taps: vec![tap] }
        };
        let block = Block::new(part, shape, window, (0..shape[0] * area).map(row).collect())?;
        self.push(block);
        Ok(())
    }
}

/// Whether there are as many weights as rows of columns.
fn count(part: usize, weights: &[f64], rows: usize, cols: usize) -> Result<(), ShapeError> {
    if rows > 0 && rows.checked_mul(cols) == Some(weights.len()) {
        return Ok(());
    }
    Err(wrong(part, format!("{} weights where {rows} outputs read {cols} numbers", weights.len())))
}

/// Rows of weights that are not zero; `at(row, i)` is the channel and the place of weight `i` of a row.
fn rows(weights: &[f64], bias: &[f64], at: impl Fn(usize, usize) -> (usize, usize)) -> Vec<Row> {
    let cols = weights.len() / bias.len().max(1);
    let row = |(o, bias): (usize, &f64)| {
        let kept = weights[o * cols..(o + 1) * cols].iter().enumerate().filter(|(_, w)| **w != 0.0);
        let tap = |(i, weight): (usize, &f64)| Tap { channel: at(o, i).0, place: at(o, i).1, weight: *weight };
        Row { alive: true, bias: *bias, taps: kept.map(tap).collect() }
    };
    bias.iter().enumerate().map(row).collect()
}
