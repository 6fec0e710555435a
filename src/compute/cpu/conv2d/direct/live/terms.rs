//! The sums over live weights at vectors of positions.

use std::ops::Range;

use sparsevd_priors::Lane;

use super::super::planes::Results;
use super::super::shape::Shape;
use crate::compute::cpu::weights::splat;
use crate::compute::elem::Elem;

/// The vectors of positions that are computed together.
const TOGETHER: usize = 4;

/// A weight as the kernel reads it.
#[derive(Clone, Copy)]
pub(super) struct Term<E> {
    /// The distance from a result to the number that the weight multiplies.
    pub(super) offset: usize,
    pub(super) moments: [E; 2],
}

/// The terms of every result, result by result.
pub(super) struct Terms<E> {
    terms: Vec<Term<E>>,
    /// The range of every result.
    ranges: Vec<Range<usize>>,
    /// The largest offset.
    reach: usize,
}

impl<E: Elem> Terms<E> {
    /// Sorts terms by their result.
    pub(super) fn new(results: usize, mut terms: Vec<(usize, Term<E>)>) -> Self {
        terms.sort_by_key(|(result, _)| *result);
        let before = |result: usize| terms.partition_point(|term| term.0 < result);
        let ranges = (0..results).map(|result| before(result)..before(result + 1)).collect();
        let reach = terms.iter().map(|(_, term)| term.offset).max().unwrap_or(0);
        Terms { ranges, reach, terms: terms.into_iter().map(|(_, term)| term).collect() }
    }

    pub(super) fn of(&self, result: usize) -> &[Term<E>] {
        &self.terms[self.ranges[result].clone()]
    }
}

/// The vectors of a plane of results: the number that tap 0 reads, and the place among the results.
pub(super) struct Vectors(Vec<[usize; 2]>);

impl Vectors {
    pub(super) fn of<E: Elem>(shape: &Shape) -> Self {
        let row = |row: usize| {
            let vectors = (0..shape.side * shape.to[1]).step_by(E::Lanes::WIDTH);
            vectors.map(move |at| [row * shape.row() + at, row * shape.results::<E>() + at])
        };
        Vectors((0..shape.to[0]).flat_map(row).collect())
    }

    /// Computes the results of a channel: `from` are the numbers of the means and of the variances, which are the
    /// squares if they are not given.
    pub(super) fn compute<E: Elem>(
        &self,
        noisy: bool,
        terms: &Terms<E>,
        result: usize,
        from: [&[E]; 2],
        to: &mut Results<E>,
    ) {
        let own = terms.of(result);
        for vectors in self.0.chunks(TOGETHER) {
            let last = vectors.len() - 1;
            let lines = std::array::from_fn(|m: usize| {
                let end = if from[m].is_empty() { 0 } else { terms.reach + E::Lanes::WIDTH };
                std::array::from_fn(|i: usize| {
                    let start = if end == 0 { 0 } else { vectors[i.min(last)][0] };
                    &from[m][start..start + end]
                })
            });
            let [mean, var] = match (noisy, from[1].is_empty()) {
                (false, _) => sums::<E, false, false>(own, lines),
                (true, true) => sums::<E, true, true>(own, lines),
                (true, false) => sums::<E, true, false>(own, lines),
            };
            for (i, [_, place]) in vectors.iter().enumerate() {
                mean[i].store(&mut to.means[*place..place + E::Lanes::WIDTH]);
                if noisy {
                    var[i].store(&mut to.variances[*place..place + E::Lanes::WIDTH]);
                }
            }
        }
    }
}

/// The sums of some terms at some vectors, of the means and of the variances.
#[inline(never)]
fn sums<E: Elem, const NOISY: bool, const SQUARE: bool>(
    terms: &[Term<E>],
    lines: [[&[E]; TOGETHER]; 2],
) -> [[E::Lanes; TOGETHER]; 2] {
    let [mut means, mut variances] = [[splat::<E>(E::default()); TOGETHER]; 2];
    for term in terms {
        let place = term.offset..term.offset + E::Lanes::WIDTH;
        let [mean, variance] = term.moments.map(splat::<E>);
        for v in 0..TOGETHER {
            let x = E::Lanes::load(&lines[0][v][place.clone()]);
            means[v] = mean.mul_add(x, means[v]);
            if NOISY {
                let s = if SQUARE { x * x } else { E::Lanes::load(&lines[1][v][place.clone()]) };
                variances[v] = variance.mul_add(s, variances[v]);
            }
        }
    }
    [means, variances]
}
