//! Images into planes, and results out of them. Both are transpositions, between image after image and pixel after
//! pixel, of blocks of eight pixels of up to eight images.

use std::ops::Range;

use super::shape::Shape;
use crate::compute::cpu::buffer::Buffer;
use crate::compute::elem::Elem;

/// The side of the blocks that are transposed.
pub(super) const EIGHT: usize = 8;

/// The first eight numbers.
#[inline(always)]
pub(super) fn eight<E: Elem>(from: &[E]) -> [E; EIGHT] {
    let mut to = [E::default(); EIGHT];
    to.copy_from_slice(&from[..EIGHT]);
    to
}

/// Planes of numbers `a`, and of their products `a b` with others.
pub(super) struct Planes<E: Elem> {
    shape: Shape,
    /// The place of every pixel of a channel, in the first image.
    places: Vec<usize>,
    numbers: Buffer<E>,
    products: Buffer<E>,
}

impl<E: Elem> Planes<E> {
    /// Planes of zeros, with room for products if `both`.
    pub(super) fn zeros(shape: Shape, both: bool) -> Self {
        let len = shape.len::<E>();
        let places = places(shape.from, [shape.row(), shape.side], shape.first());
        Planes { shape, places, numbers: Buffer::zeros(len), products: Buffer::zeros(if both { len } else { 0 }) }
    }

    /// The planes of the numbers and of the products.
    pub(super) fn both(&self) -> [&[E]; 2] {
        [&self.numbers, &self.products]
    }

    /// Copies images of all channels. If they are fewer than the planes hold, the results of the others are of numbers
    /// that were there before.
    pub(super) fn fill(&mut self, a: &[E], b: Option<&[E]>) {
        self.fill_some(a, b, |_| true);
    }

    /// The same for the channels that are `wanted`.
    pub(super) fn fill_some(&mut self, a: &[E], b: Option<&[E]>, wanted: impl Fn(usize) -> bool) {
        match self.shape.side {
            1 => self.fill_rows(a, b, wanted),
            2 => self.fill_blocks::<2>(a, b, wanted),
            4 => self.fill_blocks::<4>(a, b, wanted),
            _ => self.fill_blocks::<EIGHT>(a, b, wanted),
        }
    }

    /// Sets all numbers to zero.
    pub(super) fn clear(&mut self) {
        self.numbers.fill(E::default());
        self.products.fill(E::default());
    }

    /// Copies one image row by row.
    fn fill_rows(&mut self, a: &[E], b: Option<&[E]>, wanted: impl Fn(usize) -> bool) {
        let (shape, [height, width]) = (self.shape, self.shape.from);
        for channel in (0..shape.channels).filter(|channel| wanted(*channel)) {
            for y in 0..height {
                let from = (channel * height + y) * width..(channel * height + y + 1) * width;
                let to = channel * shape.plane() + shape.first() + y * shape.row();
                let a = &a[from.clone()];
                self.numbers[to..to + width].copy_from_slice(a);
                if let Some(b) = b {
                    let products = self.products[to..to + width].iter_mut();
                    products.zip(a.iter().zip(&b[from])).for_each(|(to, (a, b))| *to = *a * *b);
                }
            }
        }
    }

    /// Copies `S` images at a time.
    fn fill_blocks<const S: usize>(&mut self, a: &[E], b: Option<&[E]>, wanted: impl Fn(usize) -> bool) {
        let shape = self.shape;
        let area = shape.from[0] * shape.from[1];
        let len = shape.channels * area;
        let count = a.len() / len;
        for first in (0..count).step_by(S) {
            let images = first..count.min(first + S);
            for channel in (0..shape.channels).filter(|channel| wanted(*channel)) {
                let numbers = &mut self.numbers[channel * shape.plane()..][..shape.plane()];
                let start = |image: usize| image * len + channel * area;
                let number = |image: usize, at: usize| eight(&a[start(image) + at..]);
                blocks::<E, S>(&self.places, images.clone(), numbers, number, |image, at| a[start(image) + at]);
                let Some(b) = b else { continue };
                let products = &mut self.products[channel * shape.plane()..][..shape.plane()];
                let product = |image: usize, at: usize| {
                    let (a, b) = (eight(&a[start(image) + at..]), eight(&b[start(image) + at..]));
                    std::array::from_fn(|i| a[i] * b[i])
                };
                let one = |image: usize, at: usize| a[start(image) + at] * b[start(image) + at];
                blocks::<E, S>(&self.places, images.clone(), products, product, one);
            }
        }
    }
}

/// Writes one channel of some images, of at most `S`.
#[inline(always)]
fn blocks<E: Elem, const S: usize>(
    places: &[usize],
    images: Range<usize>,
    to: &mut [E],
    eight: impl Fn(usize, usize) -> [E; EIGHT],
    one: impl Fn(usize, usize) -> E,
) {
    let (whole, rest) = places.as_chunks::<EIGHT>();
    for (block, places) in whole.iter().enumerate() {
        let mut rows = [[E::default(); EIGHT]; EIGHT];
        for (row, image) in rows.iter_mut().zip(images.clone()) {
            *row = eight(image, block * EIGHT);
        }
        for (place, column) in places.iter().zip(E::transposed(rows)) {
            to[place + images.start..][..S].copy_from_slice(&column[..S]);
        }
    }
    for (i, place) in rest.iter().enumerate() {
        images.clone().for_each(|image| to[place + image] = one(image, whole.len() * EIGHT + i));
    }
}

/// The places of the pixels of a channel, given the distances between rows and between columns and the first place.
fn places([height, width]: [usize; 2], [row, column]: [usize; 2], first: usize) -> Vec<usize> {
    (0..height).flat_map(|y| (0..width).map(move |x| first + y * row + x * column)).collect()
}

/// The results of some channels: a row of means per row of results, and likewise of variances.
pub(super) struct Results<E: Elem> {
    shape: Shape,
    /// The place of every result of a channel, in the first image.
    places: Vec<usize>,
    pub(super) means: Buffer<E>,
    pub(super) variances: Buffer<E>,
}

impl<E: Elem> Results<E> {
    /// Room for `count` channels, and for their variances if `both`.
    pub(super) fn any(shape: Shape, count: usize, both: bool) -> Self {
        let len = count * shape.to[0] * shape.results::<E>() + EIGHT;
        let places = places(shape.to, [shape.results::<E>(), shape.side], 0);
        Results { shape, places, means: Buffer::any(len), variances: Buffer::any(if both { len } else { 0 }) }
    }

    /// The distance from one channel to the next.
    pub(super) fn step(&self) -> usize {
        self.shape.to[0] * self.shape.results::<E>()
    }

    /// One of the moments of a channel of all images, image by image; `room` may hold them.
    pub(super) fn images<'a>(&'a self, moment: &'a [E], channel: usize, room: &'a mut [E]) -> &'a [E] {
        let from = &moment[channel * self.step()..];
        if self.shape.side == 1 && self.shape.results::<E>() == self.shape.to[1] {
            return &from[..self.step()];
        }
        match self.shape.side {
            1 => self.take::<1>(from, room),
            2 => self.take::<2>(from, room),
            4 => self.take::<4>(from, room),
            _ => self.take::<EIGHT>(from, room),
        }
        room
    }

    fn take<const S: usize>(&self, from: &[E], to: &mut [E]) {
        let (whole, rest) = self.places.as_chunks::<EIGHT>();
        let area = self.places.len();
        for image in (0..self.shape.side).step_by(S) {
            for (block, places) in whole.iter().enumerate() {
                let mut rows = [[E::default(); EIGHT]; EIGHT];
                for (row, place) in rows.iter_mut().zip(places) {
                    *row = eight(&from[place + image..]);
                }
                for (s, column) in E::transposed(rows).iter().enumerate().take(S) {
                    to[(image + s) * area + block * EIGHT..][..EIGHT].copy_from_slice(column);
                }
            }
            for (i, place) in rest.iter().enumerate() {
                (0..S).for_each(|s| to[(image + s) * area + whole.len() * EIGHT + i] = from[place + image + s]);
            }
        }
    }
}
