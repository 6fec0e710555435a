//! Random splits, folds and subsets, stratified by class.

use std::collections::BTreeMap;

use super::share::Share;
use super::strata::Strata;
use super::{DataError, Dataset, Layout, Split};

impl<L: Layout> Dataset<L> {
    /// Splits the data set into a test half of `test` examples, or a fraction of all, and a training half of the
    /// others.
    ///
    /// Shuffled and stratified: each class has its share of the test half, rounded by largest remainders, and at least
    /// one example in each half. The same seed gives the same halves, on every machine and with any number of threads.
    ///
    /// ```
    /// use sparsevd::prelude::*;
    ///
    /// // A table sorted by class: 6 flowers of one kind, then 4 of another, two measurements each.
    /// let inputs = vec![5.1, 1.4, 4.9, 1.4, 4.7, 1.3, 4.6, 1.5, 5.0, 1.4, 5.4, 1.7, 7.0, 4.7, 6.4, 4.5, 6.9, 4.9, 5.5, 4.0];
    /// let flowers = Dataset::new("flowers", [2, 1, 1], 2, inputs, vec![0, 0, 0, 0, 0, 0, 1, 1, 1, 1])?;
    /// let split = flowers.split(0.5, 0)?.standardised(); // or split(5, 0)
    /// assert_eq!((split.train().class_counts(), split.test().class_counts()), (vec![3, 2], vec![3, 2]));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Rare`] for a class of fewer than two examples, [`DataError::Share`] for fewer examples than classes
    /// in one of the halves.
    pub fn split(&self, test: impl Into<Share>, seed: u64) -> Result<Split<L>, DataError> {
        let strata = self.strata(2, "a split", seed)?;
        let (all, classes, asked) = (self.len(), self.classes(), test.into());
        let purpose = "be held out, so that each half has every class";
        let n = self.count(asked, [classes, all - classes], purpose)?;
        let [test, train] = strata.draw(n, 1);
        Split::new(self.select(train)?, self.select(test)?)
    }

    /// `k` splits for cross-validation: each example is in one of the test halves and in all other training halves.
    ///
    /// Shuffled and stratified: the test halves' sizes, and their counts of any one class, differ by at most one. The
    /// same seed gives the same folds. Each split is made when the iterator reaches it, so that there is only one copy
    /// of the data at a time.
    ///
    /// ```
    /// # use sparsevd::prelude::*;
    /// # let data = Split::optdigits()?.take(100, 50, 0)?.into_parts().0;
    /// for fold in data.folds(5, 0)? {
    ///     let fold = fold.centred(); // by the fold's own training half
    ///     assert_eq!((fold.train().len(), fold.test().len()), (80, 20));
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`DataError::Folds`] for fewer than two, [`DataError::Rare`] for a class of fewer than `k` examples.
    pub fn folds(
        &self,
        k: usize,
        seed: u64,
    ) -> Result<impl ExactSizeIterator<Item = Split<L>> + use<'_, L>, DataError> {
        if k < 2 {
            return Err(DataError::Folds { name: self.name().into(), asked: k });
        }
        let parts = self.strata(k, "each fold", seed)?.deal(k);
        Ok((0..k).map(move |fold| {
            let others = parts.iter().enumerate().filter(|(part, _)| *part != fold);
            let train = others.flat_map(|(_, part)| part).copied().collect::<Vec<_>>();
            Split::of_parts(self.gather(&train), self.gather(&parts[fold]))
        }))
    }

    /// A random subset of `n` examples, or of a fraction of all: a smaller, quicker problem.
    ///
    /// It is stratified, as [`split`](Dataset::split) is: each class that occurs keeps its share, and at least one
    /// example. For the first examples in the order of a file, [`select`](Dataset::select) `0..n`.
    ///
    /// # Errors
    /// [`DataError::Share`] for more examples than there are, or fewer than there are classes.
    pub fn take(&self, n: impl Into<Share>, seed: u64) -> Result<Self, DataError> {
        let groups = self.by_class();
        let purpose = "be taken, so that every class stays";
        let n = self.count(n.into(), [groups.len(), self.len()], purpose)?;
        let [taken, _] = Strata::new(groups.into_values(), seed).draw(n, 0);
        self.select(taken)
    }

    /// The examples of these indices, in their order; an index may come twice, as in a bootstrap.
    ///
    /// # Errors
    /// [`DataError::Index`] for an index that is not below [`len`](Dataset::len), [`DataError::Empty`] for no indices.
    pub fn select(&self, which: impl IntoIterator<Item = usize>) -> Result<Self, DataError> {
        let which: Vec<usize> = which.into_iter().collect();
        if let Some(&index) = which.iter().find(|i| **i >= self.len()) {
            return Err(DataError::Index { name: self.name().into(), index, have: self.len() });
        }
        if which.is_empty() {
            return Err(DataError::Empty { name: self.name().into() });
        }
        Ok(self.gather(&which))
    }

    /// The number of examples of each class, `classes` numbers.
    pub fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes()];
        self.labels().iter().for_each(|label| counts[*label] += 1);
        counts
    }

    /// The classes to draw from, each of which has at least `needs` examples.
    fn strata(&self, needs: usize, what: &'static str, seed: u64) -> Result<Strata, DataError> {
        let groups = self.by_class();
        let absent = (0..self.classes()).find(|class| !groups.contains_key(class)).map(|class| (class, 0));
        let rarest = || groups.iter().map(|(class, group)| (*class, group.len())).min_by_key(|(_, size)| *size);
        match absent.or_else(rarest) {
            Some((class, have)) if have < needs => {
                Err(DataError::Rare { name: self.name().into(), class, have, what, needs })
            }
            _ => Ok(Strata::new(groups.into_values(), seed)),
        }
    }

    /// The indices of the examples of each class that occurs.
    fn by_class(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut groups = BTreeMap::<usize, Vec<usize>>::new();
        for (i, label) in self.labels().iter().enumerate() {
            groups.entry(*label).or_default().push(i);
        }
        groups
    }

    /// A share as a count within a range.
    fn count(&self, asked: Share, [least, most]: [usize; 2], purpose: &'static str) -> Result<usize, DataError> {
        let (name, have) = (self.name(), self.len());
        let count = asked.of(have);
        let refused = || DataError::Share { name: name.into(), asked, count, have, least, most, purpose };
        (least..=most).contains(&count).then_some(count).ok_or_else(refused)
    }
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
