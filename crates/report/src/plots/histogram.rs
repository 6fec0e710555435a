//! Histograms.

use super::axes::{Axis, drawable};
use super::curves::left_out;
use super::figure::Figure;
use super::frame::{Entry, Words, chart};
use super::pen::{Anchor, TEXT_PX, inks, letters};
use super::{PlotError, Scale};
use crate::text::shorten;

/// The largest number of bins of a histogram.
const MOST_BINS: usize = 500;

/// Values with a name, which decides their [colour](super::colours()).
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// The name in the legend.
    pub name: String,
    /// The values, in any order.
    pub values: Vec<f64>,
}

impl Values {
    /// Values with a name.
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        Self { name: name.into(), values: values.into_iter().collect() }
    }
}

/// A dashed vertical line, as at a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// The position.
    pub at: f64,
    /// The text on its left.
    pub left: String,
    /// The text on its right.
    pub right: String,
}

impl Marker {
    /// A line at `at`, with the texts on its left and right.
    pub fn new(at: f64, left: impl Into<String>, right: impl Into<String>) -> Self {
        Self { at, left: left.into(), right: right.into() }
    }
}

/// A histogram: for each series the share of its values in each of `bins` equal bins, in percent.
///
/// All series share the bins, which span the smallest to the largest value. On a [`Scale::Log`] of shares, a bin that
/// has one value of a million is visible beside a bin that has all others. Values that are not finite, or beyond ±1e30,
/// are left out, and the legend says how many; shares are of the values drawn. A marker that is not finite is left out
/// too.
///
/// # Errors
/// [`PlotError::Nothing`] if no value is left, [`PlotError::Bins`] unless `bins` is 1 to 500.
pub fn histogram(
    series: &[Values],
    bins: usize,
    marker: Option<&Marker>,
    x: &str,
    title: &str,
    scale: Scale,
) -> Result<Figure, PlotError> {
    if !(1..=MOST_BINS).contains(&bins) {
        return Err(PlotError::Bins { title: title.into(), bins, limit: MOST_BINS });
    }
    let placed: Vec<Vec<Option<f64>>> =
        series.iter().map(|s| s.values.iter().map(|v| drawable(*v).then_some(*v)).collect()).collect();
    let all = || placed.iter().flatten().flatten().copied();
    if all().next().is_none() {
        let given = series.iter().map(|s| s.values.len()).sum();
        return Err(PlotError::Nothing {
            title: title.into(),
            series: series.len(),
            given,
            hint: "values must be finite",
        });
    }
    let span = Axis::linear(all(), 0.0);
    let shares: Vec<Vec<f64>> = placed.iter().map(|values| shares(values, bins, &span)).collect();
    let marker = marker.filter(|marker| drawable(marker.at));
    let x_axis = Axis::linear([span.from, span.to].into_iter().chain(marker.map(|marker| marker.at)), 0.02);
    let y_axis = heights(&shares, scale);
    let inks = inks(&series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>());
    let entry = |((s, placed), ink): ((&Values, &Vec<Option<f64>>), _)| Entry {
        name: left_out(&s.name, placed),
        ink,
        marks: false,
        line: true,
    };
    let legend: Vec<Entry> = series.iter().zip(&placed).zip(inks.iter().copied()).map(entry).collect();
    let words = Words { title, x, y: "share of values [%]" };
    let height = |share: f64| scale.place(share).map_or(y_axis.from, |y| y.max(y_axis.from));
    Ok(chart(words, &legend, (&x_axis, &y_axis), |chart| {
        let steps = |shares: &Vec<f64>| outline(shares, &span).into_iter().map(|(x, share)| (x, height(share)));
        let outlines: Vec<_> = shares.iter().map(|shares| chart.all(steps(shares))).collect();
        if let ([outline], [ink]) = (&outlines[..], &inks[..]) {
            chart.pen.area(outline, ink.colour, 0.15); // several would mix to grey
        }
        for (outline, ink) in outlines.iter().zip(&inks) {
            chart.pen.line(outline, *ink, 1.6);
        }
        let Some(marker) = marker else { return };
        let (foot, top) = (chart.at((marker.at, y_axis.from)), chart.at((marker.at, y_axis.to)));
        chart.pen.rule(foot, top, 1.0, "6 4");
        let [left, _, right, _] = chart.inside();
        let fits = |label: &str, room: f64| shorten(label, letters(room - 8.0, TEXT_PX));
        let (before, after) = (fits(&marker.left, top.0 - left), fits(&marker.right, right - top.0));
        chart.pen.text((top.0 - 6.0, top.1 + 12.0), TEXT_PX, Anchor::End, &before);
        chart.pen.text((top.0 + 6.0, top.1 + 12.0), TEXT_PX, Anchor::Start, &after);
    }))
}

/// The vertical axis: from 0, or on a logarithmic axis from half of the smallest share, to above the largest, with room
/// for a marker's label.
fn heights(shares: &[Vec<f64>], scale: Scale) -> Axis {
    let all = || shares.iter().flatten().copied().filter(|share| *share > 0.0);
    let (low, high) = all().fold((f64::MAX, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    match scale {
        Scale::Linear => Axis::linear([0.0, 1.12 * high].into_iter(), 0.0),
        Scale::Log => {
            let (low, high) = ((low / 2.0).log10(), high.log10());
            Axis::log10([low, high + 0.1 * (high - low)].into_iter(), 0.0)
        }
    }
}

/// The percentage of the values in each bin. A value on an edge belongs to the bin above it, the largest to the last
/// bin.
fn shares(values: &[Option<f64>], bins: usize, span: &Axis) -> Vec<f64> {
    let mut shares = vec![0.0; bins];
    let share = 100.0 / values.iter().flatten().count().max(1) as f64;
    for value in values.iter().flatten() {
        let bin = (value - span.from) / (span.to - span.from) * bins as f64;
        shares[(bin as usize).min(bins - 1)] += share;
    }
    shares
}

/// The outline of a histogram: its steps, from the axis and back to it.
fn outline(shares: &[f64], span: &Axis) -> Vec<(f64, f64)> {
    let edge = |i: usize| span.from + (span.to - span.from) * i as f64 / shares.len() as f64;
    let steps = shares.iter().enumerate().flat_map(|(i, share)| [(edge(i), *share), (edge(i + 1), *share)]);
    [(span.from, 0.0)].into_iter().chain(steps).chain([(span.to, 0.0)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shares_are_percent_of_each_series() {
        let values = [0.0, 0.1, 0.9, 1.0, 2.0].map(Some);
        let span = Axis::linear([0.0, 2.0].into_iter(), 0.0);
        assert_eq!(shares(&values, 2, &span), [60.0, 40.0]);
        assert_eq!(
            outline(&[60.0, 40.0], &span),
            [(0.0, 0.0), (0.0, 60.0), (1.0, 60.0), (1.0, 40.0), (2.0, 40.0), (2.0, 0.0)]
        );
    }

    #[test]
    fn the_marker_and_what_was_left_out_are_named() {
        let values = Values::new("SparseVD", [-8.0, 9.0, f64::NAN, f64::INFINITY]);
        let figure =
            histogram(&[values], 10, Some(&Marker::new(3.0, "kept", "log α >= 3")), "log α", "Noise", Scale::Linear)
                .unwrap();
        for part in ["kept", "log α &gt;= 3", "(2 of 4 not drawn)", "share of values [%]"] {
            assert!(figure.wide().contains(part) && figure.narrow().unwrap().contains(part), "{part}");
        }
        let odd = Marker::new(f64::NAN, "nowhere", "");
        let figure = histogram(&[Values::new("a", [1.0])], 3, Some(&odd), "x", "t", Scale::Linear).unwrap();
        assert!(!figure.wide().contains("nowhere"));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let histogram = |series: &[Values], bins| super::histogram(series, bins, None, "x", "t", Scale::Log);
        let one = [Values::new("a", [1.0])];
        assert!(matches!(histogram(&one, 0), Err(PlotError::Bins { bins: 0, .. })));
        assert!(matches!(histogram(&one, usize::MAX), Err(PlotError::Bins { .. })));
        let none = [Values::new("a", [f64::NAN])];
        assert!(matches!(histogram(&none, 3), Err(PlotError::Nothing { series: 1, given: 1, .. })));
        assert!(matches!(histogram(&[], 3), Err(PlotError::Nothing { .. })));
        assert!(histogram(&[Values::new("a", [4.0; 9]), Values::new("b", [])], 7).is_ok());
    }

    /// One value of a million is still visible.
    #[test]
    fn a_logarithmic_axis_shows_rare_values() {
        let values = std::iter::repeat_n(9.0, 1_000_000).chain([-9.0]);
        let axis = heights(
            &[shares(&values.map(Some).collect::<Vec<_>>(), 60, &Axis::linear([-9.0, 9.0].into_iter(), 0.0))],
            Scale::Log,
        );
        let share = |x: f64| (x.log10() - axis.from) / (axis.to - axis.from);
        assert!((0.02..0.1).contains(&share(1e-4)) && (0.8..1.0).contains(&share(100.0)), "{axis:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_numbers_break_a_figure(values in prop::collection::vec(any::<f64>(), 0..12), at: f64, bins in 1_usize..60, log: bool) {
            let some = values.iter().any(|v| drawable(*v));
            let scale = if log { Scale::Log } else { Scale::Linear };
            let svg = histogram(&[Values::new("a", values)], bins, Some(&Marker::new(at, "m", "n")), "x", "t", scale);
            prop_assert_eq!(svg.is_ok(), some);
        }

        #[test]
        fn shares_sum_to_a_hundred(values in prop::collection::vec(-1e6_f64..1e6, 1..50), bins in 1_usize..40) {
            let span = Axis::linear(values.iter().copied(), 0.0);
            let placed: Vec<_> = values.into_iter().map(Some).collect();
            prop_assert!((shares(&placed, bins, &span).iter().sum::<f64>() - 100.0).abs() < 1e-9);
        }
    }
}
