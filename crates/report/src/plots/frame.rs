//! The parts of every chart: title, legend and axes.

use super::axes::Axis;
use super::figure::{Figure, Width};
use super::labels::Area;
use super::pen::{Anchor, Ink, Pen, TEXT_PX, letters, text_px};
use crate::text::shorten;

const TITLE_PX: f64 = 15.5;
const LEGEND_ROW: f64 = 20.0;
/// The largest number of rows of a legend.
const LEGEND_ROWS: usize = 12;
/// The margin around the figure.
pub(super) const MARGIN: f64 = 12.0;
/// The height below the chart, for labels and the axis's name.
const BELOW: f64 = 48.0;

/// The words around a chart.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
}

/// A series in the legend.
pub(super) struct Entry {
    pub name: String,
    pub ink: Ink,
    /// True if its points are marked.
    pub marks: bool,
    /// True if a line joins them.
    pub line: bool,
}

/// A pen with the axes of a chart.
pub(super) struct Chart<'a> {
    pub pen: Pen,
    x: &'a Axis,
    y: &'a Axis,
    /// The left, right, top and bottom of the area inside the axes.
    sides: [f64; 4],
}

impl Chart<'_> {
    /// The position of a value, in pixels.
    pub fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let [left, right, top, bottom] = self.sides;
        let share = |axis: &Axis, v: f64| (v - axis.from) / (axis.to - axis.from);
        (left + (right - left) * share(self.x, x), bottom - (bottom - top) * share(self.y, y))
    }

    /// The left, top, right and bottom of the area inside the axes.
    pub fn inside(&self) -> Area {
        let [left, right, top, bottom] = self.sides;
        [left, top, right, bottom]
    }

    /// [`Chart::at`] for each point.
    pub fn all(&self, points: impl IntoIterator<Item = (f64, f64)>) -> Vec<(f64, f64)> {
        points.into_iter().map(|p| self.at(p)).collect()
    }

    fn axes(&mut self, words: Words) {
        let [left, right, top, bottom] = self.sides;
        let widest = self.x.ticks.iter().map(|(_, label)| text_px(label, TEXT_PX)).fold(0.0, f64::max);
        let x = self.x.clone().thinned(((right - left) / (widest + 12.0)) as usize);
        for (value, label) in &x.ticks {
            let (x, _) = self.at((*value, self.y.from));
            self.pen.rule((x, top), (x, bottom), 0.12, "");
            self.pen.rule((x, bottom), (x, bottom + 4.0), 0.7, "");
            self.pen.text((x, bottom + 17.0), TEXT_PX, Anchor::Middle, label);
        }
        for (value, label) in &self.y.ticks.clone() {
            let (_, y) = self.at((self.x.from, *value));
            self.pen.rule((left, y), (right, y), 0.12, "");
            self.pen.rule((left - 4.0, y), (left, y), 0.7, "");
            self.pen.text((left - 7.0, y + 4.3), TEXT_PX, Anchor::End, label);
        }
        self.pen.rule((left, top), (left, bottom), 0.7, "");
        self.pen.rule((left, bottom), (right, bottom), 0.7, "");
        let middle = ((left + right) / 2.0, bottom + 38.0);
        self.pen.text(middle, TEXT_PX, Anchor::Middle, &shorten(words.x, letters(right - left, TEXT_PX)));
        self.pen.upwards((15.0, (top + bottom) / 2.0), TEXT_PX, &shorten(words.y, letters(bottom - top, TEXT_PX)));
    }
}

/// Draws a chart at both widths; `paint` draws the area inside the axes.
pub(super) fn chart(words: Words, legend: &[Entry], (x, y): (&Axis, &Axis), paint: impl Fn(&mut Chart)) -> Figure {
    Figure::draw(|width| {
        let (rows, mut pen) = (Legend::of(legend, width), Pen::default());
        title(&mut pen, words.title, width.px);
        rows.draw(&mut pen);
        let left = y.ticks.iter().map(|(_, label)| text_px(label, TEXT_PX)).fold(0.0, f64::max) + 32.0;
        let (top, bottom) = (rows.bottom(), rows.bottom() + width.inside);
        let mut chart = Chart { pen, x, y, sides: [left, width.px - MARGIN, top, bottom] };
        chart.axes(words);
        paint(&mut chart);
        chart.pen.svg((width.px, bottom + BELOW))
    })
}

/// Writes a title: a long one in smaller letters, cut off at the smallest size.
pub(super) fn title(pen: &mut Pen, text: &str, width: f64) {
    let room = width - 2.0 * MARGIN;
    let px = (TITLE_PX * room / text_px(text, TITLE_PX).max(1.0)).clamp(TEXT_PX, TITLE_PX);
    pen.text((MARGIN, 22.0), px, Anchor::Start, &shorten(text, letters(room, px)));
}

/// A legend in columns of equal width.
struct Legend<'a> {
    entries: &'a [Entry],
    columns: usize,
    /// The width of a column.
    width: f64,
}

const SWATCH: f64 = 24.0;
const FIRST_ROW: f64 = 44.0;

impl<'a> Legend<'a> {
    fn of(entries: &'a [Entry], width: Width) -> Self {
        let room = width.px - 2.0 * MARGIN;
        let needs = |entry: &Entry| SWATCH + 14.0 + text_px(&entry.name, TEXT_PX);
        let widest = entries.iter().map(needs).fold(1.0, f64::max).min(room);
        Self { entries, columns: ((room / widest) as usize).clamp(1, entries.len().max(1)), width: widest }
    }

    fn rows(&self) -> usize {
        self.entries.len().div_ceil(self.columns).min(LEGEND_ROWS)
    }

    /// The bottom of the legend, below which the chart begins.
    fn bottom(&self) -> f64 {
        if self.entries.is_empty() { 38.0 } else { FIRST_ROW + self.rows() as f64 * LEGEND_ROW - 2.0 }
    }

    fn draw(&self, pen: &mut Pen) {
        let places = self.columns * self.rows();
        for (i, entry) in self.entries.iter().enumerate().take(places) {
            let (column, row) = ((i % self.columns) as f64, (i / self.columns) as f64);
            let (x, y) = (MARGIN + column * self.width, FIRST_ROW + row * LEGEND_ROW);
            if i + 1 == places && self.entries.len() > places {
                let more = format!("and {} more", self.entries.len() - i);
                return pen.text((x, y + 4.3), TEXT_PX, Anchor::Start, &more);
            }
            if entry.line {
                pen.line(&[(x, y), (x + SWATCH, y)], entry.ink, 2.5);
            }
            if entry.marks {
                pen.mark((x + SWATCH / 2.0, y), entry.ink, 1.0);
            }
            let name = shorten(&entry.name, letters(self.width - SWATCH - 7.0, TEXT_PX));
            pen.text((x + SWATCH + 6.0, y + 4.3), TEXT_PX, Anchor::Start, &name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pen::inks;
    use super::*;

    #[test]
    fn long_legends_wrap_and_push_the_chart_down() {
        let rows = |names: &[&str]| {
            let entry = |(name, ink): (&&str, Ink)| Entry { name: (*name).into(), ink, marks: true, line: true };
            let entries: Vec<Entry> = names.iter().zip(inks(names)).map(entry).collect();
            [Width::WIDE, Width::NARROW].map(|width| Legend::of(&entries, width).rows())
        };
        assert_eq!(rows(&[]), [0; 2]);
        assert_eq!(rows(&["a", "b"]), [1; 2]);
        assert_eq!(rows(&[&"wide ".repeat(8), &"wide ".repeat(8)]), [1, 2]);
        assert_eq!(rows(&[&"x".repeat(1000)]), [1; 2]);
        assert_eq!(rows(&[&*"wide ".repeat(14); 50]), [LEGEND_ROWS; 2], "the rest is counted");
    }
}
