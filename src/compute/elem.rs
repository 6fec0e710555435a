//! The element types of weights.

use dfdx::prelude::Dtype;
use gemm_common::Parallelism;
use sparsevd_infer::Number;
use sparsevd_priors::{Lane, Lanes};
use wide::f32x8;

use super::buffers::Pool;

/// `dst = alpha dst + beta lhs rhs`. The arguments are rows, columns and inner dimension; each matrix with its steps to
/// the next column and the next row, and after `dst` true if it is read; alpha, beta, three conjugations, threads.
pub type Gemm<E> = unsafe fn(
    usize,
    usize,
    usize,
    *mut E,
    isize,
    isize,
    bool,
    *const E,
    isize,
    isize,
    *const E,
    isize,
    isize,
    E,
    E,
    bool,
    bool,
    bool,
    Parallelism,
);

/// The element type of weights: `f32` or `f64`.
pub trait Elem: Dtype + Number + num_traits::Float + rand_distr::uniform::SampleUniform {
    /// The vectors of the fused kernels: sixteen `f32` at a time, or one `f64`.
    type Lanes: Lane<Elem = Self>;

    /// Memory that the kernels reuse.
    #[doc(hidden)]
    fn pool() -> &'static Pool<Self>;

    /// The matrix product of this precision.
    #[doc(hidden)]
    fn gemm() -> Gemm<Self>;

    /// The transpose of a block.
    #[doc(hidden)]
    #[inline(always)]
    fn transposed(rows: [[Self; 8]; 8]) -> [[Self; 8]; 8] {
        std::array::from_fn(|column| rows.map(|row| row[column]))
    }

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
    fn gemm() -> Gemm<f32> {
        gemm_f32::gemm::f32::get_gemm_fn()
    }
    #[inline(always)]
    fn transposed(rows: [[f32; 8]; 8]) -> [[f32; 8]; 8] {
        f32x8::transpose(rows.map(f32x8::new)).map(f32x8::to_array)
    }
}

impl Elem for f64 {
    type Lanes = f64;
    fn pool() -> &'static Pool<f64> {
        static POOL: Pool<f64> = Pool::new();
        &POOL
    }
    fn gemm() -> Gemm<f64> {
        gemm_f64::gemm::f64::get_gemm_fn()
    }
}
