//! This library's side of the race: one process that makes steps when `race.py` asks for them. `benches/race/README.md`
//! has the protocol.
//!
//! `race_worker worker SUITE/NET/ours [FOLDER]`

mod inference;

use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::{StandardNormal, Uniform};
use serde::Deserialize;
use serde_json::{Value, json};
use sparsevd::data::{Images, Layout, Vectors};
use sparsevd::prelude::*;
use sparsevd::{Classifier, LeNet5, VggQuarter, on_threads};

/// The number of distinct input batches, used in turn.
const POOL: usize = 16;
const LEARNING_RATE: f64 = 1e-3;

/// A request of the driver, one JSON object per line.
#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
enum Ask {
    /// One untimed step, then `n` timed ones.
    Run { n: usize },
    /// Steps for `sec` seconds.
    Calib { sec: f64 },
    /// This process's memory.
    Mem,
}

/// One step of the work; returns its loss.
type Step = Box<dyn FnMut() -> Result<f64, Error>>;

/// The steps of a worker, and the outputs for its first inputs if they can be compared.
struct Work {
    step: Step,
    outputs: Option<Vec<f32>>,
}

/// Builds the work with this name.
fn work(spec: &str, folder: &Path) -> Result<Work, String> {
    let predicts = match spec {
        "infer/mlp/ours" => Some(inference::compacted(folder, &inference::MLP, [784, 1, 1])),
        "infer/lenet5/ours" => Some(inference::compacted(folder, &inference::LENET5, [1, 28, 28])),
        "infer/mlp/ours_dense" => Some(inference::mlp(folder)),
        "infer/lenet5/ours_dense" => Some(inference::lenet5(folder)),
        _ => None,
    };
    if let Some(work) = predicts {
        return work.map_err(|error| error.to_string());
    }
    let step = match spec {
        "train/mlp/ours" => training::<LeNet300100, Vectors, 784>(100, 60_000, [1, 28, 28]),
        "train/lenet5/ours" => training::<LeNet5, Images, 1>(100, 60_000, [1, 28, 28]),
        "train/vgg/ours" => training::<VggQuarter, Images, 3>(50, 50_000, [3, 32, 32]),
        "kl/784x300/ours" => kl(),
        _ => return Err(format!("unknown work {spec:?}; `work` in worker.rs lists the known ones")),
    };
    step.map(|step| Work { step, outputs: None }).map_err(|error| error.to_string())
}

/// Forward, KL of every weight, backward and Adam on a classifier in 10 classes, with inputs from N(0, 1) and random
/// labels.
fn training<Net, L: Layout, const I: usize>(batch: usize, n: usize, dims: [usize; 3]) -> Result<Step, Error>
where
    Net: BuildOnDevice<Cpu, f32, Built: Classifier<I, 10, f32, Cpu, L>>,
    Net::Built: 'static,
{
    let shape = L::shape::<I>(batch, dims)
        .ok_or_else(|| Error::Input(format!("the network does not read inputs of {dims:?}")))?;
    let (device, mut rng) = (Cpu::seed_from_u64(0), StdRng::seed_from_u64(0));
    device.enable_cache(); // as `Trainer` does
    let mut net = device.build_module::<Net, f32>();
    start_like_the_peers(&mut net, &mut rng)?;
    let batches: Vec<_> = (0..POOL)
        .map(|_| (device.sample_normal_like(&shape), (0..batch).map(|_| rng.gen_range(0..10)).collect::<Vec<_>>()))
        .collect();
    let mut adam = Adam::new(LEARNING_RATE);
    let elbo = Elbo::new(n)?;
    let mut turn = (0..POOL).cycle();
    Ok(Box::new(move || {
        let (x, labels) = &batches[turn.next().unwrap_or(0)];
        let x = net.input(x.clone());
        let nll = categorical(net.forward_mut(x), labels)?;
        let loss = elbo.loss(&net, nll, 0.0)?;
        let value = loss.nll + loss.kl * loss.beta / n as f64;
        adam.step(&mut net, loss.objective)?;
        Ok(value)
    }))
}

/// Sets θ from N(0, 0.02²) in dense layers and N(0, 0.05²) in convolutions (of at most 5 × 5 per channel), and log σ² =
/// -10.
fn start_like_the_peers(net: &mut impl Network<f32, Cpu>, rng: &mut StdRng) -> Result<(), Error> {
    for (_, layer) in net.layers_mut() {
        let std = if layer.grid().area > 1 { 0.05 } else { 0.02 };
        let theta: Vec<f64> = (0..layer.grid().len()).map(|_| std * rng.sample::<f64, _>(StandardNormal)).collect();
        layer.set_theta(&theta)?;
        layer.set_spread(-10.0)?;
    }
    Ok(())
}

/// Value and gradient of the KL of 784 × 300 weights, with log σ² from -12 to -4.
fn kl() -> Result<Step, Error> {
    let device = Cpu::seed_from_u64(0);
    device.enable_cache(); // as `Trainer` does
    let mut layer = device.build_module::<SparseVdLinear<784, 300>, f32>();
    start_like_the_peers(&mut layer, &mut StdRng::seed_from_u64(0))?;
    layer.spread.fill_with_distr(Uniform::new(-12.0, -4.0));
    Ok(Box::new(move || {
        let kl = layer.kl().map_err(|error| Error::Device(format!("{error:?}")))?;
        let value = f64::from(kl.array());
        black_box(kl.backward());
        Ok(value)
    }))
}

/// A line of `/proc/self/status`, in MB.
fn memory(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let kb = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}

fn answer(ask: Ask, step: &mut Step) -> Result<Value, Error> {
    Ok(match ask {
        Ask::Run { n } => {
            let mut loss = step()?;
            let mut times = Vec::with_capacity(n);
            let start = Instant::now();
            for _ in 0..n {
                let one = Instant::now();
                loss = step()?;
                times.push(one.elapsed().as_secs_f64());
            }
            let mean = start.elapsed().as_secs_f64() / n as f64;
            times.sort_by(f64::total_cmp);
            json!({ "mean": mean, "med": times.get(n / 2), "loss": loss })
        }
        Ask::Calib { sec } => {
            let (start, mut n) = (Instant::now(), 0);
            while n < 2 || start.elapsed().as_secs_f64() < sec {
                step()?;
                n += 1;
            }
            json!({ "n": n, "sec": start.elapsed().as_secs_f64() })
        }
        Ask::Mem => {
            let [hwm, rss, anon, file] = ["VmHWM", "VmRSS", "RssAnon", "RssFile"].map(memory);
            json!({ "hwm_mb": hwm, "rss_mb": rss, "anon_mb": anon, "file_mb": file })
        }
    })
}

fn say(line: &Value) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

fn main() -> ExitCode {
    if std::env::var_os("ADOPT").is_some() {
        rayon::ThreadPoolBuilder::new().use_current_thread().build_global().unwrap();
    }
    match on_threads(0, || serve().map_err(|error| error.to_string())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("race_worker: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("race_worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (spec, folder) = match &args[..] {
        [verb, spec] if verb == "worker" => (spec, ""),
        [verb, spec, folder] if verb == "worker" => (spec, folder.as_str()),
        _ => return Err("usage: race_worker worker SUITE/NET/ours [FOLDER]".into()),
    };
    let (at_start, start) = (memory("VmHWM"), Instant::now());
    let Work { mut step, outputs } = work(spec, folder.as_ref())?;
    let (setup, start) = (start.elapsed().as_secs_f64(), Instant::now());
    step()?;
    let first = start.elapsed().as_secs_f64();
    (0..2).try_for_each(|_| step().map(drop))?;
    let loss = step()?;
    let versions = json!({ "sparsevd": env!("CARGO_PKG_VERSION"), "dfdx": "0.13" });
    say(&json!({ "ready": {
        "setup_s": setup, "first_step_s": first, "loss0": loss, "hwm_import_mb": at_start, "versions": versions,
        "outputs": outputs,
    } }))?;
    for line in std::io::stdin().lock().lines() {
        say(&answer(serde_json::from_str(&line?)?, &mut step)?)?;
    }
    Ok(())
}
