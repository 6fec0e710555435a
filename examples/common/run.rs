//! One training, watched and evaluated.

use std::ops::ControlFlow;

use serde::Serialize;
use sparsevd::data::Images;
use sparsevd::prelude::*;

use super::args::Training;
use super::resume::how_to_resume;
use super::small::{Small, small};
use super::stop::stop_on_ctrl_c;

/// A training and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub trainer: Trainer,
    pub history: History,
    /// With the posterior means, nothing pruned.
    pub mean: Metrics,
    /// With the posterior means below the threshold, the others zero.
    pub pruned: Metrics,
    pub sparsity: Sparsity,
    /// What is left after compaction.
    pub small: Small,
    /// Training, without the evaluations after each epoch.
    pub seconds: f64,
    #[serde(skip)]
    pub log_alpha: Vec<(String, Vec<f64>)>,
}

/// Trains and evaluates a network, with checkpoints; Ctrl-C stops after the step.
pub fn run<N: Classifier<I, 10, f32, Cpu, Images> + Send, const I: usize>(
    mut net: N,
    split: &Split<Images>,
    trainer: Trainer,
    settings: &Training,
) -> Result<Run, Box<dyn std::error::Error>> {
    let (checkpoints, test, threshold) = (settings.checkpoints(stop_on_ctrl_c()?), split.test(), settings.threshold);
    let mut failed = None;
    let after_epoch = |net: &mut N, epoch: &mut Epoch| match watch(net, test, threshold, epoch) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    };
    let fit = || trainer.fit_resumable(&mut net, split.train(), &checkpoints, after_epoch);
    let history = on_threads(settings.threads, fit)??;
    failed.map_or(Ok(()), Err)?;
    if history.stopped {
        println!("{}", how_to_resume());
    }
    save_posterior_with(&net, settings.out.join("posterior.safetensors"), &trainer)?;
    Ok(Run {
        mean: score(&mut net, test, Evaluate::Mean)?,
        pruned: score(&mut net, test, Evaluate::Pruned(threshold))?,
        sparsity: net.sparsity(threshold)?,
        small: small(&mut net, test, threshold, &settings.out)?,
        seconds: history.epochs.iter().map(|epoch| epoch.seconds).sum(),
        log_alpha: net.layers().iter().map(|(path, layer)| (path.clone(), layer.log_alpha())).collect(),
        trainer,
        history,
    })
}

/// Adds to the record how the network does with the posterior means, and what the threshold would prune.
fn watch<N: Classifier<I, 10, f32, Cpu, Images>, const I: usize>(
    net: &mut N,
    test: &Dataset<Images>,
    threshold: f64,
    epoch: &mut Epoch,
) -> Result<(), Error> {
    epoch.test = Some(score(net, test, Evaluate::Mean)?);
    epoch.sparsity = net.sparsity(threshold)?;
    Ok(())
}

fn score<N: Classifier<I, 10, f32, Cpu, Images>, const I: usize>(
    net: &mut N,
    data: &Dataset<Images>,
    how: Evaluate,
) -> Result<Metrics, Error> {
    Ok(predict(net, data, how)?.score(data.labels())?)
}
