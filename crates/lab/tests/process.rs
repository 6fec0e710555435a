//! An experiment as a process: what it ends with when it is stopped, and two of them on one folder.
//!
//! The binary runs itself, with arguments, as the experiment. It has no harness, so that `main` can end with what an
//! experiment ends with. Nothing here waits for a time: each step waits for a line that a process prints.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};

use clap::Parser;
use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd_lab::args::Runs;
use sparsevd_lab::desk::Desk;
use sparsevd_lab::page::publish;
use sparsevd_lab::results::Results;
use sparsevd_lab::train::Job;
use sparsevd_lab::{Failure, finish, reported};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "--out") {
        return finish(experiment(&Args::parse()));
    }
    if words.iter().any(|word| word == "--list") || !cfg!(unix) {
        return ExitCode::SUCCESS; // signals are sent with `kill`
    }
    for (name, test) in TESTS {
        println!("test {name} ..");
        test();
        println!("test {name} .. ok");
    }
    ExitCode::SUCCESS
}

type Test = (&'static str, fn());

const TESTS: [Test; 5] = [
    ("a_signal_ends_it_with_130_or_143_and_keeps_what_it_had", a_signal_ends_it_with_130_or_143_and_keeps_what_it_had),
    ("stopped_before_any_result_it_ends_with_130_too", stopped_before_any_result_it_ends_with_130_too),
    ("it_ends_with_0_when_done_and_with_1_when_a_seed_fails", it_ends_with_0_when_done_and_with_1_when_a_seed_fails),
    ("two_on_one_folder_do_not_mix", two_on_one_folder_do_not_mix),
    ("a_killed_one_leaves_no_lock", a_killed_one_leaves_no_lock),
];

/// Trains a small network: seed 0 for an epoch, the next ones for `epochs`.
#[derive(Parser, Serialize)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    /// A seed that fails
    #[arg(long)]
    fails: Option<u64>,
}

type Net = (SparseVdLinear<64, 4>, ReLU, SparseVdLinear<4, 10>);

fn experiment(args: &Args) -> Result<(), Failure> {
    let split = Split::optdigits()?.take(40, 20, 0)?.centred();
    let folder = args.runs.claim("process", args)?;
    let desk = Desk::of_size(&args.runs, 64, 0)?;
    let mut records = Vec::new();
    println!("begun");
    let outcome = desk.all(args.runs.all_seeds(), &mut records, |seed| {
        if args.fails == Some(seed) {
            return Err(Error::Input("this seed fails".into()));
        }
        let mut net = Cpu::seed_from_u64(seed).build_module::<Net, f32>();
        let epochs = if seed == 0 { 1 } else { args.runs.epochs };
        let trainer = Trainer { seed, epochs, ..args.runs.trainer() };
        Job { label: "Sparse VD".into(), split: &split, trainer, prunes: true }.train(&desk, &mut net)
    });
    desk.finish();
    reported(outcome.map_err(Into::into), records, |records| {
        let results = Results::new("process", args, &split, records);
        publish("Process", "A test.", results, &[("Scores", &["network", "seed", "error"])], Vec::new(), &folder)
    })
}

/// A training that no test waits for to end.
const ENDLESS: &str = "1000000000";

fn start(out: &Path, more: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--batch", "20", "--threads", "1", "--out"]).arg(out).args(more);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap());
    (child, lines)
}

/// Reads up to a line that begins so.
fn wait_for(lines: &mut BufReader<ChildStdout>, start: &str) {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if line.starts_with(start) {
            return;
        }
        line.clear();
    }
    panic!("it ended without printing `{start}`");
}

fn send(signal: &str, child: &Child) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Exit code, the rest of what it printed, and what it complained of.
fn end((mut child, mut lines): (Child, BufReader<ChildStdout>)) -> (Option<i32>, String, String) {
    let (mut printed, mut complained) = (String::new(), String::new());
    lines.read_to_string(&mut printed).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut complained).unwrap();
    (child.wait().unwrap().code(), printed, complained)
}

fn a_signal_ends_it_with_130_or_143_and_keeps_what_it_had() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let dir = tempfile::tempdir().unwrap();
        let (child, mut lines) = start(dir.path(), &["--epochs", ENDLESS, "--seeds", "2"]);
        wait_for(&mut lines, "Sparse VD, seed 0:");
        send(signal, &child);
        let (ended, printed, complained) = end((child, lines));
        assert_eq!(ended, Some(code), "{signal}: {printed}{complained}");
        assert!(printed.trim_end().ends_with("--resume"), "it says how to go on: {printed}");
        let records = Results::read(dir.path().join("results.json")).unwrap().records;
        assert!(records.iter().any(|record| record.seed == 0 && !record.unfinished), "{records:?}");
        assert!(records.iter().all(|record| record.unfinished == (record.seed == 1)), "{records:?}");
        let page = std::fs::read_to_string(dir.path().join("report.html")).unwrap();
        assert!(records.len() < 2 || page.contains("(unfinished)"));
    }
}

fn stopped_before_any_result_it_ends_with_130_too() {
    let dir = tempfile::tempdir().unwrap();
    let (child, mut lines) = start(dir.path(), &["--epochs", ENDLESS, "--seed", "1"]);
    wait_for(&mut lines, "begun");
    send("-INT", &child);
    let (ended, printed, complained) = end((child, lines));
    assert_eq!((ended, complained.as_str()), (Some(130), ""), "{printed}");
}

fn it_ends_with_0_when_done_and_with_1_when_a_seed_fails() {
    let dir = tempfile::tempdir().unwrap();
    let done = end(start(&dir.path().join("done"), &["--epochs", "1"]));
    assert_eq!(done.0, Some(0), "{done:?}");
    let failed = end(start(&dir.path().join("failed"), &["--epochs", "1", "--seeds", "2", "--fails", "1"]));
    assert!(failed.0 == Some(1) && failed.2.contains("this seed fails"), "{failed:?}");
    let again = end(start(&dir.path().join("done"), &["--epochs", "2"]));
    assert!(again.0 == Some(1) && again.2.contains("epochs 1, now 2") && again.2.contains("--overwrite"), "{again:?}");
}

fn two_on_one_folder_do_not_mix() {
    let dir = tempfile::tempdir().unwrap();
    let (first, mut lines) = start(dir.path(), &["--epochs", ENDLESS, "--seeds", "2"]);
    wait_for(&mut lines, "Sparse VD, seed 0:");
    for more in
        [&["--epochs", "1"][..], &["--epochs", ENDLESS, "--seeds", "2", "--resume"], &["--epochs", "1", "--overwrite"]]
    {
        let (ended, printed, complained) = end(start(dir.path(), more));
        assert_eq!(ended, Some(1), "{printed}");
        assert!(
            complained.contains(&format!("process {} on ", first.id())) && complained.contains("--epochs"),
            "{complained}"
        );
    }
    send("-INT", &first);
    assert_eq!(end((first, lines)).0, Some(130), "the first one was not disturbed");
    let seeds = Results::read(dir.path().join("results.json")).unwrap().configuration["seeds"].clone();
    assert_eq!(seeds, 2);
}

fn a_killed_one_leaves_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (child, mut lines) = start(dir.path(), &["--epochs", ENDLESS, "--seeds", "2"]);
    wait_for(&mut lines, "Sparse VD, seed 0:");
    send("-KILL", &child);
    assert_eq!(end((child, lines)).0, None);
    let (ended, _, complained) = end(start(dir.path(), &["--epochs", "1"]));
    assert!(ended == Some(1) && complained.contains("--resume"), "its checkpoints are kept: {complained}");
    let (ended, _, complained) = end(start(dir.path(), &["--epochs", "1", "--overwrite"]));
    assert_eq!((ended, complained.as_str()), (Some(0), ""));
}
