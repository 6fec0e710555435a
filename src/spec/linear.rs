//! The dense map.

use dfdx::shapes::{Const, Rank2};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use sparsevd_infer::Op;

use super::map::{Known, Map};

/// `y = W x + b`, from `I` features to `O`; `BIAS = false` leaves `b` out.
///
/// # Shapes
/// input `(batch, I)`, weights `(O, I)`, output `(batch, O)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinearMap<const I: usize, const O: usize, const BIAS: bool = true>;

/// Serialised as its sizes.
impl<const I: usize, const O: usize, const BIAS: bool> Serialize for LinearMap<I, O, BIAS> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("LinearMap", 3)?;
        fields.serialize_field("inputs", &I)?;
        fields.serialize_field("outputs", &O)?;
        fields.serialize_field("bias", &BIAS)?;
        fields.end()
    }
}

impl<const I: usize, const O: usize, const BIAS: bool> Known for LinearMap<I, O, BIAS> {}

impl<const I: usize, const O: usize, const BIAS: bool> Map for LinearMap<I, O, BIAS> {
    const ID: &'static str = "linear";
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
