//! Interleaving: from one example after the other to `T` examples side by side.

use wide::f32x8;

use crate::layer::Layer;

/// Copies number `i` of example `t` to `y[i T + t]`, inside the padding that the layer reads; missing examples are
/// zeros.
pub(crate) fn pack<const T: usize>(x: &[f32], data: usize, layer: &Layer, y: &mut [f32]) {
    let ([channels, height, width], pad) = (layer.parts().input, layer.pad());
    let inputs = channels * height * width;
    if pad == 0 {
        return line::<T>(x, inputs, 0, inputs, data, y);
    }
    let pitch = width + 2 * pad;
    y[..layer.reads() * T].fill(0.0);
    for row in 0..channels * height {
        let (channel, i) = (row / height, row % height);
        let to = (channel * (height + 2 * pad) + i + pad) * pitch + pad;
        line::<T>(x, inputs, row * width, width, data, &mut y[to * T..]);
    }
}

/// Copies numbers `from..from + len` of each example, which has `inputs` numbers.
fn line<const T: usize>(x: &[f32], inputs: usize, from: usize, len: usize, data: usize, y: &mut [f32]) {
    let whole = if T.is_multiple_of(8) { len - len % 8 } else { 0 };
    for t in (0..T).step_by(8) {
        let present = data.saturating_sub(t).min(8);
        for i in (0..whole).step_by(8) {
            let row = |k: usize| &x[(t + k) * inputs + from + i..][..8];
            let block = if present == 8 {
                std::array::from_fn(|k| f32x8::from(row(k)))
            } else {
                std::array::from_fn(|k| if k < present { f32x8::from(row(k)) } else { f32x8::ZERO })
            };
            for (k, row) in f32x8::transpose(block).into_iter().enumerate() {
                y[(i + k) * T + t..][..8].copy_from_slice(row.as_array());
            }
        }
    }
    for i in whole..len {
        for t in 0..T {
            y[i * T + t] = if t < data { x[t * inputs + from + i] } else { 0.0 };
        }
    }
}
