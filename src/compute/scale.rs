//! The learned scale of a prior, fitted to a layer's posterior moments.

use sparsevd_priors::{Moments, Prior, Shared};

use crate::spec::Grid;

/// The scales that a prior has learned for a layer: one for each group of weights that share it.
pub(crate) struct LearnedScales {
    pub(crate) shared: Shared,
    grid: Grid,
    /// One scale per group, in the order of the groups.
    pub(crate) values: Vec<f64>,
}

/// The summed moments of each group.
pub(crate) struct Sums {
    shared: Shared,
    grid: Grid,
    sums: Vec<[f64; 2]>,
}

impl Sums {
    /// Adds E w and E w² of the weight in this row and column.
    #[inline(always)]
    pub(crate) fn add(&mut self, row: usize, col: usize, [first, second]: [f64; 2]) {
        if let Some(group) = self.grid.sharing(self.shared, row, col) {
            let sum = &mut self.sums[group];
            sum[0] += first;
            sum[1] += second;
        }
    }
}

impl LearnedScales {
    /// Fits the scales to the moments that `add_all` adds, once for each weight; `None` if the prior has no learned
    /// scale.
    pub(crate) fn fit(prior: &impl Prior, grid: Grid, add_all: impl FnOnce(&mut Sums)) -> Option<Self> {
        let learned = prior.learned_scale()?;
        let shared = learned.shared();
        let groups = grid.sharing(shared, grid.rows - 1, grid.cols - 1)? + 1;
        let mut sums = Sums { shared, grid, sums: vec![[0.0; 2]; groups] };
        add_all(&mut sums);
        let count = grid.len() / groups;
        let mean = |sum: f64| sum / count as f64;
        let fit =
            |[first, second]: &[f64; 2]| learned.fit(&Moments { first: mean(*first), second: mean(*second), count });
        Some(LearnedScales { shared, grid, values: sums.sums.iter().map(fit).collect() })
    }

    /// The scale of the weight in this row and column.
    pub(crate) fn of(&self, row: usize, col: usize) -> f64 {
        self.values[self.grid.sharing(self.shared, row, col).unwrap_or(0)]
    }

    /// Applies `f` to the scales and lays the results out for the kernels: one number per row, per column of every
    /// group, or per layer.
    pub(crate) fn spread_out<E>(&self, f: impl Fn(f64) -> E) -> Vec<E> {
        let times = if self.shared == Shared::PerInput { self.grid.area } else { 1 };
        self.values.iter().flat_map(|scale| (0..times).map(|_| f(*scale))).collect()
    }
}
