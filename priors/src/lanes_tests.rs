//! Every function of lanes against `f32` and `f64`, over the whole range of `f32`.

use super::*;
use proptest::prelude::*;

fn first(x: Lanes) -> f64 {
    f64::from(x.0.to_array()[0])
}
fn lanes(x: f32) -> Lanes {
    Lanes(all(x))
}
fn close(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn agrees_with_f64(x in -80.0_f32..80.0, p in -37.0_f32..37.0) {
        let (wide, positive) = (f64::from(x), 10_f32.powf(p));
        let exact = f64::from(positive);
        prop_assert!(close(first(lanes(x).exp()), wide.exp(), 2e-7));
        prop_assert!((first(lanes(positive).ln()) - exact.ln()).abs() <= 2e-7 * exact.ln().abs().max(0.5));
        prop_assert!(close(first(lanes(positive).ln_1p()), exact.ln_1p(), 3e-7));
        prop_assert!(close(first(lanes(x).exp_m1()), wide.exp_m1(), 1e-6));
        prop_assert!(close(first(lanes(x * 1e-6).exp_m1()), f64::from(x * 1e-6).exp_m1(), 1e-6));
        prop_assert!(close(first(lanes(x).sigmoid()), Real::sigmoid(wide), 5e-7));
        prop_assert!(close(first(lanes(x).softplus()), Real::softplus(wide), 5e-7));
        prop_assert!(close(first(lanes(x * 0.1).erf()), statrs::function::erf::erf(f64::from(x * 0.1)), 2e-7));
    }
}

/// The bit patterns of `f32` with this stride, and numbers around the edges of its range and of the polynomials'.
fn whole_range() -> impl Iterator<Item = f32> {
    let edges = [0.0, f32::MIN_POSITIVE, 1e-45, f32::MAX, f32::INFINITY, 1.0, 88.0, 88.376, 88.722_84, 88.73, 104.0]
        .into_iter()
        .chain([87.336_55, 87.683, 88.029, 0.346_573_6, 1e30, 5e18, 6e-39, 3e-39]);
    let around = edges.flat_map(|x| [x, x.next_up(), x.next_down()]).flat_map(|x| [x, -x]);
    let stride = 4099; // a prime: every exponent is met with many mantissas
    (0..=u32::MAX / stride).map(move |i| f32::from_bits(i * stride)).chain(around)
}

/// Subnormal results up to here may be flushed to zero: `e^x` has no power of 2 below 2^-126.5.
const FLUSHED: f64 = 9e-39;

/// Checks a function of lanes against one of `f64` over all of `f32`, in units of the result, and in absolute units up
/// to `FLUSHED`. Infinite, zero and NaN results are the same in both.
fn agree_everywhere(
    name: &str,
    lanes: fn(Lanes) -> Lanes,
    scalar: fn(f32) -> f32,
    exact: fn(f64) -> f64,
    relative: f64,
) {
    let all: Vec<f32> = whole_range().collect();
    for chunk in all.chunks(Lanes::WIDTH) {
        let mut found = [0.0; 16];
        lanes(Lanes::load(chunk)).store(&mut found);
        for (&x, found) in chunk.iter().zip(found) {
            let exact = exact(f64::from(x));
            let within = relative * exact.abs() + FLUSHED;
            // A result that rounds to infinity in f32 may do so half a unit earlier or later.
            let overflow = exact.abs() * (1.0 + relative) >= f64::from(f32::MAX) && exact.is_finite();
            for (found, kind) in [(found, "lanes"), (scalar(x), "f32")] {
                let found = f64::from(found);
                let same = found == exact || (found.is_nan() && exact.is_nan());
                let near = (found - exact).abs() <= within || (overflow && found.abs() >= 3.4e38);
                assert!(same || near, "{name}({x:e}) in {kind}: {found:e}, not {exact:e}");
            }
        }
    }
}

macro_rules! agree_everywhere {
    ($($name:ident within $relative:expr),*) => {
        $(agree_everywhere(stringify!($name), Real::$name, Real::$name, Real::$name, $relative);)*
    };
}

#[test]
fn exponentials_have_the_range_of_f32() {
    agree_everywhere!(exp within 2e-6, exp_m1 within 2e-6, sigmoid within 5e-7, softplus within 5e-7);
}

#[test]
fn logarithms_have_the_range_of_f32() {
    // The second is relative to the larger of its terms: ln(1 + x) near x = -1 is not better than its argument.
    agree_everywhere!(ln within 3e-7, ln_1p within 4e-7);
}

#[test]
fn arithmetic_has_the_range_of_f32() {
    agree_everywhere!(square within 1e-7, recip within 1e-7, abs within 0.0, erf within 1e-7);
    let root = |x: f64| f64::sqrt(f64::from(x as f32 + SQRT_FLOOR as f32));
    agree_everywhere("sqrt", Real::sqrt, Real::sqrt, root, 1e-7);
    agree_everywhere("scale", |x| x.scale(0.3), |x| x.scale(0.3), |x| x * f64::from(0.3_f32), 1e-7);
    agree_everywhere("shift", |x| x.shift(0.3), |x| x.shift(0.3), |x| x + f64::from(0.3_f32), 1e-7);
    agree_everywhere("at_least", |x| x.at_least(0.5), |x| x.at_least(0.5), |x| x.at_least(0.5), 0.0);
    agree_everywhere("sign", Lane::sign, Lane::sign, Lane::sign, 0.0);
    agree_everywhere("neg", |x| -x, |x| -x, |x| -x, 0.0);
}

#[test]
fn edges() {
    assert_eq!(first(lanes(0.0).ln()), f64::NEG_INFINITY);
    assert_eq!(first(lanes(-0.0).ln()), f64::NEG_INFINITY);
    assert_eq!(first(lanes(-1.0).ln_1p()), f64::NEG_INFINITY);
    assert_eq!(first(lanes(-1e9).exp()), 0.0);
    assert_eq!(first(lanes(1e9).exp()), f64::INFINITY);
    for f in [Real::exp, Real::ln, Real::ln_1p, Real::sigmoid, Real::softplus, Real::sqrt, Real::abs, Real::exp_m1] {
        // Any payload: it is moved about as bits.
        for nan in [f32::NAN, f32::from_bits(0x7fc0_01ff), f32::from_bits(0xffff_ffff)] {
            assert!(first(f(lanes(nan))).is_nan());
        }
    }
    assert!(first(lanes(f32::NAN).at_least(0.0)).is_nan());
}

#[test]
fn short_slices_load_and_store_what_they_hold() {
    let mut out = [0.0; 3];
    Lanes::load(&[2.0, 3.0, 4.0]).store(&mut out);
    assert_eq!(out, [2.0, 3.0, 4.0]);
    assert_eq!(Lanes::load(&[2.0, 3.0, 4.0]).first(3).sum(), 9.0);
    assert_eq!(Lanes::load(&[2.0; 16]).first(16).sum(), 32.0);
}

/// Also where the fast way does not work: for zero, subnormal, negative and infinite numbers, and NaN.
#[test]
fn roots_and_their_reciprocals_agree_everywhere() {
    agree_everywhere("root", |x| x.root_and_recip()[0], f32::sqrt, f64::sqrt, 2e-7);
    agree_everywhere("1 / root", |x| x.root_and_recip()[1], |x| f32::recip(f32::sqrt(x)), |x| x.sqrt().recip(), 2e-7);
    let mixed = Lanes::load(&[4.0, 0.0, f32::INFINITY, 0.25]).root_and_recip().map(|x| x.0.to_array());
    assert_eq!([&mixed[0][..4], &mixed[1][..4]], [[2.0, 0.0, f32::INFINITY, 0.5], [0.5, f32::INFINITY, 0.0, 2.0]]);
}
