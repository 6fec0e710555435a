//! Class probabilities of `n` examples.

use super::MetricsError;

/// Class probabilities, `n × classes`, kept as logarithms so that none is too small to score.
///
/// From `S` forward passes (samples `s` of the weights) with logits `z`:
/// ```text
/// p_s(k) = exp(z_sk) / sum_j exp(z_sj)          softmax of each pass, then
/// p(k)   = (1/S) sum_s p_s(k)                   the average of the probabilities, not of the logits
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    classes: usize,
    log_p: Vec<f64>,
    /// The mean over the passes of the entropy of each pass, one per example; `None` for a single pass.
    expected_entropy: Option<Vec<f64>>,
}

impl Predictions {
    /// Predictions from the logits of one forward pass, row by row.
    ///
    /// # Errors
    /// [`MetricsError::Empty`], [`MetricsError::Ragged`], or [`MetricsError::NonFinite`] naming the row.
    pub fn from_logits(logits: &[f32], classes: usize) -> Result<Self, MetricsError> {
        average(&[logits], classes)
    }

    /// Predictions from several forward passes over the same examples, as with sampled weights.
    ///
    /// A single sample gives the same as [`Predictions::from_logits`], without mutual information.
    ///
    /// # Errors
    /// As [`Predictions::from_logits`], and [`MetricsError::Samples`] when the passes differ in size.
    pub fn average(samples: Vec<Vec<f32>>, classes: usize) -> Result<Self, MetricsError> {
        average(&samples, classes)
    }

    /// Number of examples, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.log_p.len() / self.classes
    }

    /// Number of classes, at least 1.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The probabilities of one example after the other, each summing to 1.
    pub fn probabilities(&self) -> Vec<f64> {
        self.log_p.iter().map(|log_p| log_p.exp()).collect()
    }

    /// The most probable class of each example; the first of equals.
    pub fn classified(&self) -> impl Iterator<Item = usize> + '_ {
        self.rows().map(argmax)
    }

    /// The entropy of each example's prediction, in nats: a measure of its uncertainty.
    pub fn entropies(&self) -> Vec<f64> {
        self.rows().map(entropy).collect()
    }

    /// `ln p`, one slice per example.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.log_p.chunks_exact(self.classes)
    }

    pub(super) fn expected_entropy(&self) -> Option<&[f64]> {
        self.expected_entropy.as_deref()
    }
}

/// The index of the largest value, the first of equals.
pub(super) fn argmax(values: &[f64]) -> usize {
    values.iter().enumerate().fold(0, |best, (k, value)| if *value > values[best] { k } else { best })
}

/// `H = -sum_k p_k ln p_k`, nats, from `ln p`. A `p` that underflows to 0 adds 0, its limit.
pub(super) fn entropy(log_p: &[f64]) -> f64 {
    -log_p.iter().map(|log_p| log_p.exp() * log_p).sum::<f64>()
}

fn average<S: AsRef<[f32]>>(samples: &[S], classes: usize) -> Result<Predictions, MetricsError> {
    check(samples, classes)?;
    let size = samples[0].as_ref().len();
    let count = samples.len() as f64;
    let mut log_p = Vec::with_capacity(size);
    let mut expected_entropy = Vec::new();
    let mut passes = vec![vec![0.0; classes]; samples.len()];
    for start in (0..size).step_by(classes) {
        for (pass, sample) in passes.iter_mut().zip(samples) {
            log_softmax(&sample.as_ref()[start..start + classes], pass);
        }
        if let [pass] = &passes[..] {
            log_p.extend_from_slice(pass);
            continue;
        }
        expected_entropy.push(passes.iter().map(|pass| entropy(pass)).sum::<f64>() / count);
        log_p.extend((0..classes).map(|k| log_sum_exp(passes.iter().map(|pass| pass[k])) - count.ln()));
    }
    Ok(Predictions { classes, log_p, expected_entropy: (samples.len() > 1).then_some(expected_entropy) })
}

fn check<S: AsRef<[f32]>>(samples: &[S], classes: usize) -> Result<(), MetricsError> {
    let expected = samples.first().ok_or(MetricsError::Empty { what: "samples" })?.as_ref().len();
    if classes == 0 {
        return Err(MetricsError::Empty { what: "classes" });
    }
    if expected == 0 {
        return Err(MetricsError::Empty { what: "examples" });
    }
    for (sample, logits) in samples.iter().map(AsRef::as_ref).enumerate() {
        if logits.len() != expected {
            return Err(MetricsError::Samples { sample, expected, found: logits.len() });
        }
        if logits.len() % classes != 0 {
            return Err(MetricsError::Ragged { sample, logits: logits.len(), classes });
        }
        if let Some((at, &value)) = logits.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(MetricsError::NonFinite { sample, row: at / classes, class: at % classes, value });
        }
    }
    Ok(())
}

/// `ln softmax(z)_k = (z_k - m) - ln sum_j exp(z_j - m)` with `m = max z`: no overflow, and no cancellation either,
/// since the sum lies between 1 and the number of classes.
fn log_softmax(logits: &[f32], out: &mut [f64]) {
    let max = logits.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    let shifted = logits.iter().map(|z| f64::from(*z) - f64::from(max));
    let log_sum = shifted.clone().map(f64::exp).sum::<f64>().ln();
    out.iter_mut().zip(shifted).for_each(|(out, z)| *out = z - log_sum);
}

/// `ln sum exp(x)` with the largest `x` taken out.
fn log_sum_exp(x: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = x.clone().fold(f64::NEG_INFINITY, f64::max);
    max + x.map(|x| (x - max).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-7), "{found:?} != {expected:?}");
    }

    #[test]
    fn softmax_of_logarithms_is_the_ratio() {
        // exp(ln 1), exp(ln 3), exp(ln 4) over their sum 8.
        let logits = [1.0_f32.ln(), 3.0_f32.ln(), 4.0_f32.ln()];
        let p = Predictions::from_logits(&logits, 3).unwrap();
        close(&p.probabilities(), &[0.125, 0.375, 0.5]);
        assert_eq!((p.len(), p.classes(), p.classified().collect::<Vec<_>>()), (1, 3, vec![2]));
    }

    #[test]
    fn probabilities_are_averaged_not_logits() {
        // Passes (0.9, 0.1) and (0.5, 0.5): mean 0.7, while the mean logit ln(9)/2 gives 3/(3+1) = 0.75.
        let samples = vec![vec![9.0_f32.ln(), 0.0], vec![0.0, 0.0]];
        close(&Predictions::average(samples, 2).unwrap().probabilities(), &[0.7, 0.3]);
    }

    #[test]
    fn one_sample_is_one_forward_pass() {
        let logits = vec![0.3, -2.0, 5.0, 1.0];
        assert_eq!(Predictions::average(vec![logits.clone()], 2), Predictions::from_logits(&logits, 2));
    }

    #[test]
    fn huge_logits_stay_finite() {
        for logits in [[1e38, -1e38], [-1e38, -1e38], [f32::MAX, f32::MIN], [1000.0, 0.0]] {
            let p = Predictions::from_logits(&logits, 2).unwrap();
            assert!(p.log_p.iter().all(|x| x.is_finite() && *x <= 0.0), "{logits:?}: {:?}", p.log_p);
            let p = Predictions::average(vec![logits.to_vec(); 3], 2).unwrap();
            assert!(p.log_p.iter().all(|x| x.is_finite()), "{logits:?}: {:?}", p.log_p);
        }
    }

    #[test]
    fn the_first_of_equals_is_the_class() {
        assert_eq!(Predictions::from_logits(&[1.0; 6], 3).unwrap().classified().collect::<Vec<_>>(), [0, 0]);
    }

    #[test]
    fn bad_logits_are_refused_where_they_are() {
        let new = |samples: &[&[f32]], classes| average(samples, classes).unwrap_err();
        assert_eq!(new(&[], 2), MetricsError::Empty { what: "samples" });
        assert_eq!(new(&[&[]], 2), MetricsError::Empty { what: "examples" });
        assert_eq!(new(&[&[0.0]], 0), MetricsError::Empty { what: "classes" });
        assert_eq!(new(&[&[0.0; 5]], 2), MetricsError::Ragged { sample: 0, logits: 5, classes: 2 });
        assert_eq!(new(&[&[0.0; 4], &[0.0; 2]], 2), MetricsError::Samples { sample: 1, expected: 4, found: 2 });
        let nan = new(&[&[0.0; 4], &[0.0, 0.0, 0.0, f32::NAN]], 2);
        assert!(matches!(nan, MetricsError::NonFinite { sample: 1, row: 1, class: 1, value } if value.is_nan()));
        assert!(matches!(new(&[&[f32::INFINITY, 0.0]], 2), MetricsError::NonFinite { row: 0, class: 0, .. }));
    }
}
