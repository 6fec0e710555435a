//! The report of a violated law.

use std::borrow::Cow;
use std::fmt;

/// The laws by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// Value and gradient are finite, in `f64`, `f32` and lanes.
    Finite,
    /// The dual number has the value that the plain number has.
    DualValue,
    /// The gradient is that of the value.
    Gradient,
    /// The value has no jumps.
    Continuous,
    /// Nothing panics.
    Panic,
    /// `f32` agrees with `f64`.
    SinglePrecision,
    /// Lanes agree with `f64`.
    Lanes,
    /// KL >= 0.
    Proper,
    /// The density integrates to one.
    Normalised,
    /// The KL is that of the log-density.
    LnPdf,
    /// The KL's gradient is that of the log-density.
    LnPdfGradient,
    /// (θ, σ) -> (c θ, c σ) changes nothing.
    ScaleInvariant,
    /// The sign of θ does not matter.
    Even,
    /// More noise at the same mean never costs more.
    DecreasingInAlpha,
    /// The value is within its bound of another prior's.
    Against,
    /// The derivative in log α is within its bound of another prior's.
    SlopeAgainst,
    /// The fitted scale is the optimum.
    Fit,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Law::Finite => "value and gradient must be finite",
            Law::DualValue => "the value must be the same with and without its gradient",
            Law::Gradient => "the gradient must be the finite difference of the value",
            Law::Continuous => "the KL must not jump",
            Law::Panic => "its formula must not panic",
            Law::SinglePrecision => "f32 must agree with f64",
            Law::Lanes => "SIMD lanes must agree with f64",
            Law::Proper => "the KL of a proper prior must not be negative",
            Law::Normalised => "the density must integrate to one",
            Law::LnPdf => "the KL must be that of ln_pdf",
            Law::LnPdfGradient => "the gradient must be that of the KL of ln_pdf",
            Law::ScaleInvariant => "scaling theta and sigma together must change nothing",
            Law::Even => "the sign of theta must not matter",
            Law::DecreasingInAlpha => "the KL must not grow with alpha",
            Law::Against => "the value must keep within its bound of the prior it is checked against",
            Law::SlopeAgainst => "the slope in log alpha must keep within its bound of the prior it is checked against",
            Law::Fit => "the fitted scale must be the optimum of the summed KL",
        })
    }
}

/// A law that a prior violates, and the point.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{prior}: {law}; at theta = {theta:e}, sigma = {sigma:e} {}", self.told())]
pub struct Violation {
    /// The prior, as `Debug` shows it.
    pub prior: String,
    /// The law.
    pub law: Law,
    /// The posterior's mean; of the first weight of a group.
    pub theta: f64,
    /// The posterior's standard deviation; of the first weight of a group.
    pub sigma: f64,
    /// The quantity that was checked, or the message of a panic.
    pub what: Cow<'static, str>,
    /// The value found; NaN for a panic.
    pub found: f64,
    /// The value that the law requires.
    pub expected: f64,
    /// The tolerance.
    pub within: f64,
}

impl Violation {
    fn told(&self) -> String {
        let Violation { what, found, expected, within, .. } = self;
        match self.law {
            Law::Panic => format!("panicked: {what}"),
            Law::Finite => format!("{what} is {found:e}"),
            _ => format!("{what} is {found:e}, not {expected:e} (within {within:e})"),
        }
    }

    pub(super) fn by(self, prior: String) -> Self {
        Violation { prior, ..self }
    }
}
