//! Figures over seeds: lines with bands, points with error bars, histograms of log α.

use sparsevd_report::plots::{Figure, Marker, PlotError, Point, Quantity, Scale, Series, Values, curves, histogram};

use crate::record::{Curve, Record};
use crate::table::{extent, groups, seeds};

/// For each label, the curve of this name with `f` applied: its mean over seeds, with the range from the smallest to
/// the largest value. Points that not all seeds have are left out, and so are unfinished training runs if there are
/// finished ones.
pub fn over_seeds(records: &[Record], curve: &str, f: impl Fn(f64) -> f64) -> Vec<Series> {
    let series = |group: Vec<&Record>| {
        let any = group.iter().any(|record| !record.unfinished);
        let finished = group.iter().filter(|record| !record.unfinished || !any);
        let lines: Vec<&Curve> = finished.filter_map(|record| record.curves.get(curve)).collect();
        let points = mean(&lines, &f);
        (!points.is_empty()).then(|| Series::new(&group[0].label, points))
    };
    groups(records, false).into_iter().filter_map(series).collect()
}

fn mean(lines: &[&Curve], f: impl Fn(f64) -> f64) -> Vec<Point> {
    let Some(first) = lines.first() else { return Vec::new() };
    let point = |(i, (x, _)): (usize, &(f64, f64))| {
        let same = |line: &&Curve| line.get(i).filter(|(at, _)| at == x).map(|(_, y)| f(*y));
        let ys = lines.iter().map(same).collect::<Option<Vec<f64>>>()?;
        let range = ys.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(*y), high.max(*y)));
        let y = ys.iter().sum::<f64>() / ys.len() as f64;
        Some(Point { x: *x, y, x_range: None, y_range: (ys.len() > 1).then_some(range) })
    };
    first.iter().enumerate().filter_map(point).collect()
}

/// A sentence for the caption of [`over_seeds`]: the seeds, and the meaning of the bands.
pub fn bands(records: &[Record]) -> String {
    drawn(records, "Lines", "bands")
}

/// A sentence for the caption of [`points`]: the seeds, and the meaning of the bars.
pub fn bars(records: &[Record]) -> String {
    drawn(records, "Marks", "bars")
}

fn drawn(records: &[Record], means: &str, ranges: &str) -> String {
    match seeds(records) {
        one if one.starts_with("seed ") => format!("Of {one}."),
        all => format!("{means} are means over {all}, {ranges} go from the smallest to the largest."),
    }
}

/// [`over_seeds`] over the epochs.
///
/// # Errors
/// If there is nothing to draw.
pub fn over_epochs(
    records: &[Record],
    curve: &str,
    f: impl Fn(f64) -> f64,
    y: Quantity<'_>,
    title: &str,
) -> Result<Figure, PlotError> {
    curves(&over_seeds(records, curve, f), Quantity::linear("epoch"), y, title)
}

/// The percentage of weights kept, epoch by epoch, on a logarithmic axis, which separates 1 % from 0.5 %.
///
/// # Errors
/// If there is nothing to draw.
pub fn kept(records: &[Record], threshold: f64) -> Result<Figure, PlotError> {
    let title = format!("Weights kept: log α below {threshold}");
    over_epochs(records, "sparsity", |sparsity| 100.0 * (1.0 - sparsity), Quantity::log("weights kept [%]"), &title)
}

/// A series with one point per label: mean and range of `y` against mean and range of `x`, from left to right.
pub fn points(name: &str, records: &[Record], x: &str, y: &str, factors: (f64, f64)) -> Series {
    let range = |factor: f64, [low, high]: [f64; 2]| (low < high).then_some((factor * low, factor * high));
    let point = |group: &Vec<&Record>| {
        let ((x, xs), (y, ys)) = (extent(group, x)?, extent(group, y)?);
        let (x_range, y_range) = (range(factors.0, xs), range(factors.1, ys));
        Some(Point { x: factors.0 * x, y: factors.1 * y, x_range, y_range })
    };
    let mut points: Vec<Point> = groups(records, false).iter().filter_map(point).collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    Series::new(name, points)
}

/// A histogram of log α of all weights, for each label, with its seeds together. Shares are on a logarithmic axis, so
/// that the few weights that are kept can be seen.
///
/// # Errors
/// If there is nothing to draw.
pub fn log_alphas(records: &[Record], threshold: f64) -> Result<Figure, PlotError> {
    let all = |group: &[&Record]| -> Vec<f64> {
        let values = group.iter().flat_map(|record| &record.log_alpha).flat_map(|(_, values)| values);
        values.map(|a| a.clamp(-10.0, 10.0)).collect()
    };
    let values: Vec<Values> = groups(records, false)
        .into_iter()
        .filter(|group| group.iter().any(|record| !record.log_alpha.is_empty()))
        .map(|group| Values::new(&group[0].label, all(&group)))
        .collect();
    let marker = Marker::new(threshold, "kept", format!("pruned: {threshold} or more"));
    histogram(&values, 60, Some(&marker), "log α, cut at ±10", "log α of all weights", Scale::Log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(seed: u64, curve: &[(f64, f64)]) -> Record {
        let mut record = Record::new("ARD", seed).with("error", 0.01 * (1 + seed) as f64).with("compression", 10.0);
        record.curves.insert("c".into(), curve.to_vec());
        record
    }

    #[test]
    fn a_line_is_the_mean_and_its_band_the_range() {
        let records = [record(0, &[(1.0, 2.0), (2.0, 4.0)]), record(1, &[(1.0, 4.0), (2.0, 6.0), (3.0, 9.0)])];
        let [series] = &over_seeds(&records, "c", |y| 10.0 * y)[..] else { panic!("one label") };
        let point = |x, y, range| Point { x, y, x_range: None, y_range: Some(range) };
        assert_eq!(series.points, [point(1.0, 30.0, (20.0, 40.0)), point(2.0, 50.0, (40.0, 60.0))]);
        assert!(bands(&records).contains("means over seeds 0 to 1"));
        assert_eq!(bands(&records[..1]), "Of seed 0.");
    }

    #[test]
    fn a_stopped_training_does_not_cut_the_others() {
        let stopped = Record { unfinished: true, ..record(1, &[(1.0, 9.0)]) };
        let all = over_seeds(&[record(0, &[(1.0, 2.0), (2.0, 4.0)]), stopped.clone()], "c", |y| y);
        assert_eq!(all[0].points.len(), 2);
        assert_eq!(over_seeds(&[stopped], "c", |y| y)[0].points.len(), 1, "alone it is shown");
    }

    #[test]
    fn a_point_has_the_range_of_its_seeds() {
        let points = points("ARD", &[record(0, &[]), record(1, &[])], "compression", "error", (1.0, 100.0)).points;
        let expected = Point { x: 10.0, y: 1.5, x_range: None, y_range: Some((1.0, 2.0)) };
        assert!((points[0].y - expected.y).abs() < 1e-12 && points[0].y_range == expected.y_range, "{points:?}");
        assert_eq!((points[0].x, points[0].x_range), (expected.x, None));
    }
}
