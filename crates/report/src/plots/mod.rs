//! Figures as SVG text, for a report, a README or a paper.
//!
//! | to show | reach for |
//! |---|---|
//! | a quantity over epochs, or one against another, with its spread | [`curves`] |
//! | where values lie, as `log alpha` against its threshold | [`histogram`] |
//! | which weights are left | [`masks`] |
//!
//! Every [`Figure`] is drawn for a page and for a telephone, on a transparent background, in colours for light and dark
//! mode that the colour-blind can tell apart; no two of its series share one ([`colours()`]).

mod axes;
mod colour;
mod curves;
mod error;
mod figure;
mod frame;
mod histogram;
mod labels;
mod masks;
mod pen;
mod runs;
mod scale;
mod shades;

pub use colour::{Colour, colours};
pub use curves::{Point, Series, curves};
pub use error::PlotError;
pub use figure::Figure;
pub use histogram::{Marker, Values, histogram};
pub use masks::{Mask, masks};
pub use scale::{Quantity, Scale};
