//! What an axis shows.

use super::axes::{Axis, drawable};

/// How an axis runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps are equal differences.
    #[default]
    Linear,
    /// Equal steps are equal ratios; only values above 0 can be drawn.
    Log,
}

impl Scale {
    /// Where a value lies on the axis, if it has a place there.
    pub(super) fn place(self, v: f64) -> Option<f64> {
        let place = if self == Scale::Log { v.log10() } else { v };
        drawable(place).then_some(place)
    }

    /// An axis for places, widened by the fraction `pad` on both sides.
    pub(super) fn axis(self, places: impl Iterator<Item = f64>, pad: f64) -> Axis {
        match self {
            Scale::Linear => Axis::linear(places, pad),
            Scale::Log => Axis::log10(places, pad),
        }
    }
}

/// The name of what an axis shows, with its unit, and its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity<'a> {
    /// As in `NLL [nats]`.
    pub name: &'a str,
    /// How the axis runs.
    pub scale: Scale,
}

impl<'a> Quantity<'a> {
    /// On a linear axis.
    pub fn linear(name: &'a str) -> Self {
        Self { name, scale: Scale::Linear }
    }

    /// On a logarithmic axis.
    pub fn log(name: &'a str) -> Self {
        Self { name, scale: Scale::Log }
    }
}
