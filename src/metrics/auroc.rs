//! The area under the ROC curve of a score.

/// The area under the ROC curve of a score that should be larger for `high` than for `low`: 1 if it always is, 0.5 if
/// it carries no information.
///
/// ```text
/// AUROC = P(h > l) + P(h = l) / 2,    h from `high`, l from `low`        (Mann and Whitney's U, over all pairs)
/// ```
/// With the [`Predictions::entropies`](super::Predictions::entropies) of test data as `low` and of out-of-distribution
/// data as `high`, it measures how well the network's uncertainty detects out-of-distribution data. `None` if either is
/// empty or holds a NaN.
///
/// ```
/// use sparsevd::metrics::auroc;
/// assert_eq!(auroc(&[0.1, 0.2], &[0.2, 0.9]), Some(0.875)); // three pairs in order, one tied
/// ```
pub fn auroc(low: &[f64], high: &[f64]) -> Option<f64> {
    let of = |scores: &[f64], is_high: bool| scores.iter().map(|x| (*x, is_high)).collect::<Vec<_>>();
    let mut all = [of(low, false), of(high, true)].concat();
    if low.is_empty() || high.is_empty() || all.iter().any(|(x, _)| x.is_nan()) {
        return None;
    }
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Sum over `high` of the number of `low` below, ties counting half.
    let (mut below, mut pairs) = (0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let highs = tied.iter().filter(|(_, is_high)| *is_high).count() as f64;
        let lows = tied.len() as f64 - highs;
        pairs += highs * (below + 0.5 * lows);
        below += lows;
    }
    Some(pairs / (low.len() as f64 * high.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the definition, pair by pair; few values, so that many are tied.
        #[test]
        fn it_counts_pairs(low in prop::collection::vec(-3_i32..4, 1..12), high in prop::collection::vec(-3_i32..4, 1..12)) {
            let floats = |x: &[i32]| x.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
            let pair = |l: i32, h: i32| f64::from(u8::from(h > l)) + 0.5 * f64::from(u8::from(h == l));
            let pairs: f64 = low.iter().flat_map(|l| high.iter().map(|h| pair(*l, *h))).sum();
            let expected = pairs / (low.len() * high.len()) as f64;
            prop_assert!((auroc(&floats(&low), &floats(&high)).unwrap() - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn zero_and_its_negative_are_tied_and_nothing_is_none() {
        assert_eq!(auroc(&[-0.0], &[0.0]), Some(0.5));
        assert_eq!(auroc(&[], &[1.0]), None);
        assert_eq!(auroc(&[f64::NAN], &[1.0]), None);
    }
}
