//! Which weights are left.

use super::colour::{BLUE, GREY};
use super::shades::{Grid, SHADES, level, shades};
use super::{PlotError, runs};
use crate::text::{escape, grouped, shorten};
use std::fmt::Write;

/// Width of the figure in pixels, and the room that a layer may take.
const WIDTH: f64 = 720.0;
const ROOM: (f64, f64) = (696.0, 260.0);
const IMAGE_ROOM: f64 = 196.0;
/// The largest cell of a layer and of an image, in pixels.
const CELL: f64 = 8.0;
const IMAGE_CELL: f64 = 20.0;
/// Which weights of a layer are kept: `rows x cols` flags, row by row. For a dense layer rows are outputs, columns inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    /// The layer.
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// One flag for each weight.
    pub kept: Vec<bool>,
    /// Channels, height and width of the images that the columns are the pixels of; draws the weights kept per pixel.
    pub image: Option<[usize; 3]>,
}

impl Mask {
    /// The mask of a layer.
    pub fn new(name: impl Into<String>, rows: usize, cols: usize, kept: Vec<bool>) -> Self {
        Self { name: name.into(), rows, cols, kept, image: None }
    }

    /// The columns are pixels: draw also how many weights each pixel keeps, summed over channels.
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

/// The weights kept, layer below layer, as SVG text of at most some 300 KB for each layer, or 6 bytes for each pixel
/// of a layer that is shown as an image.
///
/// A cell is a weight; a layer too large and too busy for that is drawn in blocks of `k x k` weights, shaded by the fraction
/// kept, and its caption says so.
///
/// # Errors
/// [`PlotError::Nothing`] without layers, [`PlotError::Mask`] or [`PlotError::Image`] when sizes disagree.
pub fn masks(layers: &[Mask], title: &str) -> Result<String, PlotError> {
    layers.iter().try_for_each(Mask::check)?;
    if layers.is_empty() {
        let hint = "give one mask for each layer";
        return Err(PlotError::Nothing { title: title.into(), series: 0, given: 0, hint });
    }
    let (mut body, mut y) = (String::new(), 24.0);
    text(&mut body, (WIDTH / 2.0, y), 16.0, "middle", &shorten(title, 78));
    for layer in layers {
        layer_panel(&mut body, &mut y, layer);
        if let Some([channels, height, width]) = layer.image {
            image_panel(&mut body, &mut y, layer, [channels, height, width]);
        }
    }
    let height = (y + 14.0).ceil();
    Ok(format!(
        "<svg width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\" fill=\"{}\">\n{body}</svg>\n",
        GREY.css()
    ))
}

fn layer_panel(body: &mut String, y: &mut f64, layer: &Mask) {
    let Mask { rows, cols, .. } = *layer;
    let kept = layer.kept.iter().filter(|kept| **kept).count();
    let percent = 100.0 * kept as f64 / layer.kept.len() as f64;
    let (block, shades) = shades(layer.rows, layer.cols, &layer.kept);
    let mut caption = format!(
        "{}: {rows} × {cols}, {} of {} kept ({percent:.2} %)",
        shorten(&layer.name, 40),
        grouped(kept),
        grouped(layer.kept.len())
    );
    if block > 1 {
        let _ = write!(caption, "; shades: fraction kept of {block} × {block} weights");
    }
    let size = (ROOM.0.min(CELL * cols as f64), ROOM.1.min(CELL * rows as f64));
    grid(body, y, &caption, size, &shades);
}

fn image_panel(body: &mut String, y: &mut f64, layer: &Mask, [channels, height, width]: [usize; 3]) {
    let mut counts = vec![0_usize; height * width];
    for row in layer.kept.chunks_exact(layer.cols) {
        for channel in row.chunks_exact(height * width) {
            counts.iter_mut().zip(channel).for_each(|(count, kept)| *count += usize::from(*kept));
        }
    }
    let most = counts.iter().copied().max().unwrap_or(0);
    let fraction = |count: &usize| *count as f64 / most.max(1) as f64;
    let shades = Grid { rows: height, cols: width, level: counts.iter().map(|count| level(fraction(count))).collect() };
    let dead = counts.iter().filter(|count| **count == 0).count();
    let of = layer.rows * channels;
    let caption = format!(
        "{}: weights kept per input pixel, 0 (blank) to {most} of {of} (full); {dead} of {} pixels unused",
        shorten(&layer.name, 30),
        height * width
    );
    let cell = IMAGE_CELL.min(IMAGE_ROOM / height as f64).min(ROOM.0 / width as f64);
    grid(body, y, &caption, (cell * width as f64, cell * height as f64), &shades);
}

/// A caption, a frame, and the cells in it; moves `y` below.
fn grid(body: &mut String, y: &mut f64, caption: &str, (width, height): (f64, f64), grid: &Grid) {
    *y += 26.0;
    text(body, (12.0, *y), 12.5, "start", caption);
    *y += 8.0;
    let scale = (width / grid.cols as f64, height / grid.rows as f64);
    // Writing to a string cannot fail.
    let _ = write!(
        body,
        "<g transform=\"translate(12 {y}) scale({:.6} {:.6})\" stroke=\"{}\">",
        scale.0,
        scale.1,
        BLUE.css()
    );
    for level in 1..=SHADES {
        let path = runs::path(grid.rows, grid.cols, grid.is(level));
        if !path.is_empty() {
            let opacity = level as f64 / SHADES as f64;
            let _ = write!(body, "<path stroke-opacity=\"{opacity}\" d=\"{path}\"/>");
        }
    }
    let grey = GREY.css();
    let _ = writeln!(
        body,
        "</g>\n<rect x=\"12\" y=\"{y}\" width=\"{width:.2}\" height=\"{height:.2}\" fill=\"none\" stroke=\"{grey}\"/>"
    );
    *y += height;
}

fn text(body: &mut String, (x, y): (f64, f64), px: f64, anchor: &str, text: &str) {
    let _ =
        writeln!(body, "<text x=\"{x}\" y=\"{y}\" font-size=\"{px}\" text-anchor=\"{anchor}\">{}</text>", escape(text));
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    fn random(rows: usize, cols: usize, density: f64) -> Mask {
        let mut rng = StdRng::seed_from_u64(1);
        Mask::new("fc", rows, cols, (0..rows * cols).map(|_| rng.gen_bool(density)).collect())
    }

    #[test]
    fn the_caption_counts() {
        let svg = masks(&[Mask::new("fc <1>", 2, 3, vec![true, false, false, false, true, false])], "Weights").unwrap();
        assert!(svg.contains("fc &lt;1&gt;: 2 × 3, 2 of 6 kept (33.33 %)"), "{svg}");
        assert!(svg.contains("d=\"M0 0.5h1M1 1.5h1\""), "{svg}");
    }

    #[test]
    fn every_layer_stays_small() {
        let chequered = |rows: usize, cols| Mask::new("fc", rows, cols, (0..rows * cols).map(|i| i % 2 == 0).collect());
        for mask in [random(300, 100, 0.5), chequered(300, 100), random(300, 784, 0.02), random(300, 784, 0.5)] {
            let exact = mask.cols == 100;
            let svg = masks(&[mask], "t").unwrap();
            assert!(svg.len() < 300_000, "{}", svg.len());
            assert!(!exact || !svg.contains("shades"));
        }
        assert!(masks(&[random(300, 784, 0.5)], "t").unwrap().contains("shades: fraction kept of"));
        assert!(!masks(&[random(300, 784, 0.02)], "t").unwrap().contains("shades"));
    }

    #[test]
    fn pixels_sum_over_outputs_and_channels() {
        // Two outputs, two channels of 1x2 pixels: pixel 0 keeps 1 + 1 + 1, pixel 1 keeps none.
        let kept = vec![true, false, true, false, true, false, false, false];
        let svg = masks(&[Mask::new("conv", 2, 4, kept).of_images([2, 1, 2])], "t").unwrap();
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
