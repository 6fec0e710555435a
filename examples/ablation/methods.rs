//! The methods: each is the same network with another posterior and prior.

use sparsevd::data::Vectors;
use sparsevd::prelude::*;
use sparsevd::priors::Flat;
use sparsevd::{Bernoulli, Classifier, Delta, Family, Fixed, WarmUp, compact};
use sparsevd_lab::desk::Desk;
use sparsevd_lab::record::Record;
use sparsevd_lab::train::Job;

use crate::Args;

/// A method of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Dense,
    BinaryDropout,
    GaussianDropout,
    SparseVd,
    SparseVdExact,
    Ard,
    ArdNeuron,
    Gaussian,
    Magnitude,
}

impl Method {
    /// All methods, in the order of the table.
    pub const ALL: [Method; 9] = [
        Method::Dense,
        Method::BinaryDropout,
        Method::GaussianDropout,
        Method::SparseVd,
        Method::SparseVdExact,
        Method::Ard,
        Method::ArdNeuron,
        Method::Gaussian,
        Method::Magnitude,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Method::Dense => "Dense",
            Method::BinaryDropout => "Binary dropout",
            Method::GaussianDropout => "Gaussian dropout",
            Method::SparseVd => "Sparse VD",
            Method::SparseVdExact => "Sparse VD, exact KL",
            Method::Ard => "ARD",
            Method::ArdNeuron => "ARD, per neuron",
            Method::Gaussian => "Gaussian prior",
            Method::Magnitude => "Magnitude pruning",
        }
    }

    /// Its name for the command line, such as `sparse-vd`.
    pub fn plain_name(self) -> String {
        self.name().to_lowercase().replace(',', "").replace(' ', "-")
    }

    /// True if its name begins with `name`, without regard to case.
    pub fn is(self, name: &str) -> bool {
        self.plain_name().starts_with(&name.to_lowercase().replace(' ', "-"))
    }

    /// The method of a record: the longest name that its label begins with.
    pub fn of(record: &Record) -> Method {
        let fits = Method::ALL.into_iter().filter(|method| record.label.starts_with(method.name()));
        fits.max_by_key(|method| method.name().len()).unwrap_or(Method::Dense)
    }

    /// True if weights are pruned by their log α.
    pub fn prunes(self) -> bool {
        use Method::*;
        matches!(self, SparseVd | SparseVdExact | Ard | ArdNeuron | Gaussian)
    }

    /// The epochs of one training run: magnitude pruning has several rounds, after the training of the dense network.
    pub fn epochs(self, epochs: usize) -> usize {
        if self == Method::Magnitude { epochs.div_ceil(ROUNDS) } else { epochs }
    }

    /// The number of training runs.
    pub fn rounds(self) -> usize {
        if self == Method::Magnitude { ROUNDS } else { 1 }
    }
}

/// The number of rounds of magnitude pruning.
const ROUNDS: usize = 5;

/// One case: a method, a seed and a KL weight.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub method: Method,
    pub seed: u64,
    pub beta: f64,
    /// True if beta is the first of a sweep, and the label does not contain it.
    pub first: bool,
}

type Net<const I: usize, Q, P> = <LeNet300100<P, Q, I> as BuildOnDevice<Cpu, f32>>::Built;

fn build<const I: usize, Q: Family, P: Prior + Default>(seed: u64) -> Net<I, Q, P> {
    Cpu::seed_from_u64(seed).build_module::<LeNet300100<P, Q, I>, f32>()
}

impl Case {
    fn label(self) -> String {
        let name = self.method.name();
        if self.first { name.into() } else { format!("{name}, beta = {}", self.beta) }
    }

    fn job<'a>(self, args: &Args, split: &'a Split) -> Job<'a, Vectors> {
        let epochs = self.method.epochs(args.runs.epochs);
        let warm_up = if self.method == Method::Magnitude { WarmUp::Off } else { args.runs.trainer().warm_up };
        let trainer = Trainer { seed: self.seed, beta: self.beta, epochs, warm_up, ..args.runs.trainer() };
        Job { label: self.label(), split, trainer, prunes: self.method.prunes() }
    }

    /// Trains a new network from scratch.
    pub fn train<const I: usize>(self, args: &Args, split: &Split, desk: &Desk) -> Result<Record, Error> {
        let (job, seed) = (self.job(args, split), self.seed);
        match self.method {
            Method::Dense | Method::Magnitude => self.fit(args, &job, desk, build::<I, Delta, Flat>(seed)),
            Method::BinaryDropout => {
                let mut net = build::<I, Bernoulli, Flat>(seed);
                net.0.posterior = Bernoulli::new(0.2).unwrap_or_default(); // the usual rates: pixels, then 0.5
                self.fit(args, &job, desk, net)
            }
            Method::GaussianDropout => self.fit(args, &job, desk, build::<I, Multiplicative<Fixed>, Flat>(seed)),
            Method::SparseVd => self.fit(args, &job, desk, build::<I, Additive, LogUniform>(seed)),
            Method::SparseVdExact => {
                let mut net = build::<I, Additive, LogUniform>(seed);
                net.set_prior(LogUniform::Exact)?;
                self.fit(args, &job, desk, net)
            }
            Method::Ard => self.fit(args, &job, desk, build::<I, Additive, Ard>(seed)),
            Method::ArdNeuron => {
                let mut net = build::<I, Additive, Ard>(seed);
                net.set_prior(Ard::per_output())?;
                self.fit(args, &job, desk, net)
            }
            Method::Gaussian => self.fit(args, &job, desk, build::<I, Additive, Gaussian>(seed)),
        }
    }

    fn fit<N, const I: usize>(
        self,
        args: &Args,
        job: &Job<'_, Vectors>,
        desk: &Desk,
        mut net: N,
    ) -> Result<Record, Error>
    where
        N: Classifier<I, 10, f32, Cpu>,
    {
        if self.method.prunes() {
            args.runs.prepare(&mut net)?;
        }
        self.finish(args, job, desk, &mut net)
    }

    fn finish<N, const I: usize>(
        self,
        args: &Args,
        job: &Job<'_, Vectors>,
        desk: &Desk,
        net: &mut N,
    ) -> Result<Record, Error>
    where
        N: Classifier<I, 10, f32, Cpu>,
    {
        let mut record = job.train(desk, net)?.with("beta", self.beta);
        let dims = job.split.test().pixels();
        record.neurons(&compact(net, &[dims], args.runs.threshold)?.report()?);
        Ok(record)
    }

    /// Prunes the dense network to the sparsity that Sparse VD found for each layer, smallest weights first, in
    /// [`ROUNDS`] rounds. Each keeps the same share of the remaining weights and trains them.
    pub fn prune<const I: usize>(
        self,
        args: &Args,
        split: &Split,
        desk: &Desk,
        trained: &[Record],
    ) -> Result<Record, Error> {
        let of = |method: Method, first: bool| Case { method, first, ..self }.label();
        let found = |label: String| trained.iter().find(|r| r.label == label && r.seed == self.seed && !r.unfinished);
        let (dense, sparse) = (found(of(Method::Dense, true)), found(of(Method::SparseVd, self.first)));
        let (Some(_), Some(sparse)) = (dense, sparse) else {
            return Ok(Record { unfinished: true, ..Record::new(self.label(), self.seed) });
        };
        let mut net = build::<I, Delta, Flat>(self.seed);
        let dense = Case { method: Method::Dense, first: true, beta: args.runs.beta, ..self };
        dense.job(args, split).restore(desk, &mut net)?;
        // A weight of zero has the largest possible log α, so the threshold during training keeps it at zero.
        net.configure(Settings { masking: Masking::Means(args.runs.threshold), ..Settings::default() });
        let (job, mut record) = (self.job(args, split), Record::default());
        let mut seconds = 0.0;
        for round in 1..=ROUNDS {
            for (i, (_, layer)) in net.layers_mut().into_iter().enumerate() {
                let kept = 1.0 - sparse.values[&format!("sparse {i:02}")];
                keep_largest(layer, kept.powf(round as f64 / ROUNDS as f64))?;
            }
            let label = if round == ROUNDS { job.label.clone() } else { format!("{}, round {round}", job.label) };
            record = self.finish(args, &Job { label, ..job.clone() }, desk, &mut net)?;
            seconds += record.values["seconds"];
            if record.unfinished {
                break;
            }
        }
        Ok(record.with("seconds", seconds))
    }
}

/// Sets all but this share of a layer's weights to zero, the smallest ones.
fn keep_largest(layer: &mut dyn Layer, share: f64) -> Result<(), Error> {
    let mut theta = layer.theta();
    let mut sizes: Vec<f64> = theta.iter().map(|w| w.abs()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    let kept = (share * theta.len() as f64).round() as usize;
    let smallest = sizes.get(kept.max(1) - 1).copied().unwrap_or(0.0);
    theta.iter_mut().filter(|w| w.abs() < smallest).for_each(|w| *w = 0.0);
    layer.set_theta(&theta)
}
