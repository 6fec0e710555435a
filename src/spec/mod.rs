//! The specification of a layer: its map, the shape of its posterior's parameters, and how it trains.

mod conv2d;
mod family;
mod grid;
mod linear;
mod map;
mod settings;

pub use conv2d::{Conv2dMap, Convolution};
pub use family::{Family, Spread, SpreadShape};
pub use grid::Grid;
pub use linear::LinearMap;
pub use map::{Map, Window};
pub use settings::{Estimator, Masking, Settings, VARIANCE_FLOOR};
