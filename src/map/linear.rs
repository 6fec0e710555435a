//! The dense map.

use std::fmt::{self, Debug, Formatter};

use dfdx::shapes::{Const, Rank2};

use sparsevd_infer::Op;

use super::{Known, Map};

/// `y = W x + b`, from `I` features to `O`; `BIAS = false` leaves `b` out.
///
/// # Shapes
/// input `(batch, I)`, weights `(O, I)`, output `(batch, O)`.
#[derive(Clone, Copy, Default)]
pub struct LinearMap<const I: usize, const O: usize, const BIAS: bool = true>;

/// With its sizes, as files record it.
impl<const I: usize, const O: usize, const BIAS: bool> Debug for LinearMap<I, O, BIAS> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinearMap").field("inputs", &I).field("outputs", &O).field("bias", &BIAS).finish()
    }
}

impl<const I: usize, const O: usize, const BIAS: bool> Known for LinearMap<I, O, BIAS> {}

impl<const I: usize, const O: usize, const BIAS: bool> Map for LinearMap<I, O, BIAS> {
    type Weight = Rank2<O, I>;
    type Bias = (Const<O>,);
    const BIAS: bool = BIAS;
    const OUTPUTS: usize = O;
    const INPUTS: usize = I;
    const AREA: usize = 1;

    fn op(weights: Vec<f64>, bias: Vec<f64>, sigma: Option<f64>) -> Op {
        Op::Linear { weights, bias, sigma }
    }

    fn output_shape(input: &[usize]) -> Result<Vec<usize>, String> {
        if input == [I] { Ok(vec![O]) } else { Err(format!("{I} numbers")) }
    }
}
