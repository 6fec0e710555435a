//! A trained network as a chain of linear maps, each with its activation and its pool.

use crate::block::{Block, Row, ShapeError, Tap, outputs, wrong};
use crate::op::{Activation, Op, Pool, PoolKind};
use crate::parts::MOST;
use crate::window::Window;

/// The blocks of a network.
pub(crate) fn blocks(parts: &[Op], input: [usize; 3]) -> Result<Vec<Block>, ShapeError> {
    let mut chain = Chain { blocks: Vec::new(), next: Shape::Image(input) };
    chain.give(0, input)?;
    for (part, op) in parts.iter().enumerate() {
        match op {
            Op::Linear { weights, bias, sigma } => chain.linear(part, weights, bias, *sigma)?,
            Op::Conv2d { weights, bias, sigma, groups, window } => {
                chain.conv2d(part, (weights, bias, *sigma), *groups, *window)?;
            }
            Op::Scale { factor, shift } => chain.scale(part, factor, shift)?,
            Op::Activation(f) => chain.activation(part, *f)?,
            Op::Pool(pool) => chain.pool(part, *pool)?,
            Op::Flatten => chain.flatten(),
        }
    }
    if chain.blocks.is_empty() {
        chain.identity(0)?;
    }
    Ok(chain.blocks)
}

/// The shape that the next part reads.
#[derive(Clone, Copy)]
enum Shape {
    /// Channels, height, width; features are channels of one pixel.
    Image([usize; 3]),
    /// The pixels of such an image, channel by channel, as features; it has more than one pixel per channel.
    Pixels([usize; 3]),
}

/// The blocks so far, and the shape of their output.
struct Chain {
    blocks: Vec<Block>,
    next: Shape,
}

impl Chain {
    fn push(&mut self, block: Block) -> Result<(), ShapeError> {
        self.give(block.part, block.output)?;
        self.blocks.push(block);
        Ok(())
    }

    /// Sets the shape of the output, unless it is empty or too large.
    fn give(&mut self, part: usize, shape: [usize; 3]) -> Result<(), ShapeError> {
        let numbers = shape.iter().try_fold(1_usize, |n, side| n.checked_mul(*side));
        if !numbers.is_some_and(|n| (1..=MOST).contains(&n)) {
            return Err(wrong(part, format!("an image of {shape:?}; it must have from 1 to {MOST} numbers")));
        }
        self.next = Shape::Image(shape);
        Ok(())
    }

    fn flatten(&mut self) {
        if let Shape::Image(shape) = self.next
            && shape[1..] != [1, 1]
        {
            self.next = Shape::Pixels(shape);
        }
    }

    /// Channels, height and width of the image that the next part reads; flattened pixels become channels.
    fn image(&mut self, part: usize) -> Result<[usize; 3], ShapeError> {
        if let Shape::Pixels(_) = self.next {
            self.identity(part)?;
        }
        let (Shape::Image(shape) | Shape::Pixels(shape)) = self.next;
        Ok(shape)
    }

    fn linear(&mut self, part: usize, weights: &[f64], bias: &[f64], sigma: Option<f64>) -> Result<(), ShapeError> {
        let (Shape::Image(shape) | Shape::Pixels(shape)) = self.next;
        count(part, weights, bias.len(), shape.iter().product())?;
        let area = shape[1] * shape[2];
        let rows = rows(part, weights, bias, |_, i| (i / area, i % area))?;
        self.push(Block::new(part, shape, None, rows)?.of(weights.len(), sigma))
    }

    fn conv2d(
        &mut self,
        part: usize,
        (weights, bias, sigma): (&[f64], &[f64], Option<f64>),
        groups: usize,
        window: Window,
    ) -> Result<(), ShapeError> {
        let shape = self.image(part)?;
        outputs(part, window, shape)?;
        let (area, outputs) = (window.kernel * window.kernel, bias.len());
        if groups == 0 || !shape[0].is_multiple_of(groups) || !outputs.is_multiple_of(groups) {
            return Err(wrong(part, format!("{groups} groups of {} channels, to {outputs}", shape[0])));
        }
        let per_group = shape[0] / groups;
        count(part, weights, outputs, per_group * area)?;
        let first = |row: usize| row * groups / outputs * per_group;
        let rows = rows(part, weights, bias, |row, i| (first(row) + i / area, i % area))?;
        self.push(Block::new(part, shape, Some(window), rows)?.of(weights.len(), sigma))
    }

    /// Folds a scale into the weights before it, or into a new layer if an activation or a pool is in between.
    fn scale(&mut self, part: usize, factor: &[f64], shift: &[f64]) -> Result<(), ShapeError> {
        let [channels, ..] = self.image(part)?;
        if factor.len() != channels || shift.len() != channels {
            let given = format!("{} factors and {} shifts", factor.len(), shift.len());
            return Err(wrong(part, format!("{given} for {channels} channels")));
        }
        finite(part, "factor", factor)?;
        finite(part, "shift", shift)?;
        if self.blocks.last().is_none_or(|b| b.activation.is_some() || b.pool.is_some()) {
            self.identity(part)?;
        }
        let Some(block) = self.blocks.last_mut() else { return Ok(()) };
        // The factor of a row scales the uncertainty of its weights, too; the smallest factor determines the layer's σ.
        let least = factor.iter().map(|f| f.abs()).filter(|f| *f > 0.0).fold(f64::INFINITY, f64::min);
        block.sigma = block.sigma.map(|sigma| sigma * least).filter(|sigma| *sigma > 0.0 && sigma.is_finite());
        for (row, (factor, shift)) in block.rows.iter_mut().zip(factor.iter().zip(shift)) {
            row.bias = row.bias * factor + shift;
            row.taps.iter_mut().for_each(|tap| tap.weight *= factor);
            row.taps.retain(|tap| tap.weight != 0.0);
        }
        Ok(())
    }

    /// Adds an activation. All activations are monotonic, so that one may be applied before a maximum instead of after.
    fn activation(&mut self, part: usize, f: Activation) -> Result<(), ShapeError> {
        let takes = |b: &Block| b.activation.is_none() && b.pool.is_none_or(|p| p.kind == PoolKind::Max);
        if !self.blocks.last().is_some_and(takes) {
            self.identity(part)?;
        }
        self.blocks.last_mut().into_iter().for_each(|block| block.activation = Some(f));
        Ok(())
    }

    fn pool(&mut self, part: usize, pool: Pool) -> Result<(), ShapeError> {
        let shape = self.image(part)?;
        let [h, w] = outputs(part, pool.window, shape)?;
        if self.blocks.last().is_none_or(|b| b.pool.is_some()) {
            self.identity(part)?;
        }
        let output = [shape[0], h, w];
        self.blocks.last_mut().into_iter().for_each(|block| (block.pool, block.output) = (Some(pool), output));
        self.give(part, output)
    }

    /// Adds an identity map; it turns flattened pixels into channels.
    fn identity(&mut self, part: usize) -> Result<(), ShapeError> {
        let one = Window { kernel: 1, stride: 1, pad: 0, dilation: 1 };
        let (shape, window, area) = match self.next {
            Shape::Image(shape) if shape[1..] != [1, 1] => (shape, Some(one), 1),
            Shape::Image(shape) | Shape::Pixels(shape) => (shape, None, shape[1] * shape[2]),
        };
        let row = |i: usize| {
            let tap = Tap { channel: i / area, place: i % area, weight: 1.0 };
            Row { alive: true, bias: 0.0, taps: vec![tap] }
        };
        self.push(Block::new(part, shape, window, (0..shape[0] * area).map(row).collect())?)
    }
}

/// `Ok` if the number of weights is `rows * cols`.
fn count(part: usize, weights: &[f64], rows: usize, cols: usize) -> Result<(), ShapeError> {
    if rows > 0 && rows.checked_mul(cols) == Some(weights.len()) {
        return Ok(());
    }
    Err(wrong(part, format!("{} weights where {rows} outputs read {cols} numbers", weights.len())))
}

/// Rows of weights that are not zero; `at(row, i)` is the channel and the place of weight `i` of a row.
fn rows(
    part: usize,
    weights: &[f64],
    bias: &[f64],
    at: impl Fn(usize, usize) -> (usize, usize),
) -> Result<Vec<Row>, ShapeError> {
    finite(part, "weight", weights)?;
    finite(part, "bias", bias)?;
    let cols = weights.len() / bias.len().max(1);
    let row = |(o, bias): (usize, &f64)| {
        let kept = weights[o * cols..(o + 1) * cols].iter().enumerate().filter(|(_, w)| **w != 0.0);
        let tap = |(i, weight): (usize, &f64)| Tap { channel: at(o, i).0, place: at(o, i).1, weight: *weight };
        Row { alive: true, bias: *bias, taps: kept.map(tap).collect() }
    };
    Ok(bias.iter().enumerate().map(row).collect())
}

/// Rejects a NaN or an infinity, also one that compaction would remove.
fn finite(part: usize, what: &str, numbers: &[f64]) -> Result<(), ShapeError> {
    match numbers.iter().position(|x| !x.is_finite()) {
        Some(i) => Err(wrong(part, format!("{what} {i} is {}; every number must be finite", numbers[i]))),
        None => Ok(()),
    }
}
