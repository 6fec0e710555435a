//! The weights that are kept, as images.

use super::colour::{INK, PALETTE};
use super::figure::{Figure, Width};
use super::frame::{self, MARGIN};
use super::pen::{Anchor, Pen, TEXT_PX, letters};
use super::shades::{Grid, SHADES, level, shades};
use super::{PlotError, runs};
use crate::text::{grouped, shorten, wrapped};
use std::fmt::Write;

/// The largest height of a layer and of an image, in pixels.
const LAYER_ROOM: f64 = 260.0;
const IMAGE_ROOM: f64 = 196.0;
/// The largest cell of a layer and of an image, in pixels.
const CELL: f64 = 8.0;
const IMAGE_CELL: f64 = 20.0;

/// The mask of a layer's kept weights: `rows × cols` flags, row by row. For a dense layer rows are outputs, columns
/// inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The layer.
    pub name: String,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub cols: usize,
    /// One flag for each weight: true if it is kept.
    pub kept: Vec<bool>,
    /// Channels, height and width of images, if the columns are their pixels; adds an image of the weights kept per
    /// pixel.
    pub image: Option<[usize; 3]>,
}

impl Mask {
    /// The mask of a layer.
    pub fn new(name: impl Into<String>, rows: usize, cols: usize, kept: Vec<bool>) -> Self {
        Self { name: name.into(), rows, cols, kept, image: None }
    }

    /// Declares that the columns are pixels: the figure also shows the number of weights kept per pixel, summed over
    /// channels.
    pub fn of_images(mut self, dims: [usize; 3]) -> Self {
        self.image = Some(dims);
        self
    }

    fn check(&self) -> Result<(), PlotError> {
        let size = self.rows.checked_mul(self.cols);
        if self.kept.is_empty() || size != Some(self.kept.len()) {
            let (rows, cols, kept) = (self.rows, self.cols, self.kept.len());
            return Err(PlotError::Mask { name: self.name.clone(), rows, cols, kept });
        }
        let pixels = |dims: [usize; 3]| dims.into_iter().try_fold(1_usize, usize::checked_mul);
        match self.image {
            Some(dims) if pixels(dims) != Some(self.cols) => {
                Err(PlotError::Image { name: self.name.clone(), cols: self.cols, dims })
            }
            _ => Ok(()),
        }
    }
}

/// The weights kept, layer below layer, as SVG text of at most about 300 KB for each layer, or 6 bytes for each pixel
/// of a layer that is shown as an image.
///
/// A cell is a weight. A layer with too many runs of kept weights for that is drawn in blocks of `k × k` weights,
/// shaded by the fraction kept, and its caption says so.
///
/// # Errors
/// [`PlotError::Nothing`] without layers, [`PlotError::Mask`] or [`PlotError::Image`] if sizes disagree.
pub fn masks(layers: &[Mask], title: &str) -> Result<Figure, PlotError> {
    layers.iter().try_for_each(Mask::check)?;
    if layers.is_empty() {
        let hint = "give one mask for each layer";
        return Err(PlotError::Nothing { title: title.into(), series: 0, given: 0, hint });
    }
    let panels: Vec<Panel> =
        layers.iter().flat_map(|layer| [Some(layer_panel(layer)), image_panel(layer)]).flatten().collect();
    Ok(Figure::draw(|width| {
        let (mut pen, mut y) = (Pen::default(), 24.0);
        frame::title(&mut pen, title, width.px);
        panels.iter().for_each(|panel| panel.draw(&mut pen, &mut y, width));
        pen.svg((width.px, y + MARGIN))
    }))
}

/// Cells below a caption.
struct Panel {
    caption: String,
    /// The rows and columns of the weights that the cells stand for, which decide the size.
    size: (usize, usize),
    /// The largest side of a cell, and the largest height of the panel, in pixels.
    room: (f64, f64),
    /// True if cells are squares.
    square: bool,
    cells: Grid,
}

fn layer_panel(layer: &Mask) -> Panel {
    let Mask { rows, cols, .. } = *layer;
    let kept = layer.kept.iter().filter(|kept| **kept).count();
    let percent = 100.0 * kept as f64 / layer.kept.len() as f64;
    let (block, cells) = shades(layer.rows, layer.cols, &layer.kept);
    let mut caption = format!(
        "{}: {rows} × {cols}, {} of {} kept ({percent:.2} %)",
        shorten(&layer.name, 40),
        grouped(kept),
        grouped(layer.kept.len())
    );
    if block > 1 {
        let _ = write!(caption, "; shades: fraction kept of {block} × {block} weights");
    }
    Panel { caption, size: (rows, cols), room: (CELL, LAYER_ROOM), square: false, cells }
}

fn image_panel(layer: &Mask) -> Option<Panel> {
    let [channels, height, width] = layer.image?;
    let mut counts = vec![0_usize; height * width];
    for row in layer.kept.chunks_exact(layer.cols) {
        for channel in row.chunks_exact(height * width) {
            counts.iter_mut().zip(channel).for_each(|(count, kept)| *count += usize::from(*kept));
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let fraction = |count: &usize| *count as f64 / most.max(1) as f64;
    let cells = Grid { rows: height, cols: width, level: counts.iter().map(|count| level(fraction(count))).collect() };
    let unused = counts.iter().filter(|count| **count == 0).count();
    let caption = format!(
        "{}: weights kept per input pixel, 0 (blank) to {most} of {} (full); {unused} of {} pixels unused",
        shorten(&layer.name, 30),
        layer.rows * channels,
        height * width
    );
    Some(Panel { caption, size: (height, width), room: (IMAGE_CELL, IMAGE_ROOM), square: true, cells })
}

impl Panel {
    /// Draws caption, frame and cells, and moves `y` below them.
    fn draw(&self, pen: &mut Pen, y: &mut f64, width: Width) {
        let (room, (rows, cols)) = (width.px - 2.0 * MARGIN, (self.size.0 as f64, self.size.1 as f64));
        let (mut across, mut down) = (self.room.0.min(room / cols), self.room.0.min(self.room.1 / rows));
        if self.square {
            (across, down) = (across.min(down), across.min(down));
        }
        *y += 8.0;
        for line in wrapped(&self.caption, letters(room, TEXT_PX)) {
            *y += 18.0;
            pen.text((MARGIN, *y), TEXT_PX, Anchor::Start, &line);
        }
        *y += 8.0;
        let (wide, high) = (across * cols, down * rows);
        let (x, blue, ink) = (MARGIN, PALETTE[0].light.css(), INK.light.css());
        let scale = (wide / self.cells.cols as f64, high / self.cells.rows as f64);
        pen.raw(&format!(
            "<g transform=\"translate({x} {y}) scale({:.6} {:.6})\" stroke=\"{blue}\">",
            scale.0, scale.1
        ));
        for level in 1..=SHADES {
            let path = runs::path(self.cells.rows, self.cells.cols, self.cells.is(level));
            if !path.is_empty() {
                let opacity = level as f64 / SHADES as f64;
                pen.raw(&format!("<path stroke-opacity=\"{opacity}\" d=\"{path}\"/>"));
            }
        }
        pen.raw(&format!(
            "</g>\n<rect x=\"{x}\" y=\"{y}\" width=\"{wide:.2}\" height=\"{high:.2}\" fill=\"none\" stroke=\"{ink}\"/>\n"
        ));
        *y += high;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn wide(layers: &[Mask]) -> String {
        masks(layers, "Weights").unwrap().wide().to_string()
    }

    fn random(rows: usize, cols: usize, density: f64) -> Mask {
        let mut rng = StdRng::seed_from_u64(1);
        Mask::new("fc", rows, cols, (0..rows * cols).map(|_| rng.gen_bool(density)).collect())
    }

    #[test]
    fn the_caption_counts() {
        let fc = Mask::new("fc <1>", 2, 3, vec![true, false, false, false, true, false]);
        let svg = wide(&[fc]);
        assert!(svg.contains("fc &lt;1&gt;: 2 × 3, 2 of 6 kept (33.33 %)"), "{svg}");
        assert!(svg.contains("d=\"M0 0.5h1M1 1.5h1\""), "{svg}");
    }

    #[test]
    fn every_layer_stays_small() {
        let chequered = |rows: usize, cols| Mask::new("fc", rows, cols, (0..rows * cols).map(|i| i % 2 == 0).collect());
        for mask in [random(300, 100, 0.5), chequered(300, 100), random(300, 784, 0.02), random(300, 784, 0.5)] {
            let exact = mask.cols == 100;
            let svg = wide(&[mask]);
            assert!(svg.len() < 300_000, "{}", svg.len());
            assert!(!exact || !svg.contains("shades"));
        }
        assert!(wide(&[random(300, 784, 0.5)]).contains("shades: fraction kept of"));
        assert!(!wide(&[random(300, 784, 0.02)]).contains("shades"));
    }

    #[test]
    fn pixels_sum_over_outputs_and_channels() {
        // Two outputs, two channels of 1x2 pixels: pixel 0 keeps 1 + 1 + 1, pixel 1 keeps none.
        let kept = vec![true, false, true, false, true, false, false, false];
        let svg = wide(&[Mask::new("conv", 2, 4, kept).of_images([2, 1, 2])]);
        assert!(svg.contains("0 (blank) to 3 of 4 (full); 1 of 2 pixels unused"), "{svg}");
    }

    #[test]
    fn sizes_that_disagree_are_refused() {
        let mask = |rows, cols, n| masks(&[Mask::new("fc", rows, cols, vec![true; n])], "t");
        for (rows, cols, n) in [(2, 3, 5), (0, 3, 0), (0, 0, 0), (usize::MAX, 2, 4)] {
            assert!(matches!(mask(rows, cols, n), Err(PlotError::Mask { .. })), "{rows} {cols} {n}");
        }
        let image = masks(&[Mask::new("fc", 1, 4, vec![true; 4]).of_images([1, 3, 1])], "t");
        assert!(matches!(image, Err(PlotError::Image { cols: 4, .. })));
        assert!(matches!(masks(&[], "t"), Err(PlotError::Nothing { .. })));
    }
}
