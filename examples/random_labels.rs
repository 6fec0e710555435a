//! Random labels: the training of networks when there is nothing to learn.
//!
//! ```sh
//! cargo run --release --example random_labels                      # the digits inside the crate, about a minute
//! cargo run --release --example random_labels -- --data data/mnist
//! ```

use std::process::ExitCode;

use clap::Parser;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Bernoulli, Classifier, Delta};
use sparsevd_lab::args::{Runs, parse};
use sparsevd_lab::curves::{bands, kept, over_epochs};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::folder::Folder;
use sparsevd_lab::page::{Figure, publish};
use sparsevd_lab::record::Record;
use sparsevd_lab::results::Results;
use sparsevd_lab::size::{OnImages, on_images};
use sparsevd_lab::train::Job;
use sparsevd_lab::{Failure, finish};
use sparsevd_report::plots::Quantity;

/// Gives every training image a label drawn at random, keeps the true ones for testing, and trains a dense network
/// (inputs-300-100-10), one with binary dropout, ARD and Sparse VD on them.
///
/// A network that memorises reaches a training error near 0 and the test error of chance, 90 %. Sparse VD can prune all
/// weights instead.
///
/// Prints a table; writes results.json, figures (SVG) and report.html into the folder given by --out. Ctrl-C stops
/// after the current steps, reports the results so far and exits with 130; --resume continues.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(version)]
struct Args {
    #[command(flatten)]
    #[serde(flatten)]
    runs: Runs,
    /// Trains only on this number of images, the first of the file
    #[arg(long, value_name = "IMAGES")]
    images: Option<usize>,
    /// The share of labels that are random
    #[arg(long, default_value_t = 1.0)]
    random: f64,
    /// The rate of binary dropout, on pixels and on hidden units
    #[arg(long, default_value_t = 0.2)]
    dropout: f64,
}

const METHODS: [&str; 4] = ["Dense", "Binary dropout", "ARD", "Sparse VD"];

fn main() -> ExitCode {
    let defaults = [
        ("epochs", "200"),
        ("seeds", "3"),
        ("batch", "50"),
        ("learning_rate", "2e-3"),
        ("warm_up", "5,20"),
        ("out", "runs/random-labels"),
    ];
    finish(run(parse(&defaults)))
}

fn run(mut args: Args) -> Result<(), Failure> {
    if !(0.0..=1.0).contains(&args.random) {
        return Err(format!("--random {}: it must be a share from 0 to 1", args.random).into());
    }
    Bernoulli::new(args.dropout)?;
    let split = args.runs.split_or_digits((600, 300))?;
    let split = match args.images {
        Some(images) => Split::new(split.train().select(0..images)?, split.test().clone())?,
        None => split,
    };
    let split = split.centred();
    on_images(&args, &split, |records, folder| report(&args, &split, records, folder))
}

impl OnImages for Args {
    const NAME: &str = "random-labels";

    fn runs(&self) -> &Runs {
        &self.runs
    }

    fn records<const I: usize>(&self, split: &Split, records: &mut Vec<Record>) -> Result<(), Failure> {
        let cases = METHODS.into_iter().flat_map(|method| self.runs.all_seeds().map(move |seed| (method, seed)));
        let epochs = METHODS.len() * self.runs.epochs * self.runs.seeds as usize;
        let desk = Desk::of_size(&self.runs, I, epochs)?;
        let outcome = desk.all(cases, records, |(method, seed)| {
            let device = Cpu::seed_from_u64(seed);
            let task = Task { args: self, desk: &desk, method, seed, split: &shuffled(split, self.random, seed)? };
            match method {
                "Dense" => task.train(device.build_module::<LeNet300100<Flat, Delta, I>, f32>()),
                "Binary dropout" => task.train(dropout::<I>(&device, self.dropout)?),
                "ARD" => task.train(device.build_module::<LeNet300100<Ard, Additive, I>, f32>()),
                _ => task.train(device.build_module::<LeNet300100<LogUniform, Additive, I>, f32>()),
            }
        });
        desk.finish();
        Ok(outcome?)
    }
}

type Dropout<const I: usize> = <LeNet300100<Flat, Bernoulli, I> as BuildOnDevice<Cpu, f32>>::Built;

fn dropout<const I: usize>(device: &Cpu, rate: f64) -> Result<Dropout<I>, Error> {
    let mut net = device.build_module::<LeNet300100<Flat, Bernoulli, I>, f32>();
    (net.0.posterior, net.2.posterior) = (Bernoulli::new(rate)?, Bernoulli::new(rate)?);
    net.4.posterior = Bernoulli::new(rate)?;
    Ok(net)
}

/// The split with this share of the training labels drawn independently and uniformly from all classes.
fn shuffled(split: &Split, share: f64, seed: u64) -> Result<Split, Error> {
    let (train, mut random) = (split.train(), StdRng::seed_from_u64(seed));
    let mut draw = |label: &usize| {
        let other = random.gen_range(0..train.classes());
        if random.gen_bool(share) { other } else { *label }
    };
    let labels = train.labels().iter().map(&mut draw).collect();
    let train = Dataset::new(train.name(), train.dims(), train.classes(), train.inputs().to_vec(), labels)?;
    Ok(Split::new(train, split.test().clone())?)
}

/// A network to train.
struct Task<'a> {
    args: &'a Args,
    desk: &'a Desk,
    method: &'a str,
    seed: u64,
    split: &'a Split,
}

impl Task<'_> {
    /// Trains the network, and adds to the record the scores of the deployed network on the training images.
    fn train<N, const I: usize>(&self, mut net: N) -> Result<Record, Error>
    where
        N: Classifier<I, 10, f32, Cpu>,
    {
        let (trainer, prunes) =
            (Trainer { seed: self.seed, ..self.args.runs.trainer() }, ["ARD", "Sparse VD"].contains(&self.method));
        if prunes {
            self.args.runs.prepare(&mut net)?;
        }
        let job = Job { label: self.method.into(), split: self.split, trainer, prunes };
        let mut record = job.train(self.desk, &mut net)?;
        let deployed = if prunes { Evaluate::Pruned(self.args.runs.threshold) } else { Evaluate::Mean };
        let train = self.split.train();
        record.score("memorised ", &predict(&mut net, train, deployed)?.score(train.labels())?);
        record.set("commonest error", commonest_error(train));
        Ok(record)
    }
}

/// The error of always predicting the commonest label, which needs only a bias and no weight.
fn commonest_error(data: &Dataset) -> f64 {
    let count = |class: usize| data.labels().iter().filter(|label| **label == class).count();
    let most = (0..data.classes()).map(count).max().unwrap_or(0);
    1.0 - most as f64 / data.len() as f64
}

fn report(args: &Args, split: &Split, records: Vec<Record>, folder: &Folder) -> Result<(), Failure> {
    let results = Results::on(Args::NAME, args, split, records);
    let pruned = |record: &&Record| ["ARD", "Sparse VD"].contains(&record.label.as_str());
    let pruned: Vec<Record> = results.records.iter().filter(pruned).cloned().collect();
    let (y, title) = (Quantity::linear("error, sampled [%]"), "Error on the random labels during training");
    let error = over_epochs(&results.records, "train error", |error| 100.0 * error, y, title);
    let bands = bands(&results.records);
    let figures = vec![
        Figure::new("train-error", error, format!("90 % is chance; with the layers' noise. {bands}")),
        Figure::new("sparsity", kept(&pruned, args.runs.threshold), format!("The share of weights kept. {bands}")),
    ];
    let about = format!(
        "{}, {:.0} % of the training labels random, the others true; inputs-300-100-10, {} epochs.",
        args.runs.images(split),
        100.0 * args.random,
        args.runs.epochs
    );
    let columns = [
        "method",
        "memorised error",
        "commonest error",
        "error",
        "memorised nll",
        "sparsity",
        "compression",
        "seconds",
    ];
    publish("Random labels", &about, results, &[("Training and test", &columns)], figures, folder)
}
