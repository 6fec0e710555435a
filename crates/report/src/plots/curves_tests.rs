use super::*;
use proptest::prelude::*;

fn draw(points: &[(f64, f64)], scale: Scale) -> Result<String, PlotError> {
    let (x, y) = (Quantity::linear("epoch"), Quantity { name: "NLL [nats]", scale });
    curves(&[Series::new("ARD", points.iter().copied())], x, y, "Title").map(|figure| figure.wide().to_string())
}

#[test]
fn names_and_units_are_there_in_the_colour_of_the_method() {
    let svg = draw(&[(0.0, 1.0), (1.0, 0.5)], Scale::Linear).unwrap();
    let colour = crate::plots::colours(&["ARD"])[0].css();
    for part in ["epoch", "NLL [nats]", "Title", "ARD", &colour, "sans-serif", "width=\"720\""] {
        assert!(svg.contains(part), "{part}");
    }
    assert!(svg.trim_end().ends_with("</svg>"));
}

#[test]
fn text_is_escaped() {
    let series = [Series::new("<b>&", [(0.0, 0.0)])];
    let figure = curves(&series, Quantity::linear("a<b"), Quantity::linear("c&d"), "<script>").unwrap();
    for svg in [figure.wide(), figure.narrow().unwrap()] {
        assert!(!svg.contains("<script") && !svg.contains("<b>") && svg.contains("&lt;script&gt;"));
    }
}

#[test]
fn what_has_no_place_is_left_out_and_counted() {
    let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, f64::INFINITY), (3.0, -1.0), (4.0, 0.0), (5.0, 2.0)];
    assert!(draw(&points, Scale::Linear).unwrap().contains("(2 of 6 not drawn)"));
    assert!(draw(&points, Scale::Log).unwrap().contains("(4 of 6 not drawn)"));
}

#[test]
fn nothing_to_draw_is_an_error() {
    let nothing = |series: &[Series], y| match curves(series, Quantity::linear("x"), y, "t") {
        Err(PlotError::Nothing { series, given, .. }) => (series, given),
        other => panic!("{other:?}"),
    };
    let [linear, log] = [Quantity::linear("y"), Quantity::log("y")];
    let none: [(f64, f64); 0] = [];
    assert_eq!(nothing(&[], linear), (0, 0));
    assert_eq!(nothing(&[Series::new("a", none), Series::new("b", [(f64::NAN, 0.0)])], linear), (2, 1));
    assert_eq!(nothing(&[Series::new("a", [(0.0, 0.0), (1.0, -1.0)])], log), (1, 2));
}

#[test]
fn one_point_and_equal_values_are_drawn() {
    for points in [&[(3.0, 7.0)][..], &[(0.0, 0.0); 4], &[(1.0, 5.0), (2.0, 5.0)]] {
        assert!(draw(points, Scale::Linear).unwrap().contains("translate("));
    }
    assert!(draw(&[(3.0, 7.0)], Scale::Log).unwrap().contains("translate("));
}

#[test]
fn ranges_along_a_line_are_a_band_and_ranges_both_ways_are_bars() {
    let point = |x: f64, x_range| Point { x, y: 1.0, x_range, y_range: Some((0.5, 2.0)) };
    let draw = |points: [Point; 2]| {
        let figure = curves(&[Series::new("a", points)], Quantity::log("x"), Quantity::log("y"), "t").unwrap();
        let count = |part: &str| figure.wide().matches(part).count();
        (count("fill-opacity"), count("stroke-width=\"1.2\""))
    };
    assert_eq!(draw([point(1.0, None), point(2.0, None)]), (1, 0));
    assert_eq!(draw([point(1.0, Some((0.9, 1.1))), point(2.0, None)]), (0, 9), "three strokes a bar");
}

/// The axis includes the ends of a range; a range whose end cannot be drawn on a logarithmic axis ends at the point.
#[test]
fn axes_hold_the_ranges() {
    let point = Point { x: 1.0, y: 1.0, x_range: None, y_range: Some((0.0, 1000.0)) };
    assert_eq!(point.placed(Scale::Linear, Scale::Log).unwrap().ys(), [0.0, 0.0, 3.0]);
    let svg = curves(&[Series::new("a", [point])], Quantity::linear("x"), Quantity::log("y"), "t").unwrap();
    assert!(svg.wide().contains(">1000</text>"), "{}", svg.wide());
}

/// Any bits, and numbers of a drawable size.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![any::<f64>(), -1e3_f64..1e3, (-40_i32..40).prop_map(|e| 10_f64.powi(e))]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_numbers_break_a_figure(
        points in prop::collection::vec((number(), number(), number(), number()), 0..12), log: bool, ranges: bool,
    ) {
        let scale = if log { Scale::Log } else { Scale::Linear };
        let point = |(x, y, a, b): (f64, f64, f64, f64)| {
            let range = ranges.then_some((a, b));
            Point { x, y, x_range: range, y_range: range }
        };
        let series = [Series::new("ARD", points.into_iter().map(point))];
        match curves(&series, Quantity { name: "x", scale }, Quantity { name: "y", scale }, "t") {
            Ok(figure) => for svg in [figure.wide(), figure.narrow().unwrap()] {
                prop_assert!(!svg.contains("NaN") && !svg.contains("inf") && svg.len() < 100_000);
            },
            Err(error) => prop_assert!(matches!(error, PlotError::Nothing { .. }), "{error}"),
        }
    }
}
