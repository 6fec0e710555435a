//! A training that is taken up again comes to the same record, and to the same network.

use std::path::Path;

use clap::Parser;
use sparsevd::WarmUp;
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
    let mut records = Vec::new();
    desk.all([()], &mut records, |()| job.train(&desk, &mut net.clone())).unwrap();
    let mut record = records.remove(0);
    job.restore(&desk, &mut net).unwrap();
    record.values.remove("seconds");
    (record, net.layers().iter().flat_map(|(_, layer)| layer.theta()).collect())
}

#[test]
fn a_finished_training_is_taken_up_without_training_again() {
    let dir = tempfile::tempdir().unwrap();
    let split = Split::optdigits().unwrap().take(400, 100, 0).unwrap().centred();
    let first = train(&runs(dir.path(), &[]), &split, 1);
    assert!(first.0.values["error"] < 0.6 && first.0.values["epochs"] == 6.0, "{:?}", first.0.values);
    assert_eq!(first.0.curves["test error"].len(), 6);

    let file = dir.path().join("trainings/sparse-vd-1.safetensors");
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    let again = train(&runs(dir.path(), &["--resume"]), &split, 1);
    assert_eq!(first, again);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), long_ago, "it was not written again");
    assert_ne!(train(&runs(dir.path(), &[]), &split, 2).1, first.1);
}

#[test]
fn a_checkpoint_of_other_settings_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let split = Split::optdigits().unwrap().take(400, 100, 0).unwrap().centred();
    train(&runs(dir.path(), &[]), &split, 1);
    let refusal = |more: [&str; 2]| {
        let runs = runs(dir.path(), &["--resume", more[0], more[1]]);
        let mut net = Cpu::seed_from_u64(1).build_module::<Net, f32>();
        runs.prepare(&mut net).unwrap();
        let trainer = Trainer { seed: 1, ..runs.trainer() };
        let job = Job { label: "Sparse VD".into(), split: &split, trainer, prunes: true };
        let error = job.train(&Desk::of_size(&runs, 64, 6).unwrap(), &mut net).unwrap_err().to_string();
        assert!(error.contains("sparse-vd-1.safetensors"), "{error}");
        error
    };
    assert!(refusal(["--decay-from", "0.7"]).contains("schedule"));
    assert!(refusal(["--log-sigma2", "-8"]).contains("--log-sigma2"));
    assert!(refusal(["--threshold", "2"]).contains("--threshold"), "or scores at two thresholds would be one curve");
}

#[test]
fn a_task_that_fails_takes_nothing_from_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let desk = Desk::of_size(&runs(dir.path(), &[]), 64, 1).unwrap();
    let mut records = vec![Record::new("before", 0)];
    let work = |seed| if seed == 2 { Err(Error::Input("two".into())) } else { Ok(Record::new("done", seed)) };
    let failed = desk.all([1, 2, 3], &mut records, work).unwrap_err().to_string();
    assert!(failed.contains("two"), "{failed}");
    let seeds: Vec<u64> = records.iter().map(|record| record.seed).collect();
    assert_eq!(seeds, [0, 1], "and none after it");
    let mut seen = 0;
    let report = |records: Vec<Record>| {
        seen = records.len();
        Ok(())
    };
    assert!(sparsevd_lab::reported(Err("two".into()), records, report).is_err());
    assert_eq!(seen, 2);
}

#[test]
fn labels_that_differ_in_a_sign_are_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let split = Split::optdigits().unwrap().take(40, 20, 0).unwrap().centred();
    let runs = runs(dir.path(), &[]);
    for label in ["log sigma^2 = 2", "log sigma^2 = -2"] {
        let trainer = Trainer { epochs: 1, ..runs.trainer() };
        let job = Job { label: label.into(), split: &split, trainer, prunes: true };
        let mut net = Cpu::seed_from_u64(1).build_module::<Net, f32>();
        job.train(&Desk::of_size(&runs, 64, 1).unwrap(), &mut net).unwrap();
    }
    for name in ["log-sigma-2-2-0", "log-sigma-2-minus-2-0"] {
        assert!(dir.path().join("trainings").join(name).with_extension("safetensors").exists(), "{name}");
    }
}

#[test]
fn the_warm_up_is_one_number_or_two() {
    let parsed = |text: &str| Args::try_parse_from(["lab", "--epochs", "6", "--out", "x", "--warm-up", text]);
    for (text, warm_up) in [("5,60", (5.0, 60.0)), ("2", (2.0, 2.0)), ("0,0", (0.0, 0.0))] {
        assert_eq!(
            parsed(text).unwrap_or_else(|e| panic!("{e}")).runs.trainer().warm_up,
            WarmUp::Epochs(warm_up.0, warm_up.1)
        );
    }
    assert!(parsed("5,10,20").is_err() && parsed("").is_err());
    assert_eq!(runs(Path::new("x"), &[]).trainer().warm_up, WarmUp::Share(0.05, 0.5));
}

#[test]
fn sparsity_while_training_counts_at_the_threshold_of_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let split = Split::optdigits().unwrap().take(400, 100, 0).unwrap().centred();
    let sparsity = |threshold: &str| {
        let (record, _) = train(&runs(&dir.path().join(threshold), &["--threshold", threshold]), &split, 1);
        let (_, last) = *record.curves["sparsity"].last().unwrap();
        assert_eq!(last, 1.0 - record.values["kept"] / record.values["weights"]);
        [record.values["sparsity at start"], last]
    };
    let (high, low) = (sparsity("3"), sparsity("-3"));
    assert!((0..2).all(|i| low[i] > high[i]), "{low:?} {high:?}");
}
