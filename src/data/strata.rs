//! Stratified draws of examples by index, from groups such as classes.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// Groups of examples to draw from in proportion, in random order. A single group gives plain random draws.
pub(super) struct Strata {
    groups: Vec<Vec<usize>>,
    random: StdRng,
}

impl Strata {
    /// Shuffles the groups; the same seed gives the same draws.
    pub(super) fn new(groups: impl IntoIterator<Item = Vec<usize>>, seed: u64) -> Self {
        let (mut groups, mut random) = (Vec::from_iter(groups), StdRng::seed_from_u64(seed));
        groups.iter_mut().for_each(|group| group.shuffle(&mut random));
        groups.shuffle(&mut random); // decides which of equal remainders is rounded up
        Self { groups, random }
    }

    /// Draws `n` examples, from each group as many as [`apportion`] gives; returns them and all others.
    pub(super) fn draw(mut self, n: usize, left: usize) -> [Vec<usize>; 2] {
        let sizes: Vec<usize> = self.groups.iter().map(Vec::len).collect();
        let (mut drawn, mut rest) = (Vec::new(), Vec::new());
        for (group, count) in self.groups.iter().zip(apportion(&sizes, n, left)) {
            drawn.extend(&group[..count]);
            rest.extend(&group[count..]);
        }
        drawn.shuffle(&mut self.random);
        rest.shuffle(&mut self.random);
        [drawn, rest]
    }

    /// Divides all examples into `k` parts. The sizes of two parts, and of their shares of one group, differ by at most
    /// one: the examples of one group after another go to the parts in turn.
    pub(super) fn deal(mut self, k: usize) -> Vec<Vec<usize>> {
        let mut parts = vec![Vec::new(); k];
        for (at, example) in self.groups.iter().flatten().enumerate() {
            parts[at % k].push(*example);
        }
        parts.iter_mut().for_each(|part| part.shuffle(&mut self.random));
        parts
    }
}

/// The number of the `n` examples that each group gives, by the method of largest remainders: at least one, and at most
/// all but `left`.
///
/// ```text
/// exact share   n s / N       s: the group's size, N: the sum of all
/// count         the exact share rounded down; the groups of the largest remainders give one more, until it is n
/// ```
/// If a bound applies, the groups that are furthest from their exact share compensate, one example at a time. Of equal
/// remainders the last is rounded up. The sum is `n` if the bounds allow it: from one for each group to all but `left`
/// of each.
fn apportion(sizes: &[usize], n: usize, left: usize) -> Vec<usize> {
    let total = sizes.iter().sum::<usize>();
    let most = |size: usize| size.saturating_sub(left);
    let floor = |size: &usize| (n as u128 * *size as u128 / total as u128) as usize;
    let mut counts: Vec<usize> = sizes.iter().map(|size| floor(size).min(most(*size)).max(1)).collect();
    // N times what a group lacks of its exact share
    let lacks = |counts: &[usize], i: usize| n as i128 * sizes[i] as i128 - counts[i] as i128 * total as i128;
    let mut sum = counts.iter().sum::<usize>();
    while sum != n {
        let more = sum < n;
        let open = |i: &usize| if more { counts[*i] < most(sizes[*i]) } else { counts[*i] > 1 };
        let key = |i: &usize| if more { lacks(&counts, *i) } else { -lacks(&counts, *i) };
        let Some(i) = (0..sizes.len()).filter(open).max_by_key(key) else { break };
        (counts[i], sum) = if more { (counts[i] + 1, sum + 1) } else { (counts[i] - 1, sum - 1) };
    }
    counts
}

#[cfg(test)]
#[path = "strata_tests.rs"]
mod tests;
