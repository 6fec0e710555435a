//! Figures as SVG text, for a report, a README or a paper.
//!
//! | to show | reach for |
//! |---|---|
//! | a quantity over epochs, or one against another | [`curves`] |
//! | where values lie, as `log alpha` against its threshold | [`histogram`] |
//! | which weights are left | [`masks`] |
//!
//! Every figure has a transparent background and mid-grey text, so that it reads on white, on black and on paper; and a
//! method has the same [`colour`] in every figure.

mod axes;
mod colour;
mod curves;
mod error;
mod frame;
mod histogram;
mod masks;
mod runs;
mod shades;

pub use colour::{Colour, colour};
pub use curves::{Scale, Series, curves};
pub use error::PlotError;
pub use histogram::{Marker, Values, histogram};
pub use masks::{Mask, masks};
