//! Compaction of a trained network to what its output depends on.

use crate::block::{Block, Row, ShapeError, wrong};
use crate::chain::blocks;
use crate::layer::Layer;
use crate::matrix::{Csr, Matrix};
use crate::net::CompactNet;
use crate::op::Op;
use crate::parts::Parts;

/// The compact network of `parts`, for inputs of this shape: channels, height and width, or features, 1, 1.
///
/// It computes the same function, up to rounding:
///
/// - batch norms are folded into the weights before them;
/// - an output whose weights are all zero is constant: it is folded into the biases of the next layer (unless that
///   layer pads its input with zeros and the constant is not zero: at the border the result would be wrong);
/// - an output that no weight of the next layer reads is removed.
///
/// Inputs and outputs of the network keep their order.
///
/// # Errors
/// [`ShapeError`] for a part that cannot read its input.
pub fn compact(parts: &[Op], input: [usize; 3]) -> Result<CompactNet, ShapeError> {
    let mut blocks = blocks(parts, input)?;
    fold_constants(&mut blocks);
    drop_unread(&mut blocks);
    blocks.iter_mut().for_each(keep_one);
    let layers: Result<Vec<Layer>, ShapeError> = (0..blocks.len()).map(|b| layer(&blocks, b)).collect();
    Ok(CompactNet { input, layers: layers? }.with_forms(|layer| layer.best_form(BATCH)))
}

/// The batch size for which the forms of the layers are chosen.
const BATCH: usize = 100;

/// Folds rows without weights into the biases of the layer that reads them; first layers first, so that rows which lose
/// their last weights are folded in turn.
fn fold_constants(blocks: &mut [Block]) {
    for b in 1..blocks.len() {
        let (before, after) = blocks.split_at_mut(b);
        let (Some(from), Some(to)) = (before.last_mut(), after.first_mut()) else { continue };
        let outputs = from.rows.iter().map(|row| if row.alive { from.constant(row) } else { None });
        let folds = |value: &f64| *value == 0.0 || !to.pads();
        let constants: Vec<Option<f64>> = outputs.map(|value| value.filter(folds)).collect();
        for row in to.rows.iter_mut().filter(|row| row.alive) {
            let folded = |channel: usize| constants.get(channel).copied().flatten();
            row.bias += row.taps.iter().filter_map(|tap| Some(tap.weight * folded(tap.channel)?)).sum::<f64>();
            row.taps.retain(|tap| folded(tap.channel).is_none());
        }
        for row in from.rows.iter_mut().zip(&constants).filter_map(|(row, value)| value.map(|_| row)) {
            row.alive = false;
        }
    }
}

/// Removes rows that no row of the next layer reads; last layers first, so that rows which only removed rows read are
/// removed, too. No remaining row loses a weight, so no new constants arise.
fn drop_unread(blocks: &mut [Block]) {
    for b in (1..blocks.len()).rev() {
        let (before, after) = blocks.split_at_mut(b);
        let (Some(from), Some(to)) = (before.last_mut(), after.first()) else { continue };
        let mut read = vec![false; from.rows.len()];
        to.rows.iter().filter(|row| row.alive).flat_map(|row| &row.taps).for_each(|tap| read[tap.channel] = true);
        for row in from.rows.iter_mut().zip(read).filter_map(|(row, read)| (!read).then_some(row)) {
            row.alive = false;
        }
    }
}

/// Keeps one output, which is 0, of a layer of which nothing remains, so that no layer is empty.
fn keep_one(block: &mut Block) {
    if let (false, Some(row)) = (block.rows.iter().any(|row| row.alive), block.rows.first_mut()) {
        *row = Row { alive: true, bias: 0.0, taps: Vec::new() };
    }
}

/// Block `b` as a layer that reads the remaining rows of the block before it.
fn layer(blocks: &[Block], b: usize) -> Result<Layer, ShapeError> {
    let (block, mut input) = (&blocks[b], blocks[b].input);
    let mut place: Vec<usize> = (0..input[0]).collect();
    if let Some(before) = b.checked_sub(1).map(|b| &blocks[b]) {
        let mut next = 0..;
        place = before.rows.iter().map(|row| if row.alive { next.next().unwrap_or(0) } else { 0 }).collect();
        input[0] = before.rows.iter().filter(|row| row.alive).count();
    }
    let area = block.area();
    let (mut starts, mut columns, mut values, mut bias) = (vec![0], Vec::new(), Vec::new(), Vec::new());
    for row in block.rows.iter().filter(|row| row.alive) {
        for tap in &row.taps {
            columns.push((place[tap.channel] * area + tap.place) as u32);
            values.push(tap.weight as f32);
        }
        starts.push(values.len() as u32);
        bias.push(row.bias as f32);
    }
    let matrix = Csr::new(starts, columns, values).map(Matrix::Csr);
    let parts = |matrix| Parts {
        input,
        window: block.window,
        matrix,
        bias,
        activation: block.activation,
        pool: block.pool,
        before: block.before,
        sigma: block.sigma,
    };
    matrix.map(parts).and_then(Layer::new).map_err(|problem| wrong(block.part, problem))
}
