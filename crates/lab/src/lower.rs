//! Scores and sizes of a trained network at lower thresholds on log α than it was trained for.

use sparsevd::Classifier;
use sparsevd::data::{Layout, Split};
use sparsevd::prelude::*;

use crate::record::Record;

const THRESHOLDS: [f64; 8] = [3.0, 2.0, 1.0, 0.0, -0.5, -1.0, -2.0, -3.0];

/// One record for each threshold up to the one that the network was trained for.
///
/// Beside the measured numbers, a record has a bound on the cost. If the likelihood is quadratic around the means, with
/// a curvature of at most 1 / σ², then setting a mean to zero costs at most `θ² / (2 σ²) = 1 / (2 α)` nats, summed over
/// the training examples.
///
/// # Errors
/// Those of [`predict`].
pub fn lower<N, L: Layout, const I: usize, D: Backend>(
    net: &mut N,
    split: &Split<L>,
    threshold: f64,
    seed: u64,
) -> Result<Vec<Record>, Error>
where
    N: Classifier<I, 10, f32, D, L>,
{
    let log_alpha: Vec<f64> = net.layers().iter().flat_map(|(_, layer)| layer.log_alpha()).collect();
    let at = |lower: f64| {
        let metrics = predict(net, split.test(), Evaluate::Pruned(lower))?.score(split.test().labels())?;
        let more = log_alpha.iter().filter(|x| (lower..threshold).contains(*x));
        let nats = more.map(|x| 0.5 * (-x).exp()).sum::<f64>() + 0.0; // not -0
        Ok(Record::new(format!("log alpha >= {lower}"), seed)
            .with("pruned error", metrics.error)
            .with("pruned nll", metrics.nll)
            .with("pruned cost", nats / split.train().len() as f64)
            .with("pruned compression", net.sparsity(lower)?.compression()))
    };
    THRESHOLDS.into_iter().filter(|lower| *lower <= threshold).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_thresholds_prune_more_and_say_what_it_may_cost() {
        let split = Split::optdigits().unwrap().take(100, 50, 0).unwrap();
        let mut net = Cpu::seed_from_u64(0).build_module::<SparseVdLinear<64, 10>, f32>();
        net.set_theta(&[1.0; 640]).unwrap();
        let log_sigma2 = (0..640).map(|i| if i < 64 { 0.25 } else { -1.5 }).collect();
        net.spread = net.spread.device().tensor_from_vec(log_sigma2, (Const, Const));
        let records = lower(&mut net, &split, 1.0, 7).unwrap();
        let labels: Vec<&str> = records.iter().map(|r| r.label.trim_start_matches("log alpha >= ")).collect();
        assert_eq!(labels, ["1", "0", "-0.5", "-1", "-2", "-3"]);
        let column = |name: &str| -> Vec<f64> { records.iter().map(|r| r.values[name]).collect() };
        assert_eq!(column("pruned compression")[..4], [1.0, 640.0 / 576.0, 640.0 / 576.0, 640.0 / 576.0]);
        let cost = column("pruned cost");
        let expected = [0.0, 0.32 * f64::exp(-0.25), 0.32 * f64::exp(-0.25) + 2.88 * f64::exp(1.5)];
        assert!([0, 1, 4].into_iter().zip(expected).all(|(i, x)| (cost[i] - x).abs() < 1e-6), "{cost:?}");
        let nothing = split.test().labels().iter().filter(|label| **label != 0).count() as f64 / 50.0;
        assert_eq!(column("pruned error")[4..], [nothing; 2], "equal logits, of which the first is taken");
    }
}
