//! The element types of weights.

use dfdx::prelude::Dtype;
use sparsevd_infer::Number;
use sparsevd_priors::{Lane, Lanes};

use super::buffers::Pool;

/// The element type of weights: `f32` or `f64`.
pub trait Elem: Dtype + Number + num_traits::Float + rand_distr::uniform::SampleUniform {
    /// The vectors of the fused kernels: sixteen `f32` at a time, or one `f64`.
    type Lanes: Lane<Elem = Self>;

    /// Memory that the kernels reuse.
    #[doc(hidden)]
    fn pool() -> &'static Pool<Self>;

    /// The number nearest to `x`.
    fn of(x: f64) -> Self {
        <Self as num_traits::NumCast>::from(x).unwrap_or_else(num_traits::Float::nan)
    }

    /// This number as `f64`.
    fn f64(self) -> f64 {
        num_traits::ToPrimitive::to_f64(&self).unwrap_or(f64::NAN)
    }
}

impl Elem for f32 {
    type Lanes = Lanes;
    fn pool() -> &'static Pool<f32> {
        static POOL: Pool<f32> = Pool::new();
        &POOL
    }
}

impl Elem for f64 {
    type Lanes = f64;
    fn pool() -> &'static Pool<f64> {
        static POOL: Pool<f64> = Pool::new();
        &POOL
    }
}
