//! No prior: maximum likelihood.

use serde::{Deserialize, Serialize};

use crate::normal::Normal;
use crate::prior::Prior;
use crate::real::Real;

/// Maximum likelihood: every weight costs nothing, `KL = 0`. (The KL to a prior that is flat would be `-ln σ` plus a
/// constant.)
///
/// It is for baselines (dense networks, binary dropout) and for Gaussian dropout with a fixed α, whose KL does not
/// depend on anything that is trained. With a trained variance it lets the noise vanish.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Flat;

impl Prior for Flat {
    const ID: &'static str = "flat";

    #[inline(always)]
    fn kl<R: Real>(&self, q: Normal<R>) -> R {
        q.log_var.scale(0.0)
    }
}
