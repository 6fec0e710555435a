//! The size of a subset of examples.

use std::fmt;

/// A number of examples: `40` is a count, `0.2` a fraction of all, rounded to the nearest count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Share {
    /// This number of examples.
    Count(usize),
    /// This fraction of all, from 0 to 1.
    Fraction(f64),
}

impl Share {
    /// The number of examples: 0 for a NaN or negative fraction, more than `all` for one above 1.
    /// [`Dataset`](super::Dataset) rejects both.
    pub(super) fn of(self, all: usize) -> usize {
        match self {
            Share::Count(count) => count,
            Share::Fraction(fraction) => (fraction * all as f64).round() as usize,
        }
    }
}

impl From<usize> for Share {
    fn from(count: usize) -> Self {
        Share::Count(count)
    }
}

impl From<f64> for Share {
    fn from(fraction: f64) -> Self {
        Share::Fraction(fraction)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Share::Count(count) => write!(f, "{count}"),
            Share::Fraction(fraction) => write!(f, "a fraction of {fraction}"),
        }
    }
}
