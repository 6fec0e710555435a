//! The convolutional map.

use dfdx::shapes::{Const, ConstDim, Rank4};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};
use sparsevd_infer::Op;

use super::map::{Known, Map, Window};

/// A two-dimensional convolution (cross-correlation, as everywhere in deep learning), from `IN` channels to `OUT`, with
/// a `K × K` kernel.
///
/// ```text
/// y[n, o, i, j] = b[o] + sum_{c, s, t} w[o, c, s, t] x[n, g PER_GROUP + c, i STRIDE + s DILATION - PAD, j STRIDE + t DILATION - PAD]
/// ```
/// with `g = floor(o GROUPS / OUT)`, the group of the output; x is zero outside the image. The noise of local
/// reparameterisation is drawn for every output position (Molchanov et al. 2017, section 4.4).
///
/// `PER_GROUP`, the channels that one output reads, must be `IN / GROUPS`; stable Rust cannot compute it in a type, so
/// grouped convolutions spell it out. `BIAS = false` leaves `b` out, for a batch norm that follows.
///
/// # Shapes
/// input `(batch, IN, height, width)`, weights `(OUT, PER_GROUP, K, K)`, output `(batch, OUT, height', width')` with
/// `height' = floor((height + 2 PAD - DILATION (K - 1) - 1) / STRIDE) + 1`; the width likewise.
///
/// ```compile_fail
/// # use sparsevd::prelude::*;
/// // "GROUPS must divide IN and OUT": 3 channels do not make 2 groups.
/// type Grouped = Variational<Conv2dMap<3, 4, 5, 1, 0, 1, 2, 1>, Additive, LogUniform>;
/// let layer = Cpu::default().build_module::<Grouped, f32>();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Conv2dMap<
    const IN: usize,
    const OUT: usize,
    const K: usize,
    const STRIDE: usize = 1,
    const PAD: usize = 0,
    const DILATION: usize = 1,
    const GROUPS: usize = 1,
    const PER_GROUP: usize = IN,
    const BIAS: bool = true,
>;

/// A map from image to image, whose weights are shared by all positions.
pub trait Convolution: Map {
    /// Input channels.
    type In: ConstDim;
    /// Output channels.
    type Out: ConstDim;
    /// The window of input pixels that one output reads.
    const WINDOW: Window;
}

/// Implements a trait for every `Conv2dMap`, so that its nine const parameters are listed once.
macro_rules! for_conv2d {
    ($trait:ident { $($body:tt)* }) => {
        impl<
            const IN: usize,
            const OUT: usize,
            const K: usize,
            const STRIDE: usize,
            const PAD: usize,
            const DILATION: usize,
            const GROUPS: usize,
            const PER_GROUP: usize,
            const BIAS: bool,
        > $trait for Conv2dMap<IN, OUT, K, STRIDE, PAD, DILATION, GROUPS, PER_GROUP, BIAS>
        {
            $($body)*
        }
    };
}

for_conv2d!(Known {});

// Serialised as its sizes.
for_conv2d!(Serialize {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Conv2dMap", 8)?;
        fields.serialize_field("inputs", &IN)?;
        fields.serialize_field("outputs", &OUT)?;
        fields.serialize_field("kernel", &K)?;
        fields.serialize_field("stride", &STRIDE)?;
        fields.serialize_field("pad", &PAD)?;
        fields.serialize_field("dilation", &DILATION)?;
        fields.serialize_field("groups", &GROUPS)?;
        fields.serialize_field("bias", &BIAS)?;
        fields.end()
    }
});

for_conv2d!(Map {
    const ID: &'static str = "conv2d";
    type Weight = Rank4<OUT, PER_GROUP, K, K>;
    type Bias = (Const<OUT>,);
    const BIAS: bool = BIAS;
    /// Every use of the map evaluates this constant, so that invalid sizes do not compile.
    const OUTPUTS: usize = {
        assert!(K > 0, "Conv2dMap: the kernel K must be at least 1");
        assert!(STRIDE > 0, "Conv2dMap: STRIDE must be at least 1");
        assert!(DILATION > 0, "Conv2dMap: DILATION must be at least 1");
        assert!(GROUPS > 0, "Conv2dMap: GROUPS must be at least 1");
        assert!(IN.is_multiple_of(GROUPS) && OUT.is_multiple_of(GROUPS), "Conv2dMap: GROUPS must divide IN and OUT");
        assert!(PER_GROUP * GROUPS == IN, "Conv2dMap: PER_GROUP must be IN / GROUPS");
        OUT
    };
    const INPUTS: usize = PER_GROUP;
    const GROUPS: usize = GROUPS;
    const AREA: usize = K * K;

    fn op(weights: Vec<f64>, bias: Vec<f64>, sigma: Option<f64>) -> Op {
        Op::Conv2d { weights, bias, sigma, groups: GROUPS, window: Self::WINDOW }
    }

    fn output_shape(input: &[usize]) -> Result<Vec<usize>, String> {
        let window = Self::WINDOW;
        if let [channels, height, width] = *input
            && channels == IN
            && let Some([height, width]) = window.outputs([height, width])
        {
            return Ok(vec![OUT, height, width]);
        }
        let least = window.reach().saturating_sub(2 * PAD).max(1);
        Err(format!("{IN} x {least} x {least} pixels (channels, height, width) or larger images"))
    }
});

for_conv2d!(Convolution {
    type In = Const<IN>;
    type Out = Const<OUT>;
    const WINDOW: Window = Window { kernel: K, stride: STRIDE, pad: PAD, dilation: DILATION };
});
