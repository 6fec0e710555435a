//! Where values lie.

use super::PlotError;
use super::axes::{Axis, drawable};
use super::colour::GREY;
use super::curves::left_out;
use super::frame::{self, TEXT_PX, Words, chart, font, line, rgb, units};
use crate::text::shorten;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The most bins of a histogram.
const MOST_BINS: usize = 500;

/// Values under a name; the name of a method decides its [`colour`](super::colour).
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// What the legend says.
    pub name: String,
    /// The values, in any order.
    pub values: Vec<f64>,
}

impl Values {
    /// Values under a name.
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        Self { name: name.into(), values: values.into_iter().collect() }
    }
}

/// A dashed vertical line, as at a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Marker {
    /// Where.
    pub at: f64,
    /// What is written beside it.
    pub label: String,
}

impl Marker {
    /// A line at `at`.
    pub fn new(at: f64, label: impl Into<String>) -> Self {
        Self { at, label: label.into() }
    }
}

/// A histogram as SVG text: for each series the share of its values in each of `bins` equal bins, in percent.
///
/// All series share the bins, which span the smallest to the largest value. Values that are not finite, or beyond 1e30, are
/// left out, and the legend says how many; shares are of the values drawn. A marker that is not finite is left out too.
///
/// # Errors
/// [`PlotError::Nothing`] when no value is left, [`PlotError::Bins`] unless `bins` is 1 to 500.
pub fn histogram(
    series: &[Values],
    bins: usize,
    marker: Option<&Marker>,
    x: &str,
    title: &str,
) -> Result<String, PlotError> {
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
    let top = shares.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    let y_axis = Axis::linear([0.0, 1.12 * top].into_iter(), 0.0);
    let inks = frame::inks(series.iter().map(|s| s.name.as_str()));
    let legend = series.iter().zip(&placed).zip(&inks);
    let legend: Vec<_> = legend.map(|((s, placed), ink)| (left_out(&s.name, placed), *ink)).collect();
    let words = Words { title, x, y: "share of values [%]" };
    chart(words, &legend, (&x_axis, &y_axis), |chart| {
        let outlines: Vec<_> = shares.iter().map(|shares| outline(shares, &span)).collect();
        for (outline, ink) in outlines.iter().zip(&inks) {
            chart.draw_series(std::iter::once(Polygon::new(outline.clone(), rgb(ink.colour).mix(0.18))))?;
        }
        for (outline, ink) in outlines.iter().zip(&inks) {
            line(chart, outline, *ink)?;
        }
        let Some(marker) = marker else { return Ok(()) };
        let grey = rgb(GREY).stroke_width(units(1.5) as u32);
        let ends = [(marker.at, y_axis.from), (marker.at, y_axis.to)];
        chart.draw_series(std::iter::once(DashedPathElement::new(ends, units(6.0), units(4.0), grey)))?;
        // Beside the line, on the side with more room.
        let left = marker.at > (x_axis.from + x_axis.to) / 2.0;
        let (side, gap) = if left { (HPos::Right, units(-6.0)) } else { (HPos::Left, units(6.0)) };
        let label =
            Text::new(shorten(&marker.label, 45), (gap, units(2.0)), font(TEXT_PX).pos(Pos::new(side, VPos::Top)));
        chart.draw_series(std::iter::once(EmptyElement::at((marker.at, y_axis.to)) + label))?;
        Ok(())
    })
}

/// Percent of the values in each bin; a value on an edge belongs to the bin above, the largest to the last.
fn shares(values: &[Option<f64>], bins: usize, span: &Axis) -> Vec<f64> {
    let mut shares = vec![0.0; bins];
    let share = 100.0 / values.iter().flatten().count().max(1) as f64;
    for value in values.iter().flatten() {
        let bin = (value - span.from) / (span.to - span.from) * bins as f64;
        shares[(bin as usize).min(bins - 1)] += share;
    }
    shares
}

/// The steps of a histogram, from the axis and back to it.
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
        let values = Values::new("SparseVD", [-8.0, 2.0, f64::NAN, f64::INFINITY]);
        let svg = histogram(&[values], 10, Some(&Marker::new(3.0, "log α = 3")), "log α", "Noise").unwrap();
        for part in ["log α = 3", "(2 of 4 not drawn)", "share of values [%]", "#0072B2"] {
            assert!(svg.contains(part), "{part}");
        }
        let odd = Marker::new(f64::NAN, "nowhere");
        assert!(!histogram(&[Values::new("a", [1.0])], 3, Some(&odd), "x", "t").unwrap().contains("nowhere"));
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let one = [Values::new("a", [1.0])];
        assert!(matches!(histogram(&one, 0, None, "x", "t"), Err(PlotError::Bins { bins: 0, .. })));
        assert!(matches!(histogram(&one, usize::MAX, None, "x", "t"), Err(PlotError::Bins { .. })));
        let none = [Values::new("a", [f64::NAN])];
        assert!(matches!(histogram(&none, 3, None, "x", "t"), Err(PlotError::Nothing { series: 1, given: 1, .. })));
        assert!(matches!(histogram(&[], 3, None, "x", "t"), Err(PlotError::Nothing { .. })));
        assert!(histogram(&[Values::new("a", [4.0; 9]), Values::new("b", [])], 7, None, "x", "t").is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_numbers_break_a_figure(values in prop::collection::vec(any::<f64>(), 0..12), at: f64, bins in 1_usize..60) {
            let some = values.iter().any(|v| drawable(*v));
            let svg = histogram(&[Values::new("a", values)], bins, Some(&Marker::new(at, "m")), "x", "t");
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
