//! The seven methods, each one posterior and one prior of the same network.

use std::ops::ControlFlow;

use serde::Serialize;
use sparsevd::prelude::*;

use crate::Args;

/// A method of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Method {
    Dense,
    BinaryDropout,
    GaussianDropout,
    SparseVd,
    Ard,
    Gaussian,
    Magnitude,
}

impl Method {
    /// In the order of the table.
    pub const ALL: [Method; 7] = [
        Method::Dense,
        Method::BinaryDropout,
        Method::GaussianDropout,
        Method::SparseVd,
        Method::Ard,
        Method::Gaussian,
        Method::Magnitude,
    ];

    /// Those that are trained from scratch: all but the last.
    pub fn trained() -> &'static [Method] {
        &Method::ALL[..6]
    }

    pub fn name(self) -> &'static str {
        match self {
            Method::Dense => "Dense",
            Method::BinaryDropout => "Binary dropout",
            Method::GaussianDropout => "Gaussian dropout",
            Method::SparseVd => "Sparse VD",
            Method::Ard => "ARD",
            Method::Gaussian => "Gaussian prior",
            Method::Magnitude => "Magnitude pruning",
        }
    }

    /// Whether log alpha decides which weights are used.
    pub fn prunes(self) -> bool {
        matches!(self, Method::SparseVd | Method::Ard | Method::Gaussian)
    }
}

/// One method, one seed.
#[derive(Clone, Debug, Serialize)]
pub struct Run {
    pub method: Method,
    pub seed: u64,
    pub history: History,
    pub seconds: f64,
    /// With the weights that the method would be deployed with: pruned means where it prunes, otherwise means.
    pub deployed: Metrics,
    /// With the posterior means, nothing pruned.
    pub mean: Metrics,
    /// Averaged over ten draws from the posterior.
    pub sampled: Metrics,
    pub sparsity: Sparsity,
    /// Test error of the pruned network, over the threshold on log alpha.
    pub thresholds: Vec<(f64, f64)>,
    #[serde(skip)]
    pub log_alpha: Vec<f64>,
    #[serde(skip)]
    pub masks: Vec<(Grid, Vec<bool>)>,
}

/// A network of this example, ready to train.
pub type Net<const I: usize, Q, P> = <LeNet300100<P, Q, I> as BuildOnDevice<Cpu, f32>>::Built;

/// What a method's training needs to know.
pub struct Job<'a> {
    pub args: &'a Args,
    pub split: &'a Split,
    pub seed: u64,
    /// Called after every epoch; says whether to go on.
    pub tick: &'a (dyn Fn(Method, &Epoch) -> bool + Sync),
}

impl Job<'_> {
    fn trainer(&self, epochs: usize) -> Trainer {
        Trainer {
            epochs,
            batch: self.args.batch,
            learning_rate: self.args.learning_rate,
            beta: self.args.beta,
            warm_up: (0.05 * epochs as f64, 0.5 * epochs as f64),
            seed: self.seed,
            progress: false,
            ..Trainer::default()
        }
    }

    /// Trains a new network from scratch.
    pub fn train<const I: usize, Q: Posterior, P: Prior + Default>(
        &self,
        method: Method,
        adjust: impl FnOnce(&mut Net<I, Q, P>),
    ) -> Result<(Run, Net<I, Q, P>), Error> {
        let mut net = Cpu::seed_from_u64(self.seed).build_module::<LeNet300100<P, Q, I>, f32>();
        adjust(&mut net);
        let run = self.fit(method, &mut net, self.args.epochs)?;
        Ok((run, net))
    }

    /// Prunes each layer of the dense network to the sparsity that Sparse VD found for it, smallest weights first, and
    /// trains what is left for half as many epochs.
    pub fn magnitude<const I: usize>(&self, mut net: Net<I, Delta, Flat>, target: &Sparsity) -> Result<Run, Error> {
        for ((_, layer), target) in net.layers_mut().into_iter().zip(&target.layers) {
            let mut theta = layer.theta();
            let mut sizes: Vec<f64> = theta.iter().map(|w| w.abs()).collect();
            sizes.sort_by(|a, b| b.total_cmp(a));
            let smallest = sizes.get(target.kept.max(1) - 1).copied().unwrap_or(0.0);
            theta.iter_mut().filter(|w| w.abs() < smallest).for_each(|w| *w = 0.0);
            layer.set_theta(&theta)?;
        }
        // A weight of zero has the largest log alpha there is, so the trained-in threshold keeps it at zero.
        net.configure(Settings { threshold: Some(self.args.threshold), ..Settings::default() });
        self.fit(Method::Magnitude, &mut net, self.args.epochs.div_ceil(2))
    }

    fn fit<N: Classifier<I, 10, f32, Cpu>, const I: usize>(
        &self,
        method: Method,
        net: &mut N,
        epochs: usize,
    ) -> Result<Run, Error> {
        let (start, test) = (std::time::Instant::now(), self.split.test());
        let history = self.trainer(epochs).fit_with(net, self.split.train(), |net, epoch| {
            epoch.test = score(net, test, Evaluate::Mean).ok();
            if (self.tick)(method, epoch) { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let threshold = self.args.threshold;
        let deployed = if method.prunes() { Evaluate::Pruned(threshold) } else { Evaluate::Mean };
        let mut thresholds = Vec::new();
        if method.prunes() {
            for step in -16..=24 {
                let at = f64::from(step) * 0.5;
                thresholds.push((at, score(net, test, Evaluate::Pruned(at))?.error));
            }
        }
        let layers = net.layers();
        let log_alpha = layers.iter().flat_map(|(_, layer)| layer.log_alpha()).collect();
        let masks = layers.iter().map(|(_, layer)| (layer.grid(), mask(*layer, threshold))).collect();
        Ok(Run {
            method,
            seed: self.seed,
            history,
            seconds,
            deployed: score(net, test, deployed)?,
            mean: score(net, test, Evaluate::Mean)?,
            sampled: score(net, test, Evaluate::Samples { count: 10, seed: self.seed })?,
            sparsity: net.sparsity(threshold)?,
            thresholds,
            log_alpha,
            masks,
        })
    }
}

fn score<N: Classifier<I, 10, f32, Cpu>, const I: usize>(
    net: &mut N,
    data: &Dataset,
    how: Evaluate,
) -> Result<Metrics, Error> {
    Ok(predict(net, data, how)?.score(data.labels())?)
}
