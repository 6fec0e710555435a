//! Random shifts and mirror images.

use super::{Dataset, Layout};
use crate::error::{Error, setting};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// The usual augmentation of small images: pad on all sides and cut out a window of the first size, and mirror every
/// second image left to right. The default changes nothing.
///
/// [`Trainer::augment`](crate::Trainer::augment) does it while training. Padding is 0: black in `[0, 1]`, the mean once the data are centred or standardised.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augment {
    /// Shifts by up to this many pixels in each direction; 4 is usual for CIFAR-10.
    pub crop_pad: usize,
    /// Mirrors with probability one half.
    pub flip: bool,
}

impl Augment {
    /// Whether there is nothing to do.
    pub(crate) fn is_off(&self) -> bool {
        *self == Augment::default()
    }

    /// Whether the images of `data` can be shifted and mirrored.
    pub(crate) fn check<L: Layout>(&self, data: &Dataset<L>) -> Result<(), Error> {
        let ([_, height, width], pad) = (data.dims(), self.crop_pad);
        if !self.is_off() && L::dims(data.dims()).len() == 1 {
            return Err(Error::Input(format!(
                "`augment` shifts and mirrors images, but {} is laid out as vectors; call `.images()` on the data and train \
                 a convolutional network, or leave `augment` at its default",
                data.name()
            )));
        }
        let range = "smaller than the images' height and width";
        setting(self.is_off() || pad < height.min(width), "augment.crop_pad", pad as f64, range)
    }

    /// One image of `dims` (channels, height, width), shifted and mirrored as `rng` decides, into `out`.
    ///
    /// # Panics
    /// When `image` or `out` is not of that size.
    pub fn apply(&self, image: &[f32], dims: [usize; 3], rng: &mut impl Rng, out: &mut [f32]) {
        let pixels = dims.iter().product::<usize>();
        assert!(image.len() == pixels && out.len() == pixels, "an image and a buffer of {dims:?}");
        let window = 0..=2 * self.crop_pad;
        let (down, right) = (rng.gen_range(window.clone()), rng.gen_range(window));
        let mirrored = self.flip && rng.r#gen();
        shift(image, dims, [down, right].map(|by| by as isize - self.crop_pad as isize), mirrored, out);
    }

    /// Some examples, one after another, each augmented on its own, into `out`.
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

    /// With `crop_pad` 1 and `flip` there are 9 x 2 equally likely outcomes, all different for this image. Over 18,000
    /// draws each count is binomial(18000, 1/18), of deviation sqrt(18000 17 / 18^2) = 30.7; 5 deviations are 154,
    /// which any of the 18 exceeds with probability below 18 x 6e-7 for a fair sampler. The seed is fixed.
    #[test]
    fn every_window_and_mirror_is_equally_likely() {
        let augment = Augment { crop_pad: 1, flip: true };
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
        let augment = Augment { crop_pad: 1, flip: true };
        let many = vec![0; 50];
        assert_eq!(batch(augment, &many, 3), batch(augment, &many, 3));
        assert_ne!(batch(augment, &many, 3), batch(augment, &many, 4));
    }
}
