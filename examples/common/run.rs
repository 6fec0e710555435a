//! One training, watched and evaluated.

use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use serde::Serialize;
use sparsevd::data::Images;
use sparsevd::prelude::*;

use super::args::Training;
use super::stop::stop_on_ctrl_c;

/// A training and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub trainer: Trainer,
    pub history: History,
    /// After each epoch.
    pub watched: Vec<Watched>,
    /// With the posterior means, nothing pruned.
    pub mean: Metrics,
    /// With the posterior means below the threshold, the others zero.
    pub pruned: Metrics,
    pub sparsity: Sparsity,
    /// Training and the evaluations after each epoch.
    pub seconds: f64,
    #[serde(skip)]
    pub log_alpha: Vec<(String, Vec<f64>)>,
}

/// The network after an epoch, with the posterior means.
#[derive(Clone, Debug, Serialize)]
pub struct Watched {
    pub test: Metrics,
    pub sparsity: Sparsity,
}

/// Trains and evaluates a network; Ctrl-C stops after the epoch.
pub fn run<N: Classifier<I, 10, f32, Cpu, Images> + Send, const I: usize>(
    mut net: N,
    split: &Split<Images>,
    trainer: Trainer,
    settings: &Training,
) -> Result<Run, Box<dyn std::error::Error>> {
    let (stop, start, test) = (stop_on_ctrl_c()?, Instant::now(), split.test());
    let mut watched: Result<Vec<Watched>, Error> = Ok(Vec::new());
    let after_epoch = |net: &mut N, epoch: &mut Epoch| {
        match (watch(net, test, settings.threshold), &mut watched) {
            (Ok(seen), Ok(watched)) => {
                epoch.test_error = Some(seen.test.error);
                watched.push(seen);
            }
            (Err(error), _) => watched = Err(error),
            _ => {}
        }
        if watched.is_err() || stop.load(Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let history = on_threads(settings.threads, || trainer.fit_with(&mut net, split.train(), after_epoch))??;
    let (watched, seconds, threshold) = (watched?, start.elapsed().as_secs_f64(), settings.threshold);
    Ok(Run {
        mean: score(&mut net, test, Evaluate::Mean)?,
        pruned: score(&mut net, test, Evaluate::Pruned(threshold))?,
        sparsity: net.sparsity(threshold)?,
        log_alpha: net.layers().iter().map(|(path, layer)| (path.clone(), layer.log_alpha())).collect(),
        trainer,
        history,
        watched,
        seconds,
    })
}

fn watch<N: Classifier<I, 10, f32, Cpu, Images>, const I: usize>(
    net: &mut N,
    test: &Dataset<Images>,
    threshold: f64,
) -> Result<Watched, Error> {
    Ok(Watched { test: score(net, test, Evaluate::Mean)?, sparsity: net.sparsity(threshold)? })
}

fn score<N: Classifier<I, 10, f32, Cpu, Images>, const I: usize>(
    net: &mut N,
    data: &Dataset<Images>,
    how: Evaluate,
) -> Result<Metrics, Error> {
    Ok(predict(net, data, how)?.score(data.labels())?)
}
