//! The quantity and the scale of an axis.

use super::axes::{Axis, drawable};

/// The scale of an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Linear: equal steps are equal differences.
    #[default]
    Linear,
    /// Logarithmic: equal steps are equal ratios, and only values above 0 can be drawn.
    Log,
}

impl Scale {
    /// The position of a value on the axis, or `None` if it cannot be drawn.
    pub(super) fn place(self, v: f64) -> Option<f64> {
        let place = if self == Scale::Log { v.log10() } else { v };
        drawable(place).then_some(place)
    }

    /// The axis for positions, widened by the fraction `pad` on both sides.
    pub(super) fn axis(self, places: impl Iterator<Item = f64>, pad: f64) -> Axis {
        match self {
            Scale::Linear => Axis::linear(places, pad),
            Scale::Log => Axis::log10(places, pad),
        }
    }
}

/// The quantity that an axis shows: its name with the unit, and its scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantity<'a> {
    /// The name with the unit, such as `NLL [nats]`.
    pub name: &'a str,
    /// The scale of the axis.
    pub scale: Scale,
}

impl<'a> Quantity<'a> {
    /// A quantity on a linear axis.
    pub fn linear(name: &'a str) -> Self {
        Self { name, scale: Scale::Linear }
    }

    /// A quantity on a logarithmic axis.
    pub fn log(name: &'a str) -> Self {
        Self { name, scale: Scale::Log }
    }
}
