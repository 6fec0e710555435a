//! Ranges and tick marks.

/// The largest absolute value that is drawn. Larger ones are left out like infinite ones: differences of them could
/// overflow.
pub(super) const LARGEST: f64 = 1e30;

/// The smallest difference of two values. Closer ones count as equal: a tenth of their difference might be 0.
const SMALLEST: f64 = 1e-290;

/// True if a value can be drawn on a linear axis.
pub(super) fn drawable(x: f64) -> bool {
    x.abs() <= LARGEST // false for NaN
}

/// An axis: its two ends, and the ticks with their labels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Axis {
    pub from: f64,
    pub to: f64,
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// The axis for values that are all [`drawable`]: their range, widened by the fraction `pad` on both sides.
    pub fn linear(values: impl Iterator<Item = f64>, pad: f64) -> Self {
        let (from, to) = range(values, pad);
        let ticks = nice(from, to).into_iter().map(|v| (v, label(v, to - from))).collect();
        Self { from, to, ticks }
    }

    /// Keeps every second, third, ... tick only, so that at most `most` are left.
    pub fn thinned(mut self, most: usize) -> Self {
        let step = self.ticks.len().div_ceil(most.max(1));
        self.ticks = self.ticks.into_iter().step_by(step.max(1)).collect();
        self
    }

    /// The axis for logarithms to base 10, all [`drawable`]; the labels show the values themselves.
    pub fn log10(exponents: impl Iterator<Item = f64>, pad: f64) -> Self {
        let (from, to) = range(exponents, pad);
        let span = to - from;
        let inside = |v: f64| v.log10() >= from && v.log10() <= to;
        let mark = |v: f64| (v.log10(), label(v, v));
        let decades = |mantissas: &[f64], step: i32| -> Vec<(f64, String)> {
            let first = from.floor() as i32;
            let all = (0..=((span.ceil() as i32) + 1) / step).map(|k| (first.div_euclid(step) + k) * step);
            all.flat_map(|e| mantissas.iter().map(move |m| m * 10_f64.powi(e)))
                .filter(|v| inside(*v))
                .map(mark)
                .collect()
        };
        let ticks = if span > 2.5 {
            decades(&[1.0], (span / 8.0).ceil() as i32)
        } else if span > 0.7 {
            decades(&[1.0, 2.0, 5.0], 1)
        } else {
            let (low, high) = (10_f64.powf(from), 10_f64.powf(to));
            nice(low, high).into_iter().filter(|v| inside(*v)).map(|v| (v.log10(), label(v, high - low))).collect()
        };
        Self { from, to, ticks }
    }
}

/// The range of the values. For one value, or values that differ by rounding only, it is a range around them.
fn range(values: impl Iterator<Item = f64>, pad: f64) -> (f64, f64) {
    let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let size = low.abs().max(high.abs());
    if high - low <= (1e-9 * size).max(SMALLEST) {
        let around = if size > SMALLEST { 0.1 * size } else { 1.0 };
        return (low - around, high + around);
    }
    let pad = pad * (high - low);
    (low - pad, high + pad)
}

/// Multiples of 1, 2 or 5 × a power of ten within the range: 4 to 10 of them.
fn nice(from: f64, to: f64) -> Vec<f64> {
    let raw = (to - from) / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = power
        * [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .min_by(|a, b| {
                let miss = |m: f64| (m * power / raw).ln().abs();
                miss(*a).total_cmp(&miss(*b))
            })
            .unwrap_or(1.0);
    let (first, last) = ((from / step - 1e-9).ceil(), (to / step + 1e-9).floor());
    let count = (last - first).clamp(0.0, 20.0) as u32;
    // "+ 0.0" turns the -0 of negative ranges into 0.
    (0..=count).map(|k| (first + f64::from(k)) * step + 0.0).collect()
}

/// The label of a tick, with as few digits as distinguish the ticks of a range of length `span`.
fn label(v: f64, span: f64) -> String {
    if v == 0.0 {
        return "0".into();
    }
    let digits = (2.0 - span.abs().log10().floor()).clamp(0.0, 12.0) as usize;
    let trim = |text: String| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    };
    if (1e-3..1e5).contains(&v.abs()) {
        return trim(format!("{v:.digits$}"));
    }
    let digits = (v.abs().log10().floor() - span.abs().log10().floor() + 2.0).clamp(3.0, 15.0) as usize;
    let scientific = format!("{v:.digits$e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    format!("{}e{exponent}", trim(mantissa.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round() {
        assert_eq!(labels(&Axis::linear([0.0, 1.0].into_iter(), 0.0)), ["0", "0.2", "0.4", "0.6", "0.8", "1"]);
        assert_eq!(labels(&Axis::linear([-3.0, 12.0].into_iter(), 0.0)), ["-2", "0", "2", "4", "6", "8", "10", "12"]);
        assert_eq!(labels(&Axis::linear([0.0, 2e6].into_iter(), 0.0)), ["0", "5e5", "1e6", "1.5e6", "2e6"]);
        assert_eq!(
            labels(&Axis::linear([99.05, 99.2].into_iter(), 0.0)),
            ["99.06", "99.08", "99.1", "99.12", "99.14", "99.16", "99.18", "99.2"]
        );
    }

    #[test]
    fn log_ticks_suit_the_span() {
        assert_eq!(labels(&Axis::log10([-4.0, 1.0].into_iter(), 0.0)), ["1e-4", "0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(labels(&Axis::log10([0.0, 1.5].into_iter(), 0.0)), ["1", "2", "5", "10", "20"]);
        assert_eq!(
            labels(&Axis::log10([2.0_f64.log10(), 3.0_f64.log10()].into_iter(), 0.0)),
            ["2", "2.2", "2.4", "2.6", "2.8", "3"]
        );
        assert_eq!(
            labels(&Axis::log10([-30.0, 30.0].into_iter(), 0.0)),
            ["1e-24", "1e-16", "1e-8", "1", "1e8", "1e16", "1e24"]
        );
    }

    #[test]
    fn equal_values_get_a_range() {
        let axis = Axis::linear([5.0; 3].into_iter(), 0.05);
        assert_eq!((axis.from, axis.to), (4.5, 5.5));
        let axis = Axis::linear([0.0].into_iter(), 0.05);
        assert_eq!((axis.from, axis.to), (-1.0, 1.0));
        let axis = Axis::linear([0.0, 5e-324].into_iter(), 0.05);
        assert_eq!((axis.from, axis.to, axis.ticks.len()), (-1.0, 1.0, 5));
    }

    proptest! {
        #[test]
        fn ticks_are_few_inside_and_distinct(a in -LARGEST..LARGEST, scale in -40_i32..0, d in 0.0_f64..1.0) {
            let a = a * 10_f64.powi(scale);
            let b = a + d * 10_f64.powi(scale + 20);
            let exponents = [a, b].map(|x| x.abs().max(1e-30).log10());
            for axis in [Axis::linear([a, b].into_iter(), 0.05), Axis::log10(exponents.into_iter(), 0.05)] {
                let slack = 1e-6 * (axis.to - axis.from);
                prop_assert!((2..=16).contains(&axis.ticks.len()), "{axis:?}");
                prop_assert!(axis.ticks.iter().all(|(v, _)| *v >= axis.from - slack && *v <= axis.to + slack), "{axis:?}");
                prop_assert!(axis.ticks.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 != w[1].1), "{axis:?}");
            }
        }
    }
}
