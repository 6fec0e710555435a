//! Posterior families as a layer holds them: the shape of their second parameter.

use dfdx::shapes::{ConstShape, Rank1};
use sparsevd_priors::{PerLayer, PerOutput, PerWeight, Posterior, Sharing};

use super::map::Map;

/// The tensor shape of a posterior's second parameter, for one way of sharing it among weights.
#[diagnostic::on_unimplemented(
    message = "a layer cannot hold a posterior whose second parameter is shared as `{Self}`",
    note = "in generic code write `Q: Family` instead of `Q: Posterior`",
    note = "a posterior of your own has `type Per = PerWeight`, `PerOutput` or `PerLayer`"
)]
pub trait SpreadShape: Sharing {
    /// The shape in a layer with the map `M`.
    type Of<M: Map>: ConstShape;
}

impl SpreadShape for PerWeight {
    type Of<M: Map> = M::Weight;
}

impl SpreadShape for PerOutput {
    type Of<M: Map> = M::Bias;
}

impl SpreadShape for PerLayer {
    type Of<M: Map> = Rank1<1>;
}

/// A posterior family that layers can hold: every [`Posterior`].
pub trait Family: Posterior<Per: SpreadShape> {}

impl<Q: Posterior<Per: SpreadShape>> Family for Q {}

/// The shape of a family's second parameter, in a layer with the map `M`.
pub type Spread<M, Q> = <<Q as Posterior>::Per as SpreadShape>::Of<M>;
