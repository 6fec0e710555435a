//! Random shifts, distortions and mirror images.

use super::{Dataset, Layout};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// The usual augmentation of small images: it pads on all sides and cuts out a window of the original size; stretches,
/// shears and rotates; and mirrors left to right with probability one half. The default changes nothing.
///
/// [`Trainer::augment`](crate::Trainer::augment) applies it during training. Padding is 0: black if pixels are in `[0,
/// 1]`, the mean if the data are centred or standardised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Shifts by up to this many pixels in each direction; 4 is usual for CIFAR-10.
    pub crop_pad: usize,
    /// Stretches, shears and rotates around the centre: multiplies coordinates by `[[1 + a, b], [c, 1 + d]]`, with a,
    /// b, c and d uniform on ±`warp`. With 0.1, each of the four moves a pixel that is 10 pixels from the centre by up
    /// to one pixel. Values between pixels are interpolated linearly.
    pub warp: f64,
    /// Mirrors with probability one half.
    pub flip: bool,
}

impl Augment {
    /// True if it changes nothing.
    pub(crate) fn is_off(&self) -> bool {
        *self == Augment::default()
    }

    /// Writes one image of `dims` (channels, height, width) into `out`, shifted, warped and mirrored at random.
    ///
    /// # Panics
    /// When `image` or `out` is not of that size, or `warp` is negative or not finite.
    pub fn apply(&self, image: &[f32], dims: [usize; 3], rng: &mut impl Rng, out: &mut [f32]) {
        let pixels = dims.iter().product::<usize>();
        assert!(image.len() == pixels && out.len() == pixels, "an image and a buffer of {dims:?}");
        let window = 0..=2 * self.crop_pad;
        let (down, right) = (rng.gen_range(window.clone()), rng.gen_range(window));
        let by = [down, right].map(|by| by as isize - self.crop_pad as isize);
        let mirrored = self.flip && rng.r#gen();
        if self.warp == 0.0 {
            return shift(image, dims, by, mirrored, out);
        }
        let identity = [[1.0, 0.0], [0.0, 1.0]];
        let matrix = identity.map(|row| row.map(|entry: f64| (entry + rng.gen_range(-self.warp..=self.warp)) as f32));
        warp(image, dims, matrix, by, mirrored, out);
    }

    /// Writes some examples into `out`, one after another, each augmented independently.
    ///
    /// # Panics
    /// When an index is not below `data.len()`, as a slice does.
    pub fn batch<L: Layout>(&self, data: &Dataset<L>, which: &[usize], rng: &mut impl Rng, out: &mut Vec<f32>) {
        out.clear();
        out.resize(which.len() * data.pixels(), 0.0);
        for (i, out) in which.iter().zip(out.chunks_exact_mut(data.pixels())) {
            self.apply(data.input(*i), data.dims(), rng, out);
        }
    }
}

/// `out[y][x] = image[y + down][x + right]`, 0 outside; then mirrored, `out[y][x] <-> out[y][width - 1 - x]`.
fn shift(image: &[f32], [_, height, width]: [usize; 3], [down, right]: [isize; 2], mirrored: bool, out: &mut [f32]) {
    let from = |at: usize, by: isize, side: usize| at.checked_add_signed(by).filter(|at| *at < side);
    for (plane, out) in image.chunks_exact(height * width).zip(out.chunks_exact_mut(height * width)) {
        for (y, out) in out.chunks_exact_mut(width).enumerate() {
            let row = from(y, down, height).map(|y| &plane[y * width..][..width]);
            for (x, out) in out.iter_mut().enumerate() {
                *out = row.zip(from(x, right, width)).map_or(0.0, |(row, x)| row[x]);
            }
            if mirrored {
                out.reverse();
            }
        }
    }
}

/// `out[p] = image[c + matrix (p - c) + by]` with the centre c, linear between pixels, 0 outside; then mirrored.
fn warp(
    image: &[f32],
    [_, height, width]: [usize; 3],
    matrix: [[f32; 2]; 2],
    by: [isize; 2],
    mirrored: bool,
    out: &mut [f32],
) {
    let centre = [height, width].map(|side| (side as f32 - 1.0) / 2.0);
    let planes = || image.chunks_exact(height * width);
    for y in 0..height {
        for x in 0..width {
            let (down, right) = (y as f32 - centre[0], x as f32 - centre[1]);
            let at = [0, 1].map(|i| centre[i] + matrix[i][0] * down + matrix[i][1] * right + by[i] as f32);
            let to = y * width + if mirrored { width - 1 - x } else { x };
            for (plane, out) in planes().zip(out.chunks_exact_mut(height * width)) {
                out[to] = between(plane, [height, width], at);
            }
        }
    }
}

/// The value at a point between four pixels, linear in both directions; pixels outside are 0.
fn between(plane: &[f32], [height, width]: [usize; 2], [y, x]: [f32; 2]) -> f32 {
    let (top, left) = (y.floor(), x.floor());
    let pixel = |y: f32, x: f32| {
        let inside = y >= 0.0 && x >= 0.0 && y < height as f32 && x < width as f32;
        if inside { plane[y as usize * width + x as usize] } else { 0.0 }
    };
    let (down, right) = (y - top, x - left);
    let row = |y: f32| (1.0 - right) * pixel(y, left) + right * pixel(y, left + 1.0);
    (1.0 - down) * row(top) + down * row(top + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use std::collections::BTreeMap;

    const DIMS: [usize; 3] = [2, 2, 3];
    const IMAGE: [f32; 12] = [1., 2., 3., 4., 5., 6., 7., 8., 9., 10., 11., 12.];

    fn shifted(by: [isize; 2], mirrored: bool) -> Vec<f32> {
        let mut out = vec![f32::NAN; 12];
        shift(&IMAGE, DIMS, by, mirrored, &mut out);
        out
    }

    #[test]
    fn shifts_move_every_channel_and_fill_with_zero() {
        assert_eq!(shifted([0, 0], false), IMAGE);
        assert_eq!(shifted([0, 0], true), [3., 2., 1., 6., 5., 4., 9., 8., 7., 12., 11., 10.]);
        assert_eq!(shifted([1, 0], false), [4., 5., 6., 0., 0., 0., 10., 11., 12., 0., 0., 0.]);
        assert_eq!(shifted([0, -1], false), [0., 1., 2., 0., 4., 5., 0., 7., 8., 0., 10., 11.]);
        assert_eq!(shifted([0, -1], true), [2., 1., 0., 5., 4., 0., 8., 7., 0., 11., 10., 0.]);
        assert_eq!(shifted([2, 0], false), [0.; 12]);
        assert_eq!(shifted([-1, 1], false), [0., 0., 0., 2., 3., 0., 0., 0., 0., 8., 9., 0.]);
    }

    /// With `crop_pad` 1 and `flip` there are 9 × 2 equally likely outcomes, all different for this image. Over 18,000
    /// draws each count is binomial(18000, 1/18), with standard deviation sqrt(18000 × 17 / 18²) = 30.7; 5 of them are
    /// 154, which any of the 18 counts exceeds with probability below 18 × 6e-7 for a fair sampler. The seed is fixed.
    #[test]
    fn every_window_and_mirror_is_equally_likely() {
        let augment = Augment { crop_pad: 1, flip: true, ..Augment::default() };
        let (mut rng, mut out) = (StdRng::seed_from_u64(1), [0.0; 12]);
        let mut counts = BTreeMap::new();
        for _ in 0..18_000 {
            augment.apply(&IMAGE, DIMS, &mut rng, &mut out);
            *counts.entry(out.map(|x| x as u32)).or_insert(0_i32) += 1;
        }
        let expected: Vec<_> = (-1..=1)
            .flat_map(|down| (-1..=1).flat_map(move |right| [false, true].map(|mirrored| ([down, right], mirrored))))
            .map(|(by, mirrored)| shifted(by, mirrored).iter().map(|x| *x as u32).collect::<Vec<_>>())
            .collect();
        assert!(counts.keys().all(|key| expected.contains(&key.to_vec())));
        assert!(counts.len() == 18 && counts.values().all(|n| (n - 1000).abs() <= 154), "{counts:?}");
    }

    fn warped(matrix: [[f32; 2]; 2], by: [isize; 2], mirrored: bool) -> Vec<f32> {
        let mut out = vec![f32::NAN; 12];
        warp(&IMAGE, DIMS, matrix, by, mirrored, &mut out);
        out
    }

    #[test]
    fn the_identity_warps_to_a_shift() {
        for (by, mirrored) in [([0, 0], false), ([1, 0], false), ([0, -1], true), ([-1, 1], true)] {
            assert_eq!(warped([[1.0, 0.0], [0.0, 1.0]], by, mirrored), shifted(by, mirrored), "{by:?} {mirrored}");
        }
    }

    /// Computed by hand, around the centre (1/2, 1): turned upside down; at half the width, where the outer columns
    /// read outside the image; at twice the width; slanted by half a pixel per row.
    #[test]
    fn warps_turn_stretch_and_slant_around_the_centre() {
        assert_eq!(warped([[-1.0, 0.0], [0.0, -1.0]], [0, 0], false)[..6], [6., 5., 4., 3., 2., 1.]);
        assert_eq!(warped([[1.0, 0.0], [0.0, 2.0]], [0, 0], false)[..6], [0., 2., 0., 0., 5., 0.]);
        assert_eq!(warped([[1.0, 0.0], [0.0, 0.5]], [0, 0], false)[..6], [1.5, 2., 2.5, 4.5, 5., 5.5]);
        assert_eq!(warped([[1.0, 0.0], [1.0, 1.0]], [0, 0], false)[..6], [0.5, 1.5, 2.5, 4.5, 5.5, 3.]);
    }

    /// On planes that hold the row and the column of each pixel, the pixels next to the centre give the matrix. Over
    /// 2,000 draws the mean of each entry has standard deviation w / sqrt(3 × 2000) = 0.0129 w, and exceeds five of
    /// them with probability below 6e-7. No draw of an entry is within a hundredth of an end with probability 2 ×
    /// 0.995^2000 < 1e-4. The seed is fixed.
    #[test]
    fn the_matrix_of_a_warp_is_uniform_around_the_identity() {
        let (mut rng, mut out, w) = (StdRng::seed_from_u64(2), [0.0; 50], 0.3);
        let planes: Vec<f32> = (0..25).map(|i| (i / 5) as f32).chain((0..25).map(|i| (i % 5) as f32)).collect();
        let mut entries = [const { Vec::new() }; 4];
        for _ in 0..2000 {
            Augment { warp: w, ..Augment::default() }.apply(&planes, [2, 5, 5], &mut rng, &mut out);
            let (below, right) = (17, 13); // of the pixel in the middle, 12
            let read = [out[below] - 3.0, out[right] - 2.0, out[25 + below] - 2.0, out[25 + right] - 3.0];
            entries.iter_mut().zip(read).for_each(|(entry, read)| entry.push(f64::from(read) / w));
        }
        for entry in entries {
            let (low, high) = entry.iter().fold((0.0, 0.0), |(low, high), x| (x.min(low), x.max(high)));
            assert!((-1.00001..-0.99).contains(&low) && (0.99..1.00001).contains(&high), "{low} to {high}");
            let mean = entry.iter().sum::<f64>() / 2000.0;
            assert!(mean.abs() < 5.0 * 0.0129, "{mean}");
        }
    }

    #[test]
    fn a_batch_is_its_images_and_follows_the_seed() {
        let inputs = [IMAGE.to_vec(), IMAGE.map(|x| -x).to_vec()].concat();
        let data = Dataset::new("two", DIMS, 1, inputs, vec![0, 0]).unwrap();
        let batch = |augment: Augment, which: &[usize], seed| {
            let mut out = vec![9.0; 5]; // left over from another batch
            augment.batch(&data, which, &mut StdRng::seed_from_u64(seed), &mut out);
            out
        };
        assert_eq!(batch(Augment::default(), &[1, 0], 3), [data.input(1), data.input(0)].concat());
        let augment = Augment { crop_pad: 1, flip: true, ..Augment::default() };
        let many = vec![0; 50];
        assert_eq!(batch(augment, &many, 3), batch(augment, &many, 3));
        assert_ne!(batch(augment, &many, 3), batch(augment, &many, 4));
    }
}
