//! An experiment that starts from the posteriors of another one.

use std::path::Path;

use clap::Parser;
use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd_lab::args::Runs;
use sparsevd_lab::desk::Desk;
use sparsevd_lab::record::Record;
use sparsevd_lab::results::Results;
use sparsevd_lab::seeds::{Seeds, Start};

#[derive(Parser, Serialize)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    #[command(flatten)]
    #[serde(flatten)]
    start: Start,
}

type Net = (SparseVdLinear<64, 12>, ReLU, SparseVdLinear<12, 10>);

/// The records of two seeds.
fn run(out: &Path, more: &[&str]) -> Result<Vec<Record>, Box<dyn std::error::Error>> {
    sweep(out, more, &[])
}

/// The records of two seeds with each of these KL weights.
fn sweep(out: &Path, more: &[&str], betas: &[f64]) -> Result<Vec<Record>, Box<dyn std::error::Error>> {
    let usual = ["lab", "--epochs", "3", "--batch", "20", "--seeds", "2", "--threads", "1", "--out"];
    let args = Args::parse_from(usual.into_iter().chain(out.to_str()).chain(more.iter().copied()));
    let split = Split::optdigits()?.take(400, 100, 0)?.centred();
    let trainer = args.runs.trainer();
    let seeds = Seeds { experiment: "lab", title: String::new(), split: &split, trainer, start: &args.start, betas };
    seeds.run(&Desk::new(&args.runs)?, &args.runs, &args, |seed, _| {
        let mut net = Cpu::seed_from_u64(seed).build_module::<Net, f32>();
        args.runs.prepare(&mut net)?;
        Ok(net)
    })?;
    let mut records = Results::read(out.join("results.json"))?.records;
    records.retain(|record| record.label.starts_with("Sparse VD"));
    Ok(records)
}

/// A learning rate too small to move any weight shows what it started from.
#[test]
fn each_seed_goes_on_from_its_own_posterior() {
    let dir = tempfile::tempdir().unwrap();
    let [first, again, anew] = ["first", "again", "anew"].map(|name| dir.path().join(name));
    let still = ["--learning-rate", "1e-30"];
    let trained = run(&first, &["--learning-rate", "2e-2"]).unwrap();
    let again = run(&again, &[&still[..], &["--from", first.to_str().unwrap()]].concat()).unwrap();
    let anew = run(&anew, &still).unwrap();
    let scores = |records: &[Record]| -> Vec<[f64; 2]> {
        records.iter().map(|record| ["nll", "kept"].map(|name| record.values[name])).collect()
    };
    assert_eq!(scores(&again), scores(&trained));
    assert!((0..2).all(|i| scores(&anew)[i] != scores(&trained)[i]));

    let itself = run(&first, &["--from", first.to_str().unwrap()]).unwrap_err().to_string();
    assert!(itself.contains("the same folder"), "{itself}");
    let endless = Args::try_parse_from(["lab", "--out", "x", "--threshold", "inf"]).err().unwrap().to_string();
    assert!(endless.contains("must be finite"), "{endless}");

    std::fs::remove_dir_all(first.join("seed-1")).unwrap();
    let half = dir.path().join("half");
    let missing = run(&half, &["--from", first.to_str().unwrap()]).unwrap_err().to_string();
    let reported = Results::read(half.join("results.json")).unwrap().records;
    assert!(reported.iter().all(|record| record.seed == 0) && !reported.is_empty(), "what was done before is reported");
    assert!(missing.contains("seed-1") && missing.contains("posterior.safetensors"), "{missing}");
}

/// Each KL weight starts from the same network, whatever was trained before it.
#[test]
fn a_sweep_is_the_training_runs_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let out = |name: &str| dir.path().join(name);
    let both = sweep(&out("both"), &[], &[3.0, 0.5]).unwrap();
    let labels: Vec<&str> = both.iter().map(|record| record.label.as_str()).collect();
    let expected = ["Sparse VD, beta = 3", "Sparse VD, beta = 0.5", "Sparse VD, beta = 3", "Sparse VD, beta = 0.5"];
    assert_eq!(labels, expected);
    let one = run(&out("one"), &["--beta", "0.5"]).unwrap();
    let nll = |records: &[&Record]| records.iter().map(|record| record.values["nll"]).collect::<Vec<_>>();
    assert_eq!(nll(&[&both[1], &both[3]]), nll(&one.iter().collect::<Vec<_>>()));
    assert_ne!(both[0].values["nll"], both[1].values["nll"]);
    for file in ["seed-0-beta-3/compact.safetensors", "seed-1-beta-0.5/posterior.safetensors", "tradeoff.svg"] {
        assert!(out("both").join(file).is_file(), "{file}");
    }
}
