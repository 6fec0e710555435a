//! The parts of a layer, and their checks.

use crate::block::Before;
use crate::matrix::Matrix;
use crate::window::LONGEST;
use crate::{Activation, Pool, Window};

/// The largest number of values per example anywhere in a network, borders included.
pub(crate) const MOST: usize = 1 << 24;

/// The parts of a layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parts {
    /// Channels, height and width of its input.
    pub(crate) input: [usize; 3],
    /// The window of pixels that an output reads; `None` for the whole input.
    pub(crate) window: Option<Window>,
    pub(crate) matrix: Matrix,
    pub(crate) bias: Vec<f32>,
    pub(crate) activation: Option<Activation>,
    pub(crate) pool: Option<Pool>,
    pub(crate) before: Before,
    /// The largest rounding error that the weights may have.
    pub(crate) sigma: Option<f64>,
}

fn larger(what: &str, window: Window, [height, width]: [usize; 2]) -> String {
    let (reach, pad) = (window.reach(), window.pad);
    format!("a {what} that spans {reach} pixels, on an image of {height} x {width} with a border of {pad}")
}

/// Heights and widths of the output.
pub(crate) struct Sizes {
    pub(crate) before_pool: [usize; 2],
    pub(crate) output: [usize; 2],
}

impl Parts {
    /// The sizes that follow from the parts, if these fit each other.
    ///
    /// # Errors
    /// The problem, in words.
    pub(crate) fn check(&self) -> Result<Sizes, String> {
        let Parts { input, window, matrix, bias, .. } = self;
        let sizes = self.sizes()?;
        if input.contains(&0) || bias.is_empty() {
            return Err(format!("{} outputs of an input of {input:?}; no size may be 0", bias.len()));
        }
        let Before { weights, inputs, outputs, flops } = self.before;
        if [weights, inputs, outputs, flops].iter().any(|n| *n > 1 << 48) {
            return Err(format!("the sizes before compaction are too large: {:?}", self.before));
        }
        if let Some(sigma) = self.sigma.filter(|sigma| !(*sigma > 0.0 && sigma.is_finite())) {
            return Err(format!("a sigma of {sigma}; it must be positive and finite"));
        }
        if let Some(i) = bias.iter().position(|b| !b.is_finite()) {
            return Err(format!("bias {i} is {}; every number must be finite", bias[i]));
        }
        let area = window.map_or(input[1] * input[2], |w| w.kernel * w.kernel);
        matrix.fits(bias.len(), input[0] * area)?;
        Ok(sizes)
    }

    /// The sizes, if they are neither zero nor too large. No product here can overflow.
    fn sizes(&self) -> Result<Sizes, String> {
        let ([channels, height, width], rows) = (self.input, self.bias.len());
        if !self.window.iter().chain(self.pool.iter().map(|p| &p.window)).all(Window::is_sane)
            || height.max(width) > LONGEST
        {
            return Err(format!("an image of {height} x {width}, or a window, with a side of 0 or beyond {LONGEST}"));
        }
        if let Some(Pool { window: Window { kernel, pad, dilation, .. }, .. }) = self.pool
            && (pad >= kernel || dilation != 1)
        {
            return Err(format!(
                "a pool of {kernel} x {kernel} pixels with a border of {pad} and dilation {dilation}: the border must be \
                 narrower than the pool, or some windows read no pixel, and the dilation 1"
            ));
        }
        let before_pool = match self.window {
            None => [1, 1],
            Some(window) => window.outputs([height, width]).ok_or_else(|| larger("kernel", window, [height, width]))?,
        };
        let output = match self.pool {
            None => before_pool,
            Some(pool) => pool.window.outputs(before_pool).ok_or_else(|| larger("pool", pool.window, before_pool))?,
        };
        let pad = 2 * self.window.map_or(0, |w| w.pad);
        let small = |count: usize, [h, w]: [usize; 2]| count.checked_mul(h * w).is_some_and(|n| n <= MOST);
        if !(small(channels, [height + pad, width + pad]) && small(rows, before_pool) && small(rows, output)) {
            return Err(format!("more than {MOST} numbers per example"));
        }
        Ok(Sizes { before_pool, output })
    }
}
