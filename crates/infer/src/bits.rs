//! Weights quantised to posterior precision.
//!
//! A weight that is known only up to its posterior's standard deviation need not be stored more precisely (Louizos,
//! Ullrich and Welling 2017, section 3.2 on reducing the bit precision). A layer's weights are stored as multiples of a
//! step. Half a step, the largest rounding error, is the layer's σ.

/// Weights as signed integer multiples of a step, each in as few bits as the largest needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packed {
    pub(crate) step: f32,
    pub(crate) bits: u32,
    pub(crate) bytes: Vec<u8>,
}

/// The number of bits from which packing saves too little to be used.
const MOST_BITS: u32 = 24;

impl Packed {
    /// Packs weights, rounded to within `sigma`; `None` if that takes 24 bits or more.
    pub(crate) fn new(weights: &[f32], sigma: f64) -> Option<Self> {
        let step = (2.0 * sigma) as f32;
        let whole = |w: &f32| (w / step).round();
        let largest = weights.iter().map(|w| whole(w).abs()).fold(0.0, f32::max);
        if !(step.is_normal() && largest < (1 << (MOST_BITS - 2)) as f32) {
            return None;
        }
        // From -2^(bits - 1) to 2^(bits - 1) - 1.
        let bits = 33 - (largest as u32).leading_zeros();
        let mut bytes = vec![0; (weights.len() * bits as usize).div_ceil(8)];
        for (i, weight) in weights.iter().enumerate() {
            let number = whole(weight) as i32;
            for bit in (0..bits as usize).filter(|bit| number >> bit & 1 == 1) {
                let at = i * bits as usize + bit;
                bytes[at / 8] |= 1 << (at % 8);
            }
        }
        Some(Packed { step, bits, bytes })
    }

    /// The first `len` weights.
    ///
    /// # Errors
    /// A message, if there are not as many, or they are not what [`new`](Packed::new) makes.
    pub(crate) fn weights(&self, len: usize) -> Result<Vec<f32>, String> {
        let Packed { step, bits, bytes } = self;
        if !(step.is_normal() && *step > 0.0 && (1..MOST_BITS).contains(bits)) {
            return Err(format!("{bits} bits and a step of {step}; there must be 1 to 23 bits and a positive step"));
        }
        let bits = *bits as usize;
        if len.checked_mul(bits).map(|all| all.div_ceil(8)) != Some(bytes.len()) {
            return Err(format!("{} bytes for {len} weights of {bits} bits", bytes.len()));
        }
        let bit = |at: usize| i32::from(bytes[at / 8] >> (at % 8) & 1);
        let number = |i: usize| {
            let unsigned = (0..bits).fold(0, |sum, k| sum | bit(i * bits + k) << k);
            unsigned - (bit(i * bits + bits - 1) << bits)
        };
        Ok((0..len).map(|i| number(i) as f32 * step).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// No weight is rounded by more than σ, and the widths are as small as can be.
        #[test]
        fn within_sigma(weights in prop::collection::vec(-3.0_f32..3.0, 0..50), sigma in 1e-4_f64..2.0) {
            let packed = Packed::new(&weights, sigma).unwrap();
            let back = packed.weights(weights.len()).unwrap();
            let mut largest = 0.0_f32;
            for (a, b) in weights.iter().zip(&back) {
                prop_assert!(f64::from((a - b).abs()) <= sigma * 1.000_01 + 1e-6, "{a} {b} {sigma}");
                largest = largest.max((b / packed.step).abs().round());
            }
            prop_assert!(f64::from(largest) < f64::from(packed.bits - 1).exp2());
            prop_assert!(packed.bits == 1 || f64::from(largest) >= f64::from(packed.bits - 2).exp2());
        }

        /// Any bytes give weights or a message.
        #[test]
        fn anything_is_read(bytes in prop::collection::vec(any::<u8>(), 0..20), bits in 0_u32..40, len in any::<usize>()) {
            let packed = Packed { step: 0.5, bits, bytes };
            let _ = packed.weights(len);
            let _ = packed.weights(len % 40);
        }
    }

    #[test]
    fn what_needs_no_packing_is_left() {
        assert_eq!(Packed::new(&[1.0], 1e-9), None);
        assert_eq!(Packed::new(&[1.0], f64::NAN), None);
        assert_eq!(Packed::new(&[1.0], 0.0), None);
    }
}
