//! What every chart shares: title, legend, axes, and the pen.

use super::PlotError;
use super::axes::Axis;
use super::colour::{Colour, GREY, colour};
use crate::text::{shorten, width};
use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// The size of a chart in CSS pixels.
pub(super) const SIZE: (i32, i32) = (720, 420);
/// The drawing library rounds to whole units; four to a pixel keep curves smooth.
pub(super) const UNITS: i32 = 4;
/// Width of an average letter over the font size, for sans-serif fonts.
const LETTER: f64 = 0.53;
const TITLE_PX: f64 = 16.0;
pub(super) const TEXT_PX: f64 = 12.5;
const LEGEND_ROW: i32 = 20;
/// More would leave no room for the chart.
const LEGEND_ROWS: i32 = 8;
const SWATCH: i32 = 26;

pub(super) type Fail = DrawingAreaErrorKind<std::io::Error>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// A chart whose coordinates are those of the two axes.
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// The words around a chart.
#[derive(Clone, Copy)]
pub(super) struct Words<'a> {
    pub title: &'a str,
    pub x: &'a str,
    pub y: &'a str,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    pub colour: Colour,
    /// Solid, dashed, dotted, ..: which of the series of this colour it is.
    pub dash: usize,
}

/// Each name its colour; up to as many names as there are [`DASHES`] that share a colour differ in them.
pub(super) fn inks<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Ink> {
    let mut inks: Vec<Ink> = Vec::new();
    for name in names {
        let colour = colour(name);
        let dash = inks.iter().filter(|ink| ink.colour == colour).count() % DASHES.len();
        inks.push(Ink { colour, dash });
    }
    inks
}

pub(super) fn rgb(Colour(r, g, b): Colour) -> RGBColor {
    RGBColor(r, g, b)
}

pub(super) fn units(px: f64) -> i32 {
    (px * f64::from(UNITS)).round() as i32
}

/// A font of `px` CSS pixels, in the grey of text. The backend divides sizes by 1.24.
pub(super) fn font(px: f64) -> TextStyle<'static> {
    ("sans-serif", px * 1.24 * f64::from(UNITS)).into_font().color(&rgb(GREY))
}

fn text_px(text: &str, px: f64) -> f64 {
    width(text) as f64 * LETTER * px
}

/// A chart as SVG text: `paint` draws inside the axes.
pub(super) fn chart(
    words: Words,
    legend: &[(String, Ink)],
    (x, y): (&Axis, &Axis),
    paint: impl FnOnce(&mut Chart) -> Result<(), Fail>,
) -> Result<String, PlotError> {
    let mut svg = String::new();
    let size = ((SIZE.0 * UNITS) as u32, (SIZE.1 * UNITS) as u32);
    draw(SVGBackend::with_string(&mut svg, size).into_drawing_area(), words, legend, (x, y), paint)
        .map_err(|fail| PlotError::Draw { title: words.title.into(), reason: fail.to_string() })?;
    let fine = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    Ok(svg.replacen(&fine, &format!("width=\"{}\" height=\"{}\"", SIZE.0, SIZE.1), 1))
}

fn draw(
    root: Area,
    words: Words,
    legend: &[(String, Ink)],
    (x, y): (&Axis, &Axis),
    paint: impl FnOnce(&mut Chart) -> Result<(), Fail>,
) -> Result<(), Fail> {
    title(&root, words.title)?;
    let below_legend = draw_legend(&root, legend)?;
    let labels = y.ticks.iter().map(|(_, label)| text_px(label, TEXT_PX)).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .margin_top(units(f64::from(below_legend)))
        .margin_right(units(18.0))
        .margin_bottom(units(6.0))
        .x_label_area_size(units(46.0))
        .y_label_area_size(units(labels + 40.0))
        .build_cartesian_2d(x.clone(), y.clone())?;
    let grey = rgb(GREY);
    chart
        .configure_mesh()
        .x_labels(x.ticks.len().max(1))
        .y_labels(y.ticks.len().max(1))
        .light_line_style(TRANSPARENT)
        .bold_line_style(grey.mix(0.22).stroke_width(UNITS as u32))
        .axis_style(grey.stroke_width(UNITS as u32))
        .set_all_tick_mark_size(units(4.0))
        .label_style(font(TEXT_PX))
        .axis_desc_style(font(TEXT_PX + 0.5))
        .x_desc(shorten(words.x, 90))
        .y_desc(shorten(words.y, 50))
        .draw()?;
    paint(&mut chart)?;
    root.present()
}

/// Centred; smaller where long, and cut off at the smallest size.
fn title(root: &Area, text: &str) -> Result<(), Fail> {
    let room = f64::from(SIZE.0) - 20.0;
    let px = (TITLE_PX * room / text_px(text, TITLE_PX).max(1.0)).clamp(12.0, TITLE_PX);
    let text = shorten(text, (room / (LETTER * px)) as usize);
    let style = font(px).pos(Pos::new(HPos::Center, VPos::Top));
    root.draw(&Text::new(text, (SIZE.0 * UNITS / 2, units(8.0)), style))
}

/// Swatches and names from left to right, in as many rows as they need; returns where the chart may begin, in pixels.
fn draw_legend(root: &Area, legend: &[(String, Ink)]) -> Result<i32, Fail> {
    let (left, right, mut x, mut y) = (24, SIZE.0 - 20, 24, 42);
    for (i, (name, ink)) in legend.iter().enumerate() {
        let name = shorten(name, ((right - left - SWATCH - 8) as f64 / (LETTER * TEXT_PX)) as usize);
        let needs = SWATCH + 8 + text_px(&name, TEXT_PX).ceil() as i32;
        if x > left && x + needs > right {
            (x, y) = (left, y + LEGEND_ROW);
        }
        if y == 42 + LEGEND_ROWS * LEGEND_ROW {
            let more = format!("and {} more", legend.len() - i);
            let place = (left * UNITS, y * UNITS);
            root.draw(&Text::new(more, place, font(TEXT_PX).pos(Pos::new(HPos::Left, VPos::Center))))?;
            break;
        }
        let at = |x: i32, y: i32| (x * UNITS, y * UNITS);
        let swatch = [at(x, y), at(x + SWATCH, y)];
        let style = rgb(ink.colour).stroke_width(units(3.0) as u32);
        match dashes(ink.dash) {
            None => root.draw(&PathElement::new(swatch, style))?,
            Some((size, gap)) => root.draw(&DashedPathElement::new(swatch, size, gap, style))?,
        }
        let middle = Pos::new(HPos::Left, VPos::Center);
        root.draw(&Text::new(name, at(x + SWATCH + 6, y), font(TEXT_PX).pos(middle)))?;
        x += needs + 14;
    }
    Ok(if legend.is_empty() { 38 } else { y + LEGEND_ROW })
}

/// Length of a stroke and of the gap after it, in pixels; none for a solid line.
const DASHES: [Option<(f64, f64)>; 6] =
    [None, Some((8.0, 5.0)), Some((2.5, 3.5)), Some((16.0, 5.0)), Some((2.5, 9.0)), Some((8.0, 12.0))];

fn dashes(dash: usize) -> Option<(i32, i32)> {
    DASHES[dash % DASHES.len()].map(|(stroke, gap)| (units(stroke), units(gap)))
}

/// A line through the points.
pub(super) fn line(chart: &mut Chart, points: &[(f64, f64)], ink: Ink) -> Result<(), Fail> {
    let style = rgb(ink.colour).stroke_width(units(2.0) as u32);
    match dashes(ink.dash) {
        None => chart.draw_series(std::iter::once(PathElement::new(points.to_vec(), style)))?,
        Some((size, gap)) => {
            let dashed = DashedPathElement::new(points.iter().copied(), size, gap, style);
            chart.draw_series(std::iter::once(dashed))?
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn series_of_one_colour_differ_in_dashes() {
        let inks = inks(["ARD", "SparseVD", "ARD per layer", "ard (test)", "ARD 3", "ARD 4", "ARD 5"].into_iter());
        assert_eq!(inks.iter().map(|ink| dashes(ink.dash)).collect::<HashSet<_>>().len(), 6);
        assert_eq!(inks.iter().map(|ink| ink.dash).collect::<Vec<_>>(), [0, 0, 1, 2, 3, 4, 5]);
        assert_eq!(inks[0].colour, inks[2].colour);
    }

    #[test]
    fn long_legends_wrap_and_push_the_chart_down() {
        let entry = |name: &str| (name.to_string(), inks([name].into_iter())[0]);
        let height = |names: &[&str]| {
            let mut svg = String::new();
            let size = ((SIZE.0 * UNITS) as u32, (SIZE.1 * UNITS) as u32);
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            draw_legend(&root, &names.iter().map(|name| entry(name)).collect::<Vec<_>>()).unwrap()
        };
        assert_eq!(height(&[]), 38);
        assert_eq!(height(&["a", "b"]), 62);
        assert_eq!(height(&[&"wide ".repeat(14), &"wide ".repeat(14)]), 82);
        assert_eq!(height(&[&"x".repeat(1000)]), 62);
        assert_eq!(height(&[&*"wide ".repeat(14); 50]), 42 + 9 * LEGEND_ROW, "eight rows, and how many more");
    }
}
