use super::*;
use proptest::prelude::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

/// Logits whose softmax is `p`.
fn logits(p: &[f64]) -> Vec<f32> {
    p.iter().map(|p| p.ln() as f32).collect()
}

#[track_caller]
fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-7, "{found} != {expected}");
}

/// Three examples in three classes, all computed by hand.
#[test]
fn by_hand() {
    let p = [0.7, 0.2, 0.1, 0.1, 0.5, 0.4, 0.3, 0.3, 0.4];
    let metrics = Predictions::from_logits(&logits(&p), 3).unwrap().score(&[0, 2, 2]).unwrap();
    // Classified 0, 1, 2; the labels are 0, 2, 2: one of three is wrong.
    close(metrics.error, 1.0 / 3.0);
    // -(ln 0.7 + ln 0.4 + ln 0.4) / 3
    close(metrics.nll, (0.356_674_943_938_732_4 + 2.0 * 0.916_290_731_874_155) / 3.0);
    // 0.3^2 + 0.2^2 + 0.1^2 = 0.14;  0.1^2 + 0.5^2 + 0.6^2 = 0.62;  0.3^2 + 0.3^2 + 0.6^2 = 0.54
    close(metrics.brier, (0.14 + 0.62 + 0.54) / 3.0);
    // Confidences 0.7, 0.5, 0.4 fall in bins ceil(10.5) = 11, ceil(7.5) = 8, 6: each alone.
    // |1 - 0.7| + |0 - 0.5| + |1 - 0.4| = 1.4
    close(metrics.ece, 1.4 / 3.0);
    let h = |p: &[f64]| -> f64 { p.iter().map(|p| -p * p.ln()).sum() };
    close(metrics.predictive_entropy, (h(&p[..3]) + h(&p[3..6]) + h(&p[6..])) / 3.0);
    assert_eq!(metrics.mutual_information, None);
}

/// Two examples of the same bin: errors of opposite sign cancel within it, which separate bins would not do.
#[test]
fn a_bin_compares_means() {
    // Confidences 0.91 and 0.93 lie in (13/15, 14/15] = (0.8667, 0.9333]; one right, one wrong: |1 - 1.84| / 2 = 0.42,
    // alone they would give (0.09 + 0.93) / 2 = 0.51.
    let p = Predictions::from_logits(&logits(&[0.91, 0.09, 0.07, 0.93]), 2).unwrap();
    close(p.score(&[0, 0]).unwrap().ece, 0.42);
}

#[test]
fn bins_are_closed_above() {
    for m in 1..=ECE_BINS {
        assert_eq!(bin(m as f64 / 15.0), m - 1);
        assert_eq!(bin((m as f64 - 0.999) / 15.0), m - 1);
    }
    assert_eq!((bin(0.0), bin(1.0 + 1e-12)), (0, 14));
}

#[test]
fn disagreement_is_mutual_information() {
    // Each pass is certain, and they disagree: H of the mean is ln 2, the mean H is 0.
    let certain = vec![vec![100.0, 0.0], vec![0.0, 100.0]];
    let metrics = Predictions::average(certain, 2).unwrap().score(&[0]).unwrap();
    close(metrics.predictive_entropy, 2.0_f64.ln());
    close(metrics.mutual_information.unwrap(), 2.0_f64.ln());
    // Passes (0.9, 0.1) and (0.5, 0.5): H(0.7) - (H(0.9) + H(0.5)) / 2 = 0.610864 - (0.325083 + 0.693147) / 2
    let metrics = Predictions::average(vec![logits(&[0.9, 0.1]), vec![0.0, 0.0]], 2).unwrap().score(&[0]).unwrap();
    assert!((metrics.mutual_information.unwrap() - 0.101_749).abs() < 1e-6);
}

#[test]
fn a_hopeless_prediction_has_a_finite_nll() {
    let metrics = Predictions::from_logits(&[2000.0, 0.0], 2).unwrap().score(&[1]).unwrap();
    assert_eq!((metrics.nll, metrics.error, metrics.brier), (2000.0, 1.0, 2.0)); // exp(-2000) is 0 in f64
}

#[test]
fn labels_that_do_not_fit_are_refused() {
    let p = Predictions::from_logits(&[0.0; 6], 3).unwrap();
    assert_eq!(p.score(&[]), Err(MetricsError::Count { examples: 2, labels: 0 }));
    assert_eq!(p.score(&[0; 3]), Err(MetricsError::Count { examples: 2, labels: 3 }));
    assert_eq!(p.score(&[0, 3]), Err(MetricsError::Label { row: 1, label: 3, classes: 3 }));
}

#[test]
fn metrics_survive_json() {
    let metrics = Predictions::average(vec![vec![0.3, 0.1]; 2], 2).unwrap().score(&[1]).unwrap();
    let text = serde_json::to_string(&metrics).unwrap();
    assert_eq!(serde_json::from_str::<Metrics>(&text).unwrap(), metrics);
}

/// Labels drawn from the predictions themselves are calibrated; their ECE is only sampling noise.
///
/// With `D_m = sum_{i in B_m} (hit_i - conf_i)`, independent terms of mean 0 and variance at most 1/4, `E ECE <= sum_m
/// sd(D_m) / n <= sqrt(15 n / 4) / n`, and one label changes ECE by at most 1/n, so by McDiarmid `P(ECE > E ECE + t) <=
/// exp(-2 n t²)`. With n = 20,000 and a false-alarm rate of 1e-6 the bound is 0.0323.
#[test]
fn calibrated_predictions_have_a_small_ece() {
    let (n, classes) = (20_000, 4);
    let bound = (15.0 / (4.0 * n as f64)).sqrt() + (1e6_f64.ln() / (2.0 * n as f64)).sqrt();
    let mut rng = StdRng::seed_from_u64(7);
    let z: Vec<f32> = (0..n * classes).map(|_| rng.gen_range(-3.0..3.0)).collect();
    let p = Predictions::from_logits(&z, classes).unwrap();
    let draw = |row: &[f64], u: f64| {
        let below = row
            .iter()
            .scan(0.0, |sum, p| {
                *sum += p;
                Some(*sum)
            })
            .take_while(|sum| *sum < u)
            .count();
        below.min(classes - 1)
    };
    let labels: Vec<usize> = p.probabilities().chunks(classes).map(|row| draw(row, rng.r#gen())).collect();
    let ece = p.score(&labels).unwrap().ece;
    assert!(ece < bound, "{ece} >= {bound}");
    // The same labels against over-confident and under-confident predictions are far outside.
    for temperature in [0.3, 3.0] {
        let z: Vec<f32> = z.iter().map(|z| z / temperature).collect();
        let ece = Predictions::from_logits(&z, classes).unwrap().score(&labels).unwrap().ece;
        assert!(ece > 2.0 * bound, "temperature {temperature}: {ece}");
    }
}

/// `samples x (n x classes)` logits and `n` labels.
fn problem() -> impl Strategy<Value = (Vec<Vec<f32>>, usize, Vec<usize>)> {
    (1_usize..5, 1_usize..20, 2_usize..6).prop_flat_map(|(samples, n, classes)| {
        let pass = prop::collection::vec(-30.0_f32..30.0, n * classes);
        (prop::collection::vec(pass, samples), Just(classes), prop::collection::vec(0..classes, n))
    })
}

proptest! {
    #[test]
    fn scores_keep_their_bounds((samples, classes, labels) in problem()) {
        let (s, eps) = (samples.len(), 1e-9);
        let p = Predictions::average(samples, classes).unwrap();
        for row in p.probabilities().chunks(classes) {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
        let m = p.score(&labels).unwrap();
        prop_assert!((0.0..=1.0).contains(&m.error) && (0.0..=1.0).contains(&m.ece), "{m:?}");
        prop_assert!(m.nll >= 0.0 && m.nll.is_finite() && (0.0..=2.0 + eps).contains(&m.brier), "{m:?}");
        prop_assert!((-eps..=(classes as f64).ln() + eps).contains(&m.predictive_entropy), "{m:?}");
        prop_assert_eq!(m.mutual_information.is_some(), s > 1);
        let mi = m.mutual_information.unwrap_or(0.0);
        prop_assert!(mi >= 0.0 && mi <= m.predictive_entropy + eps && mi <= (s as f64).ln() + eps, "{m:?}");
    }

    #[test]
    fn the_order_of_examples_does_not_matter((samples, classes, labels) in problem(), turn in 0_usize..20) {
        let turn = turn % labels.len();
        let a = Predictions::average(samples.clone(), classes).unwrap().score(&labels).unwrap();
        let turned = samples.into_iter().map(|mut z| { z.rotate_left(turn * classes); z }).collect();
        let mut labels = labels;
        labels.rotate_left(turn);
        let b = Predictions::average(turned, classes).unwrap().score(&labels).unwrap();
        let all = |m: &Metrics| {
            [m.error, m.nll, m.ece, m.brier, m.predictive_entropy, m.mutual_information.unwrap_or(0.0)]
        };
        for (a, b) in all(&a).into_iter().zip(all(&b)) {
            prop_assert!((a - b).abs() < 1e-9, "{a} != {b}");
        }
    }

    #[test]
    fn identical_samples_carry_no_information((samples, classes, labels) in problem(), copies in 2_usize..6) {
        let one = Predictions::from_logits(&samples[0], classes).unwrap().score(&labels).unwrap();
        let same = Predictions::average(vec![samples[0].clone(); copies], classes).unwrap().score(&labels).unwrap();
        prop_assert!(same.mutual_information.unwrap() < 1e-9);
        prop_assert!((one.nll - same.nll).abs() < 1e-9);
    }

    #[test]
    fn perfect_predictions_score_zero(labels in prop::collection::vec(0_usize..5, 1..30)) {
        let z: Vec<f32> = labels.iter().flat_map(|y| (0..5).map(move |k| if k == *y { 200.0 } else { 0.0 })).collect();
        let m = Predictions::from_logits(&z, 5).unwrap().score(&labels).unwrap();
        for score in [m.error, m.nll, m.ece, m.brier, m.predictive_entropy] {
            prop_assert!((0.0..1e-12).contains(&score), "{m:?}");
        }
    }
}
