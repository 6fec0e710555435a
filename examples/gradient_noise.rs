//! The additive and the multiplicative form of the posterior: the noise of their gradients, and the trained networks.
//!
//! ```sh
//! cargo run --release --example gradient_noise                      # the digits inside the crate
//! cargo run --release --example gradient_noise -- --data data/mnist
//! ```

use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Classifier, Delta, Estimator, GradientVariance, PerWeight, copy_means, gradient_variance};
use sparsevd_lab::args::{Runs, parse};
use sparsevd_lab::curves::{bands, kept, over_epochs, over_seeds};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::folder::Folder;
use sparsevd_lab::page::{Figure, publish};
use sparsevd_lab::record::Record;
use sparsevd_lab::results::Results;
use sparsevd_lab::size::{OnImages, on_images};
use sparsevd_lab::train::Job;
use sparsevd_lab::{Failure, finish};
use sparsevd_report::plots::{Quantity, curves};

/// Measures the variance of the gradient of the means θ at log α from -8 to 4, the same for all weights, in two
/// parameterisations of the same posterior: additive, w = θ + σ ε, and multiplicative, w = θ (1 + sqrt(α) ε); with
/// local reparameterisation and with one sample of the weights per batch. θ is that of a dense network trained for a
/// few epochs (inputs-300-100-10).
///
/// Then trains both with the log-uniform prior and an α for each weight, each from a new network.
///
/// Prints tables; writes results.json, figures (SVG) and report.html into the folder given by --out. Ctrl-C stops after
/// the current steps, reports the results so far and exits with 130; --resume continues.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    /// Number of passes with new noise for an estimate of a variance
    #[arg(long, default_value_t = 50)]
    passes: usize,
    /// Number of epochs of the dense network
    #[arg(long, default_value_t = 5)]
    dense_epochs: usize,
}

type Net<const I: usize, Q, P> = <LeNet300100<P, Q, I> as BuildOnDevice<Cpu, f32>>::Built;
type Multiplied = Multiplicative<PerWeight>;

const LAYERS: [&str; 3] = ["first layer", "second layer", "last layer"];

fn main() -> ExitCode {
    let defaults = [("epochs", "60"), ("seeds", "3"), ("batch", "50"), ("learning_rate", "2e-3")];
    let own = [("masking", "nothing"), ("out", "runs/gradient-noise")];
    finish(run(parse(&[&defaults[..], &own[..]].concat())))
}

fn run(mut args: Args) -> Result<(), Failure> {
    let split = args.runs.split_or_digits((600, 300))?.centred();
    if args.runs.quick {
        args.passes = args.passes.min(2);
    }
    on_images(&args, &split, |records, folder| report(&args, &split, records, folder))
}

impl OnImages for Args {
    const NAME: &str = "gradient-noise";

    fn runs(&self) -> &Runs {
        &self.runs
    }

    /// The variances, then the training runs.
    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure> {
        let desk = Desk::new(&self.runs)?;
        for seed in self.runs.all_seeds().take_while(|_| !desk.stopped()) {
            records.extend(variances::<I>(self, split, &desk, seed)?);
        }
        let cases = self.runs.all_seeds().flat_map(|seed| [(seed, true), (seed, false)]);
        let outcome = desk.all(cases, records, |(seed, additive)| {
            let (trainer, device) = (Trainer { seed, ..self.runs.trainer() }, Cpu::seed_from_u64(seed));
            let label =
                if additive { "Sparse VD, additive, trained" } else { "Variational dropout, multiplicative, trained" };
            let job = Job { label: label.into(), split, trainer, prunes: true };
            if additive {
                let mut net = device.build_module::<LeNet300100<LogUniform, Additive, I>, f32>();
                self.runs.prepare(&mut net)?;
                return job.train(&desk, &mut net);
            }
            let mut net = device.build_module::<LeNet300100<LogUniform, Multiplied, I>, f32>();
            net.configure(self.runs.masking.settings(self.runs.threshold)); // its second parameter is log α, not log σ²
            job.train(&desk, &mut net)
        });
        desk.finish();
        Ok(outcome?)
    }
}

/// A record for each parameterisation and estimator, with a curve for each layer.
fn variances<const I: usize>(args: &Args, split: &Split, desk: &Desk, seed: u64) -> Result<Vec<Record>, Error> {
    let device = Cpu::seed_from_u64(seed);
    let mut dense = device.build_module::<LeNet300100<Flat, Delta, I>, f32>();
    let trainer = Trainer { seed, epochs: args.dense_epochs, ..args.runs.trainer() };
    let job = Job { label: "Dense".into(), split, trainer, prunes: false };
    if desk.one(|| job.train(desk, &mut dense))?.unfinished {
        return Ok(Vec::new());
    }
    let mut additive = device.build_module::<LeNet300100<LogUniform, Additive, I>, f32>();
    let mut multiplicative = device.build_module::<LeNet300100<LogUniform, Multiplied, I>, f32>();
    copy_means(&dense, &mut additive)?;
    copy_means(&dense, &mut multiplicative)?;

    let forms = ["Sparse VD, additive", "Variational dropout, multiplicative"];
    let kinds = [("", Estimator::LocalReparameterisation), (", weights sampled", Estimator::WeightSampling)];
    let label = |form: &str, kind: &str| Record::new(format!("{form}{kind}"), seed);
    let mut records: Vec<Record> = kinds.iter().flat_map(|(kind, _)| forms.map(|form| label(form, kind))).collect();
    for log_alpha in (-8..=4).map(f64::from) {
        same_alpha(&mut additive, log_alpha);
        multiplicative.layers_mut().into_iter().try_for_each(|(_, layer)| layer.set_spread(log_alpha))?;
        for (i, (_, estimator)) in kinds.into_iter().enumerate() {
            let settings = Settings { estimator, ..Settings::default() };
            add(&mut records[2 * i], log_alpha, &variance(args, split, &mut additive, settings, seed)?);
            add(&mut records[2 * i + 1], log_alpha, &variance(args, split, &mut multiplicative, settings, seed)?);
        }
    }
    Ok(records)
}

/// Sets log σ² = log α + log θ².
fn same_alpha<const I: usize>(net: &mut Net<I, Additive, LogUniform>, log_alpha: f64) {
    let spread =
        |theta: Vec<f32>| -> Vec<f32> { theta.into_iter().map(|x| (x * x + 1e-30).ln() + log_alpha as f32).collect() };
    net.0.spread.copy_from(&spread(net.0.theta.as_vec()));
    net.2.spread.copy_from(&spread(net.2.theta.as_vec()));
    net.4.spread.copy_from(&spread(net.4.theta.as_vec()));
}

/// The variance of the gradient of θ, layer by layer, in nats² of the negative log-likelihood of an example, averaged
/// over a batch.
fn variance<N, const I: usize>(
    args: &Args,
    split: &Split,
    net: &mut N,
    settings: Settings,
    seed: u64,
) -> Result<Vec<GradientVariance>, Error>
where
    N: Classifier<I, 10, f32, Cpu>,
{
    net.configure(settings);
    let batch = split.train().select(0..args.runs.batch)?;
    let x: Tensor<(usize, Const<I>), f32, Cpu> =
        Cpu::default().tensor_from_vec(batch.inputs().to_vec(), (batch.len(), Const));
    gradient_variance(net, args.passes, seed, |net| {
        let x = net.input(x.clone());
        categorical(net.forward_mut(x), batch.labels())
    })
}

fn add(record: &mut Record, log_alpha: f64, found: &[GradientVariance]) {
    for (name, of) in LAYERS.iter().zip(found) {
        record.curves.entry((*name).into()).or_default().push((log_alpha, of.theta.mean));
    }
    if let ([first, ..], 0) = (found, log_alpha as i64 % 2) {
        record.set(format!("at {log_alpha:+}"), first.theta.mean);
    }
}

fn report(args: &Args, split: &Split, records: Vec<Record>, folder: &Folder) -> Result<(), Failure> {
    let results = Results::on(Args::NAME, args, split, records);
    let (mut figures, bands) = (Vec::new(), bands(&results.records));
    for layer in LAYERS {
        let y = Quantity::log("Var of dNLL/dθ, mean over weights [nats²]");
        let lines = over_seeds(&results.records, layer, |y| y);
        let svg = curves(&lines, Quantity::linear("log α"), y, &format!("Gradient noise, {layer}"));
        let caption =
            format!("The variance of the gradient of a mean over the noise of the pass, for the same data. {bands}");
        figures.push(Figure::new(&format!("variance-{}", layer.replace(' ', "-")), svg, caption));
    }
    let trained: Vec<Record> = results.records.iter().filter(|r| r.values.contains_key("error")).cloned().collect();
    let nll = Quantity::log("NLL [nats per image]");
    let nll = over_epochs(&trained, "train nll", |nll| nll, nll, "Training, with the layers' noise");
    figures.push(Figure::new("training", nll, bands.as_str()));
    figures.push(Figure::new("sparsity", kept(&trained, args.runs.threshold), bands));
    let variances = ["form", "at -8", "at -4", "at +0", "at +2", "at +4"];
    let scores = ["form", "error", "mean error", "train nll", "nll", "sparsity", "compression"];
    let tables = [("Variance of the gradient of θ, first layer, nats²", &variances[..]), ("Trained", &scores[..])];
    let about = format!(
        "{}; inputs-300-100-10; {} passes for each variance, batches of {}; {} epochs.",
        args.runs.images(split),
        args.passes,
        args.runs.batch,
        args.runs.epochs
    );
    publish("Gradient noise", &about, results, &tables, figures, folder)
}
