//! Numbers that kernels compute with: one at a time here, sixteen in [`Lanes`](crate::Lanes).

use std::fmt::Debug;

use crate::real::Real;

/// A [`Real`] that [`Dual`](crate::Dual) can be built from, and that kernels can load from and store to memory.
pub trait Lane: Real + Copy + Send + Sync + Debug + 'static {
    /// The number that is stored in memory.
    type Elem: Copy + Send + Sync + 'static;
    /// The number of them in one value.
    const WIDTH: usize;

    /// The same number in every lane.
    fn splat(x: f64) -> Self;
    /// Loads the first `WIDTH` numbers of a slice; a shorter slice is filled up with 1.
    fn load(from: &[Self::Elem]) -> Self;
    /// Stores as many lanes as the slice has room for.
    fn store(self, to: &mut [Self::Elem]);
    /// The sum of all lanes.
    fn sum(self) -> f64;
    /// The first `count` lanes; the others are zero.
    fn first(self, count: usize) -> Self;
    /// `self a + b`.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// `sqrt x` and `1 / sqrt x`, without the floor of [`Real::sqrt`].
    fn root_and_recip(self) -> [Self; 2];
    /// -1, 0 or 1; NaN for NaN.
    fn sign(self) -> Self;
    /// 1 if the number is greater than `floor`, otherwise 0.
    fn above(self, floor: f64) -> Self;
    /// The number itself if `x` is greater than `floor`, otherwise 0, even if the number is NaN.
    fn where_above(self, x: Self, floor: f64) -> Self;
    /// [`Real::lift`], keeping the derivative too.
    fn lift_with_slope(self, f: impl Fn(f64) -> (f64, f64)) -> (Self, Self);
}

/// Plain numbers: one lane.
impl<F: num_traits::Float + Send + Sync + Debug + 'static> Lane for F {
    type Elem = F;
    const WIDTH: usize = 1;

    #[inline(always)]
    fn splat(x: f64) -> Self {
        F::from(x).unwrap_or_else(F::nan)
    }
    #[inline(always)]
    fn load(from: &[F]) -> Self {
        from.first().copied().unwrap_or_else(F::one)
    }
    #[inline(always)]
    fn store(self, to: &mut [F]) {
        if let Some(to) = to.first_mut() {
            *to = self;
        }
    }
    #[inline(always)]
    fn sum(self) -> f64 {
        self.to_f64().unwrap_or(f64::NAN)
    }
    #[inline(always)]
    fn first(self, count: usize) -> Self {
        if count == 0 { F::zero() } else { self }
    }
    #[inline(always)]
    fn mul_add(self, a: Self, b: Self) -> Self {
        self * a + b
    }
    #[inline(always)]
    fn root_and_recip(self) -> [Self; 2] {
        let root = F::sqrt(self);
        [root, F::recip(root)]
    }
    #[inline(always)]
    fn sign(self) -> Self {
        if self == F::zero() { F::zero() } else { self.signum() }
    }
    #[inline(always)]
    fn above(self, floor: f64) -> Self {
        if self > Self::splat(floor) { F::one() } else { F::zero() }
    }
    #[inline(always)]
    fn where_above(self, x: Self, floor: f64) -> Self {
        if x > Self::splat(floor) { self } else { F::zero() }
    }
    fn lift_with_slope(self, f: impl Fn(f64) -> (f64, f64)) -> (Self, Self) {
        let (value, slope) = f(self.to_f64().unwrap_or(f64::NAN));
        (Self::splat(value), Self::splat(slope))
    }
}
