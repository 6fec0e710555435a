//! SVG elements: text, lines, areas, marks.

use super::colour::{Colour, INK, PALETTE, slots};
use crate::text::{escape, width};
use std::fmt::Write;

/// The font size of all text but titles, in pixels.
pub(super) const TEXT_PX: f64 = 12.5;
/// The width of an average letter divided by the font size, for sans-serif fonts.
const LETTER: f64 = 0.54;

/// The approximate width of a text.
pub(super) fn text_px(text: &str, px: f64) -> f64 {
    width(text) as f64 * LETTER * px
}

/// The number of letters of a size that fit into a width.
pub(super) fn letters(room: f64, px: f64) -> usize {
    (room / (LETTER * px)) as usize
}

/// The style of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ink {
    pub colour: Colour,
    /// The dashes of its line: an index into [`DASHES`].
    pub dash: usize,
    /// The form of its marks: an index into [`SHAPES`].
    pub shape: usize,
}

/// The values of `stroke-dasharray`, in pixels.
const DASHES: [&str; 6] = ["", "7 3.5", "2 3", "15 4", "15 3 2 3", "2 7"];

/// Path data of marks around the origin; the last ones are open.
const SHAPES: [&str; 10] = [
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",
    "M-3.6 -3.6h7.2v7.2h-7.2z",
    "M0 -4.8L4.6 3.4H-4.6z",
    "M0 -5.2L4.6 0L0 5.2L-4.6 0z",
    "M0 4.8L4.6 -3.4H-4.6z",
    "M-1.5 -4.8h3v3.3h3.3v3h-3.3v3.3h-3v-3.3h-3.3v-3h3.3z",
    "M-5 -2.5L-2.5 -5L0 -2.5L2.5 -5L5 -2.5L2.5 0L5 2.5L2.5 5L0 2.5L-2.5 5L-5 2.5L-2.5 0z",
    "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0zM-1.8 0a1.8 1.8 0 1 1 3.6 0a1.8 1.8 0 1 1 -3.6 0z",
    "M-4 -4h8v8h-8zM-1.7 -1.7v3.4h3.4v-3.4z",
    "M0 -5.6L5.2 0L0 5.6L-5.2 0zM0 -2.6L-2.4 0L0 2.6L2.4 0z",
];

/// A different style for each name: the first ten differ in colour and shape, more in dashes. Lines of the palette's
/// last colours are dashed, so that fewer are distinguished by colour alone.
pub(super) fn inks<S: AsRef<str>>(names: &[S]) -> Vec<Ink> {
    let ink = |slot: usize| {
        let (place, round) = (slot % PALETTE.len(), slot / PALETTE.len());
        let dash = (usize::from(place > 5) + round) % DASHES.len();
        Ink { colour: PALETTE[place].light, dash, shape: (place + round) % SHAPES.len() }
    };
    slots(names).into_iter().map(ink).collect()
}

/// The anchor of a text: the part of it that is at the given point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A writer of SVG elements; coordinates are in pixels.
#[derive(Debug, Default)]
pub(super) struct Pen {
    body: String,
}

// Writing to a string cannot fail.
impl Pen {
    /// Writes a line of text with its baseline at the point.
    pub fn text(&mut self, (x, y): (f64, f64), px: f64, anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (ink, text) = (INK.light.css(), escape(text));
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{px:.1}\" font-family=\"sans-serif\" fill=\"{ink}\"{anchor}>{text}</text>"
        );
    }

    /// Writes text upwards with its middle at the point.
    pub fn upwards(&mut self, (x, y): (f64, f64), px: f64, text: &str) {
        let _ = write!(self.body, "<g transform=\"translate({x:.1} {y:.1}) rotate(-90)\">");
        self.text((0.0, 0.0), px, Anchor::Middle, text);
        self.raw("</g>\n");
    }

    /// Draws a thin straight line in the colour of text.
    pub fn rule(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), opacity: f64, dash: &str) {
        let (ink, dash) = (INK.light.css(), dashed(dash));
        let _ = writeln!(
            self.body,
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{ink}\" stroke-opacity=\"{opacity}\"{dash}/>"
        );
    }

    /// Draws a line through points.
    pub fn line(&mut self, points: &[(f64, f64)], ink: Ink, px: f64) {
        let (colour, dash) = (ink.colour.css(), dashed(DASHES[ink.dash % DASHES.len()]));
        let _ = writeln!(
            self.body,
            "<path d=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{px}\" stroke-linejoin=\"round\"{dash}/>",
            path(points)
        );
    }

    /// Fills the polygon of points.
    pub fn area(&mut self, points: &[(f64, f64)], colour: Colour, opacity: f64) {
        let (path, colour) = (path(points), colour.css());
        let _ = writeln!(self.body, "<path d=\"{path}z\" fill=\"{colour}\" fill-opacity=\"{opacity}\"/>");
    }

    /// Draws a mark in the form of its series.
    pub fn mark(&mut self, (x, y): (f64, f64), ink: Ink, scale: f64) {
        let (shape, colour) = (SHAPES[ink.shape % SHAPES.len()], ink.colour.css());
        let _ = writeln!(
            self.body,
            "<path transform=\"translate({x:.1} {y:.1}) scale({scale})\" d=\"{shape}\" fill=\"{colour}\"/>"
        );
    }

    /// Adds elements that are SVG text already.
    pub fn raw(&mut self, elements: &str) {
        self.body.push_str(elements);
    }

    /// The SVG document, of this size.
    pub fn svg(self, (width, height): (f64, f64)) -> String {
        let (width, height) = (width.ceil(), height.ceil());
        format!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n{}</svg>\n",
            self.body
        )
    }
}

fn dashed(dash: &str) -> String {
    if dash.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dash}\"") }
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn series_beyond_the_palette_differ_in_dashes() {
        let names: Vec<String> = (0..60).map(|i| format!("ARD {i}")).collect();
        let inks = inks(&names);
        let looks: HashSet<_> = inks.iter().map(|ink| (ink.colour, ink.dash)).collect();
        assert_eq!(looks.len(), 60);
        let first: HashSet<_> = inks[..10].iter().map(|ink| ink.shape).collect();
        assert_eq!(first.len(), 10, "ten shapes for ten colours");
    }

    #[test]
    fn text_is_escaped() {
        let mut pen = Pen::default();
        pen.text((0.0, 1.0), 12.0, Anchor::End, "<b>&");
        assert!(pen.svg((10.0, 10.5)).contains("text-anchor=\"end\">&lt;b&gt;&amp;</text>"));
    }
}
