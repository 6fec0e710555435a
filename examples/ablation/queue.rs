//! Runs methods and seeds side by side, one thread each.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use indicatif::{ProgressBar, ProgressStyle};
use sparsevd::prelude::*;

use crate::Args;
use crate::methods::{Job, Method, Net, Run};
use crate::stop::stop_on_ctrl_c;

/// A result, with what magnitude pruning needs of a dense network.
type Done<const I: usize> = (Run, Option<Net<I, Delta, Flat>>);

/// All methods with all seeds.
pub fn run_all<const I: usize>(args: &Args, split: &Split) -> Result<Vec<Run>, Box<dyn std::error::Error>> {
    let stop = stop_on_ctrl_c()?;
    let epochs = Method::trained().len() * args.epochs + args.epochs.div_ceil(2);
    let bar = ProgressBar::new(epochs as u64 * args.seeds);
    bar.set_style(ProgressStyle::with_template("{bar:24} {elapsed} (about {eta} left)  {msg}")?);
    let tick = |method: Method, epoch: &Epoch| {
        bar.inc(1);
        let (error, sparse) = (100.0 * epoch.train_error, 100.0 * epoch.sparsity.sparsity());
        bar.set_message(format!(
            "{}: nll {:.3}, train error {error:.1} %, sparse {sparse:.0} %",
            method.name(),
            epoch.nll
        ));
        !stop.load(Relaxed)
    };
    let job = |seed: u64| Job { args, split, seed, tick: &tick };

    let trained = (0..args.seeds).flat_map(|seed| Method::trained().iter().map(move |method| (*method, seed)));
    let mut done: Vec<Done<I>> = in_parallel(trained, stop, |(method, seed)| train(&job(seed), method))?;
    let mut pairs = Vec::new();
    for seed in 0..args.seeds {
        let of = |method: Method| move |done: &Done<I>| done.0.method == method && done.0.seed == seed;
        if let Some(sparse) = done.iter().find(|d| of(Method::SparseVd)(d)).map(|d| d.0.sparsity.clone())
            && let Some(dense) = done.iter_mut().find(|d| of(Method::Dense)(d)).and_then(|d| d.1.take())
        {
            pairs.push((seed, dense, sparse));
        }
    }
    let pruned = in_parallel(pairs, stop, |(seed, dense, sparse)| job(seed).magnitude(dense, &sparse))?;
    bar.finish_and_clear();
    let runs = done.into_iter().map(|(run, _)| run).chain(pruned);
    Ok(runs.filter(|run| !run.history.stopped).collect())
}

fn train<const I: usize>(job: &Job<'_>, method: Method) -> Result<Done<I>, Error> {
    let run = match method {
        Method::Dense | Method::Magnitude => {
            let (run, net) = job.train::<I, Delta, Flat>(method, |_| ())?;
            return Ok((run, Some(net)));
        }
        Method::BinaryDropout => {
            job.train::<I, Bernoulli, Flat>(method, |net| {
                // The usual rates: 0.2 on pixels, 0.5 on hidden units.
                net.0.posterior = Bernoulli::new(0.2).unwrap_or_default();
            })?
            .0
        }
        Method::GaussianDropout => job.train::<I, Multiplicative<Fixed>, Flat>(method, |_| ())?.0,
        Method::SparseVd => job.train::<I, Additive, LogUniform>(method, |_| ())?.0,
        Method::Ard => job.train::<I, Additive, Ard>(method, |_| ())?.0,
        Method::Gaussian => job.train::<I, Additive, Gaussian>(method, |_| ())?.0,
    };
    Ok((run, None))
}

/// Works through the tasks with one thread per processor, each computing on its own; results in the order of the tasks.
fn in_parallel<T: Send, R: Send>(
    tasks: impl IntoIterator<Item = T>,
    stop: &AtomicBool,
    work: impl Fn(T) -> Result<R, Error> + Sync,
) -> Result<Vec<R>, Error> {
    let queue: Mutex<VecDeque<(usize, T)>> = Mutex::new(tasks.into_iter().enumerate().collect());
    let results = Mutex::new(Vec::new());
    let next = || queue.lock().ok()?.pop_front();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((index, task)) = next().filter(|_| !stop.load(Relaxed)) {
                    let result = on_threads(1, || work(task)).flatten();
                    if let Ok(mut results) = results.lock() {
                        results.push((index, result));
                    }
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}
