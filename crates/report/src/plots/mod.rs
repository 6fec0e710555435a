//! Figures as SVG text, for a report, a README or a paper.
//!
//! | to show | use |
//! |---|---|
//! | a quantity over epochs, or one against another, with ranges | [`curves`] |
//! | the distribution of values, such as log α with its threshold | [`histogram`] |
//! | the weights that are kept | [`masks`] |
//!
//! Every [`Figure`] is drawn for a page and for a phone, on a transparent background, in colours for light and dark
//! mode that colour-blind readers can distinguish; up to ten series have different ones ([`colours()`]).

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
