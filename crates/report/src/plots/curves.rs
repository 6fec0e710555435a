//! Lines and single points, with their ranges.

use super::figure::Figure;
use super::frame::{Chart, Entry, Words, chart};
use super::labels::{Area, Mark, places};
use super::pen::{Ink, TEXT_PX, inks};
use super::{PlotError, Quantity, Scale};
use crate::text::grouped;

/// A point, with the range of others like it, such as those of other seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The horizontal coordinate.
    pub x: f64,
    /// The vertical coordinate.
    pub y: f64,
    /// The range of x.
    pub x_range: Option<(f64, f64)>,
    /// The range of y.
    pub y_range: Option<(f64, f64)>,
}

impl From<(f64, f64)> for Point {
    fn from((x, y): (f64, f64)) -> Self {
        Self { x, y, x_range: None, y_range: None }
    }
}

impl Point {
    /// The point and its ranges on the axes' scales; `None` if a coordinate cannot be drawn there.
    fn placed(self, x: Scale, y: Scale) -> Option<Self> {
        let range = |scale: Scale, at: f64, range: Option<(f64, f64)>| {
            let (low, high) = range?;
            // An end of a range may be outside the scale.
            Some((scale.place(low).unwrap_or(at).min(at), scale.place(high).unwrap_or(at).max(at)))
        };
        let (at_x, at_y) = (x.place(self.x)?, y.place(self.y)?);
        let (x_range, y_range) = (range(x, at_x, self.x_range), range(y, at_y, self.y_range));
        Some(Self { x: at_x, y: at_y, x_range, y_range })
    }

    fn xs(&self) -> [f64; 3] {
        let (low, high) = self.x_range.unwrap_or((self.x, self.x));
        [low, self.x, high]
    }

    fn ys(&self) -> [f64; 3] {
        let (low, high) = self.y_range.unwrap_or((self.y, self.y));
        [low, self.y, high]
    }
}

/// Points joined by a line. The name decides the [colour](super::colours()).
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// The points, joined in this order.
    pub points: Vec<Point>,
}

impl Series {
    /// A series of points; `(x, y)` is a point without ranges.
    pub fn new<P: Into<Point>>(name: impl Into<String>, points: impl IntoIterator<Item = P>) -> Self {
        Self { name: name.into(), points: points.into_iter().map(Into::into).collect() }
    }

    fn barred(&self) -> bool {
        self.points.iter().any(|point| point.x_range.is_some())
    }
}

/// A chart of lines, or of points if each series has one.
///
/// Ranges of y are drawn as a band along the line; if x has a range as well, both are drawn as error bars. If all
/// series have 40 points or fewer, the points get marks, and so do single points between gaps. If each series has one
/// point, its name is also written beside it if there is room.
///
/// Points are left out if a coordinate is not finite, beyond ±1e30 on a [`Scale::Linear`], or not above 0 on a
/// [`Scale::Log`]. The line is broken there, and the legend says how many points are left out.
///
/// ```
/// use sparsevd_report::plots::{Quantity, Series, curves};
///
/// let loss = Series::new("SparseVD", [(1.0, 0.9), (2.0, 0.4), (3.0, 0.2)]);
/// let figure = curves(&[loss], Quantity::linear("epoch"), Quantity::log("loss [nats]"), "Training")?;
/// assert!(figure.wide().starts_with("<svg"));
/// # Ok::<(), sparsevd_report::plots::PlotError>(())
/// ```
///
/// # Errors
/// [`PlotError::Nothing`] if no point is left.
pub fn curves(series: &[Series], x: Quantity, y: Quantity, title: &str) -> Result<Figure, PlotError> {
    let place = |series: &Series| series.points.iter().map(|point| point.placed(x.scale, y.scale)).collect();
    let placed: Vec<Vec<Option<Point>>> = series.iter().map(place).collect();
    let all = || placed.iter().flatten().flatten();
    if all().next().is_none() {
        let given = series.iter().map(|s| s.points.len()).sum();
        let hint = match (x.scale, y.scale) {
            (Scale::Linear, Scale::Linear) => "both coordinates must be finite",
            _ => "both coordinates must be finite, and above 0 on a logarithmic scale",
        };
        return Err(PlotError::Nothing { title: title.into(), series: series.len(), given, hint });
    }
    let lines = placed.iter().any(|points| points.iter().flatten().count() > 1);
    let x_axis = x.scale.axis(all().flat_map(Point::xs), if lines { 0.02 } else { 0.06 });
    let y_axis = y.scale.axis(all().flat_map(Point::ys), 0.05);
    let inks = inks(&series.iter().map(|s| s.name.as_str()).collect::<Vec<_>>());
    let marked = series.iter().all(|s| s.points.len() <= 40); // few enough for a mark on each
    let entry = |((s, placed), ink): ((&Series, &Vec<Option<Point>>), &Ink)| {
        let line = placed.iter().flatten().count() > 1;
        Entry { name: left_out(&s.name, placed), ink: *ink, marks: marked || !line, line }
    };
    let legend: Vec<Entry> = series.iter().zip(&placed).zip(&inks).map(entry).collect();
    let words = Words { title, x: x.name, y: y.name };
    Ok(chart(words, &legend, (&x_axis, &y_axis), |chart| {
        let all = || series.iter().zip(&placed).zip(&inks);
        for ((series, points), ink) in all() {
            runs(points).for_each(|run| spread(chart, run, *ink, series.barred()));
        }
        for ((_, points), ink) in all() {
            runs(points).for_each(|run| line(chart, run, *ink, marked));
        }
        if !lines {
            names(chart, series, &placed);
        }
    }))
}

/// Writes names beside points, one for each series.
fn names(chart: &mut Chart, series: &[Series], placed: &[Vec<Option<Point>>]) {
    let one = |(series, points): (_, &Vec<Option<Point>>)| Some((series, *points.iter().flatten().next()?));
    let (series, points): (Vec<&Series>, Vec<Point>) = series.iter().zip(placed).filter_map(one).unzip();
    let (mut marks, mut taken): (Vec<Mark>, Vec<Area>) = Default::default();
    for point in &points {
        let (low, high) = (chart.at((point.xs()[0], point.ys()[0])), chart.at((point.xs()[2], point.ys()[2])));
        let (x, y) = chart.at((point.x, point.y));
        marks.push(((x, y), [low.0, high.0]));
        taken.push([x - 6.0, y - 6.0, x + 6.0, y + 6.0]);
        taken.extend([[x - 4.0, high.1, x + 4.0, low.1], [low.0, y - 4.0, high.0, y + 4.0]]);
    }
    let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
    for (place, name) in places(&marks, &names, taken, chart.inside()).into_iter().zip(names) {
        if let Some((foot, anchor)) = place {
            chart.pen.text(foot, TEXT_PX, anchor, name);
        }
    }
}

/// The runs of drawable points.
fn runs(points: &[Option<Point>]) -> impl Iterator<Item = Vec<Point>> {
    points.split(Option::is_none).filter(|run| !run.is_empty()).map(|run| run.iter().copied().flatten().collect())
}

fn spread(chart: &mut Chart, run: Vec<Point>, ink: Ink, barred: bool) {
    if barred || run.len() == 1 {
        run.iter().for_each(|point| bars(chart, point, ink));
        return;
    }
    if run.iter().any(|point| point.y_range.is_some()) {
        let low = run.iter().map(|p| (p.x, p.ys()[0]));
        let high = run.iter().rev().map(|p| (p.x, p.ys()[2]));
        let band = chart.all(low.chain(high));
        chart.pen.area(&band, ink.colour, 0.16);
    }
}

/// Draws error bars over a point's ranges, with a stroke across each end.
fn bars(chart: &mut Chart, point: &Point, ink: Ink) {
    let solid = Ink { dash: 0, ..ink };
    let mut bar = |ends: [(f64, f64); 2], (dx, dy): (f64, f64)| {
        let ends = ends.map(|end| chart.at(end));
        chart.pen.line(&ends, solid, 1.2);
        for (x, y) in ends {
            chart.pen.line(&[(x - dx, y - dy), (x + dx, y + dy)], solid, 1.2);
        }
    };
    if point.x_range.is_some() {
        bar([(point.xs()[0], point.y), (point.xs()[2], point.y)], (0.0, 4.0));
    }
    if point.y_range.is_some() {
        bar([(point.x, point.ys()[0]), (point.x, point.ys()[2])], (4.0, 0.0));
    }
}

fn line(chart: &mut Chart, run: Vec<Point>, ink: Ink, marked: bool) {
    let points = chart.all(run.iter().map(|p| (p.x, p.y)));
    if points.len() > 1 {
        chart.pen.line(&points, ink, 1.8);
    }
    if marked || points.len() == 1 {
        let scale = if points.len() == 1 { 1.15 } else { 0.8 };
        points.iter().for_each(|at| chart.pen.mark(*at, ink, scale));
    }
}

/// The name, with the number of its values that cannot be drawn.
pub(super) fn left_out<T>(name: &str, placed: &[Option<T>]) -> String {
    match placed.iter().filter(|p| p.is_none()).count() {
        0 => name.to_string(),
        n => format!("{name} ({} of {} not drawn)", grouped(n), grouped(placed.len())),
    }
}

#[cfg(test)]
#[path = "curves_tests.rs"]
mod tests;
