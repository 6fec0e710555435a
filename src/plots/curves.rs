//! Lines through points.

use super::PlotError;
use super::axes::{Axis, drawable};
use super::frame::{self, Words, chart, line, rgb, units};
use crate::text::grouped;
use plotters::prelude::*;

/// Points joined by a line, under a name; the name of a method decides its [`colour`](super::colour).
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// What the legend says.
    pub name: String,
    /// `(x, y)`, joined in this order.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// A series of points.
    pub fn new(name: impl Into<String>, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        Self { name: name.into(), points: points.into_iter().collect() }
    }
}

/// How the vertical axis runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps are equal differences.
    #[default]
    Linear,
    /// Equal steps are equal ratios; only values above 0 can be drawn.
    Log,
}

/// A line chart as SVG text.
///
/// Points that are not finite, or (`y` on a [`Scale::Linear`]) beyond 1e30, are left out, on a [`Scale::Log`] those with `y <= 0` too, and the line is
/// broken there; the legend says how many. Series of 40 points or fewer, and points alone between gaps, get dots.
///
/// ```
/// use sparsevd::plots::{Scale, Series, curves};
///
/// let loss = Series::new("SparseVD", [(1.0, 0.9), (2.0, 0.4), (3.0, 0.2)]);
/// let svg = curves(&[loss], "epoch", "loss [nats]", "Training", Scale::Log)?;
/// assert!(svg.starts_with("<svg"));
/// # Ok::<(), sparsevd::plots::PlotError>(())
/// ```
///
/// # Errors
/// [`PlotError::Nothing`] when no point is left.
pub fn curves(series: &[Series], x: &str, y: &str, title: &str, scale: Scale) -> Result<String, PlotError> {
    let place = |(x, y): (f64, f64)| {
        let y = if scale == Scale::Log { y.log10() } else { y };
        (drawable(x) && drawable(y)).then_some((x, y))
    };
    let placed: Vec<Vec<Option<(f64, f64)>>> =
        series.iter().map(|s| s.points.iter().map(|p| place(*p)).collect()).collect();
    let all = || placed.iter().flatten().flatten();
    if all().next().is_none() {
        let given = series.iter().map(|s| s.points.len()).sum();
        let hint = match scale {
            Scale::Linear => "both coordinates must be finite",
            Scale::Log => "both coordinates must be finite, and y above 0 on a logarithmic scale",
        };
        return Err(PlotError::Nothing { title: title.into(), series: series.len(), given, hint });
    }
    let x_axis = Axis::linear(all().map(|p| p.0), 0.02);
    let y_axis = match scale {
        Scale::Linear => Axis::linear(all().map(|p| p.1), 0.05),
        Scale::Log => Axis::log10(all().map(|p| p.1), 0.05),
    };
    let inks = frame::inks(series.iter().map(|s| s.name.as_str()));
    let legend = series.iter().zip(&placed).zip(&inks);
    let legend: Vec<_> = legend.map(|((s, placed), ink)| (left_out(&s.name, placed), *ink)).collect();
    chart(Words { title, x, y }, &legend, (&x_axis, &y_axis), |chart| {
        for (points, ink) in placed.iter().zip(&inks) {
            let dots = points.len() <= 40;
            for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
                let run: Vec<(f64, f64)> = run.iter().copied().flatten().collect();
                if run.len() > 1 {
                    line(chart, &run, *ink)?;
                }
                if dots || run.len() == 1 {
                    let dot = |p: &(f64, f64)| Circle::new(*p, units(2.8), rgb(ink.colour).filled());
                    chart.draw_series(run.iter().map(dot))?;
                }
            }
        }
        Ok(())
    })
}

/// The name, and how many of its values have no place.
pub(super) fn left_out<T>(name: &str, placed: &[Option<T>]) -> String {
    match placed.iter().filter(|p| p.is_none()).count() {
        0 => name.to_string(),
        n => format!("{name} ({} of {} not drawn)", grouped(n), grouped(placed.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draw(points: &[(f64, f64)], scale: Scale) -> Result<String, PlotError> {
        curves(&[Series::new("ARD", points.iter().copied())], "epoch", "NLL [nats]", "Title", scale)
    }

    #[test]
    fn names_and_units_are_there_in_the_colour_of_the_method() {
        let svg = draw(&[(0.0, 1.0), (1.0, 0.5)], Scale::Linear).unwrap();
        for part in ["epoch", "NLL [nats]", "Title", "ARD", "#D55E00", "sans-serif", "width=\"720\" height=\"420\""] {
            assert!(svg.contains(part), "{part}");
        }
        assert!(svg.trim_end().ends_with("</svg>"));
    }

    #[test]
    fn text_is_escaped() {
        let svg = curves(&[Series::new("<b>&", [(0.0, 0.0)])], "a<b", "c&d", "<script>", Scale::Linear).unwrap();
        assert!(!svg.contains("<script") && !svg.contains("<b>") && svg.contains("&lt;script&gt;"));
    }

    #[test]
    fn what_has_no_place_is_left_out_and_counted() {
        let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, -1.0), (4.0, 0.0), (5.0, 2.0)];
        assert!(draw(&points, Scale::Linear).unwrap().contains("(2 of 6 not drawn)"));
        assert!(draw(&points, Scale::Log).unwrap().contains("(4 of 6 not drawn)"));
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        let nothing = |series: &[Series], scale| match curves(series, "x", "y", "t", scale) {
            Err(PlotError::Nothing { series, given, .. }) => (series, given),
            other => panic!("{other:?}"),
        };
        assert_eq!(nothing(&[], Scale::Linear), (0, 0));
        assert_eq!(nothing(&[Series::new("a", []), Series::new("b", [(f64::NAN, 0.0)])], Scale::Linear), (2, 1));
        assert_eq!(nothing(&[Series::new("a", [(0.0, 0.0), (1.0, -1.0)])], Scale::Log), (1, 2));
    }

    #[test]
    fn one_point_and_equal_values_are_drawn() {
        for points in [&[(3.0, 7.0)][..], &[(0.0, 0.0); 4], &[(1.0, 5.0), (2.0, 5.0)]] {
            assert!(draw(points, Scale::Linear).unwrap().contains("<circle"));
        }
        assert!(draw(&[(3.0, 7.0)], Scale::Log).unwrap().contains("<circle"));
    }

    /// Any bits, and numbers of a size that is drawn.
    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![any::<f64>(), -1e3_f64..1e3, (-40_i32..40).prop_map(|e| 10_f64.powi(e))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_numbers_break_a_figure(points in prop::collection::vec((number(), number()), 0..12), log: bool) {
            let scale = if log { Scale::Log } else { Scale::Linear };
            match draw(&points, scale) {
                Ok(svg) => prop_assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.len() < 100_000),
                Err(error) => prop_assert!(matches!(error, PlotError::Nothing { .. }), "{error}"),
            }
        }
    }
}
