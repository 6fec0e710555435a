//! A training that is taken up again comes to the same record, and to the same network.

use std::path::Path;

use clap::Parser;
use sparsevd::prelude::*;
use sparsevd_lab::args::Runs;
use sparsevd_lab::desk::Desk;
use sparsevd_lab::record::Record;
use sparsevd_lab::train::Job;

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    runs: Runs,
}

type Net = (SparseVdLinear<64, 12>, ReLU, SparseVdLinear<12, 10>);

fn runs(out: &Path, more: &[&str]) -> Runs {
    let fixed = [
        "lab",
        "--epochs",
        "6",
        "--batch",
        "20",
        "--learning-rate",
        "2e-2",
        "--beta",
        "0.1",
        "--threads",
        "1",
        "--out",
    ];
    let out = out.to_str().unwrap();
    Args::parse_from(fixed.into_iter().chain([out]).chain(more.iter().copied())).runs
}

fn train(runs: &Runs, split: &Split, seed: u64) -> (Record, Vec<f64>) {
    let mut net = Cpu::seed_from_u64(seed).build_module::<Net, f32>();
    runs.prepare(&mut net).unwrap();
    let trainer = Trainer { seed, ..runs.trainer() };
    let job = Job { label: "Sparse VD".into(), split, trainer, prunes: true };
    let desk = Desk::of_size(runs, 64, runs.epochs).unwrap(); // without a bar on every training
    let mut record = desk.all([()], |()| job.train(&desk, &mut net.clone())).unwrap().remove(0);
    job.restore(&desk, &mut net).unwrap();
    record.values.remove("seconds");
    (record, net.layers().iter().flat_map(|(_, layer)| layer.theta()).collect())
}

#[test]
fn a_finished_training_is_taken_up_without_training_again() {
    let dir = tempfile::tempdir().unwrap();
    let split = Split::optdigits().unwrap().take(400, 100).unwrap().centred();
    let first = train(&runs(dir.path(), &[]), &split, 1);
    assert!(first.0.values["error"] < 0.6 && first.0.values["epochs"] == 6.0, "{:?}", first.0.values);
    assert_eq!(first.0.curves["test error"].len(), 6);

    let file = dir.path().join("trainings/sparse-vd-1.safetensors");
    let written = std::fs::metadata(&file).unwrap().modified().unwrap();
    let again = train(&runs(dir.path(), &["--resume"]), &split, 1);
    assert_eq!(first, again);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), written);
    assert_ne!(train(&runs(dir.path(), &[]), &split, 2).1, first.1);
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let split = Split::optdigits().unwrap().take(400, 100).unwrap().centred();
    train(&runs(dir.path(), &[]), &split, 1);
    let runs = runs(dir.path(), &["--resume", "--decay-from", "0.7"]);
    let mut net = Cpu::seed_from_u64(1).build_module::<Net, f32>();
    runs.prepare(&mut net).unwrap();
    let job =
        Job { label: "Sparse VD".into(), split: &split, trainer: Trainer { seed: 1, ..runs.trainer() }, prunes: true };
    let error = job.train(&Desk::of_size(&runs, 64, 6).unwrap(), &mut net).unwrap_err().to_string();
    assert!(error.contains("schedule") && error.contains("sparse-vd-1.safetensors"), "{error}");
}

#[test]
fn sparsity_while_training_counts_at_the_threshold_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let split = Split::optdigits().unwrap().take(400, 100).unwrap().centred();
    let sparsity = |threshold: &str| {
        let (record, _) = train(&runs(&dir.path().join(threshold), &["--threshold", threshold]), &split, 1);
        let (_, last) = *record.curves["sparsity"].last().unwrap();
        assert_eq!(last, 1.0 - record.values["kept"] / record.values["weights"]);
        [record.values["sparsity at start"], last]
    };
    let (high, low) = (sparsity("3"), sparsity("-3"));
    assert!((0..2).all(|i| low[i] > high[i]), "{low:?} {high:?}");
}
