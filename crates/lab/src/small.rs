//! The compact form of a trained network: its files, its errors and its speed.

use std::fmt;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use sparsevd::data::Layout;
use sparsevd::infer::{CompactNet, Precision, Report, Scratch};
use sparsevd::metrics::{Metrics, Predictions};
use sparsevd::prelude::*;
use sparsevd::{Classifier, compact};

use crate::Failure;
use crate::record::Record;

/// A compact network, compared with the one it comes from.
#[derive(Clone, Debug, Serialize)]
pub struct Small {
    /// The sizes before and after compaction.
    pub report: Report,
    /// Scores on the test set with the pruned means.
    pub pruned: Metrics,
    /// Scores of the compact network.
    pub compact: Metrics,
    /// Scores with weights quantised to posterior precision.
    pub rounded: Metrics,
    /// The median time of a pass through the dense network and the compact one, by batch size.
    pub microseconds: Vec<(usize, f64, f64)>,
}

/// Compacts a network, writes compact.safetensors and compact-posterior.safetensors into `out`, and reads them again.
///
/// # Errors
/// Those of [`compact`], of its files, and of [`predict`].
pub fn small<N: Classifier<I, 10, f32, D, L>, const I: usize, L: Layout, D: Backend>(
    net: &mut N,
    test: &Dataset<L>,
    threshold: f64,
    out: &Path,
) -> Result<Small, Failure> {
    let compacted = compact(net, &L::dims(test.dims()), threshold)?;
    let read = |name: &str, precision: Precision| {
        compacted.save(out.join(name), precision)?;
        CompactNet::load(out.join(name))
    };
    let single = read("compact.safetensors", Precision::Single)?;
    let rounded = read("compact-posterior.safetensors", Precision::Posterior)?;
    let times = |data: usize| {
        let data = data.min(test.len());
        Ok((data, dense::<N, I, L, D>(net, test, data)?, sparse(&single.tuned(data), test, data)?))
    };
    let microseconds = [1, 100].into_iter().map(times).collect::<Result<_, Failure>>()?;
    Ok(Small {
        report: single.report()?,
        pruned: predict(net, test, Evaluate::Pruned(threshold))?.score(test.labels())?,
        compact: score(&single, test)?,
        rounded: score(&rounded, test)?,
        microseconds,
    })
}

fn score<L: Layout>(net: &CompactNet, test: &Dataset<L>) -> Result<Metrics, Failure> {
    let mut scratch = Scratch::default();
    let logits = net.forward(test.inputs(), &mut scratch)?;
    Ok(Predictions::from_logits(logits, net.outputs())?.score(test.labels())?)
}

fn dense<N: Classifier<I, 10, f32, D, L>, const I: usize, L: Layout, D: Backend>(
    net: &N,
    test: &Dataset<L>,
    data: usize,
) -> Result<f64, Failure> {
    let shape = L::shape::<I>(data, test.dims()).ok_or("the images have another shape than the network reads")?;
    let device = net.layers().first().ok_or(Error::NoLayer)?.1.device();
    let x: Tensor<_, f32, D> = device.tensor_from_vec(test.inputs()[..data * test.pixels()].to_vec(), shape);
    Ok(median(|| drop(black_box(net.forward(x.clone())))))
}

fn sparse<L: Layout>(net: &CompactNet, test: &Dataset<L>, data: usize) -> Result<f64, Failure> {
    let (x, mut scratch) = (&test.inputs()[..data * test.pixels()], Scratch::default());
    net.forward(x, &mut scratch)?;
    Ok(median(|| {
        let _ = black_box(net.forward(black_box(x), &mut scratch));
    }))
}

/// The microseconds of a pass: the median over 21 rounds of about 10 ms.
fn median(mut pass: impl FnMut()) -> f64 {
    let mut round = |passes: u32| {
        let start = Instant::now();
        (0..passes).for_each(|_| pass());
        start.elapsed().as_secs_f64() * 1e6 / f64::from(passes)
    };
    let passes = (1e4 / round(3)).clamp(1.0, 1e5) as u32;
    let mut times = [0; 21].map(|_| round(passes));
    times.sort_by(f64::total_cmp);
    times[10]
}

impl Small {
    /// Sizes, errors and times in one record each for the network before compaction, compact, and quantised to
    /// posterior precision.
    pub fn records(&self, label: &str, seed: u64) -> [Record; 3] {
        let of = |form: &str, weights: usize, bytes: usize, metrics: &Metrics| {
            let sizes = Record::new(format!("{label}, {form}"), seed);
            let mut record = sizes.with("weights", weights as f64).with("bytes", bytes as f64);
            record.score("", metrics);
            record
        };
        let report = &self.report;
        let weights = report.layers.iter().map(|layer| layer.before.weights).sum();
        let kept = report.layers.iter().map(|layer| layer.kept).sum();
        let mut before = of("before", weights, report.dense_bytes, &self.pruned);
        let mut compact = of("compact", kept, report.single_bytes, &self.compact);
        for (data, dense, sparse) in &self.microseconds {
            before.set(format!("us, batch {data}"), *dense);
            compact.set(format!("us, batch {data}"), *sparse);
        }
        [before, compact, of("quantised to posterior precision", kept, report.posterior_bytes, &self.rounded)]
    }

    /// Adds sizes and errors to a record.
    pub fn record(&self, record: &mut Record) {
        record.neurons(&self.report);
        record.set("bytes", self.report.single_bytes as f64);
        record.set("quantised bytes", self.report.posterior_bytes as f64);
        record.set("quantised error", self.rounded.error);
        record.set("quantised nll", self.rounded.nll);
    }
}

impl fmt::Display for Small {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [pruned, compact, rounded] = [&self.pruned, &self.compact, &self.rounded].map(|m| 100.0 * m.error);
        writeln!(f, "{}", self.report)?;
        write!(
            f,
            "error {pruned:.2} % pruned, {compact:.2} % compact, {rounded:.2} % quantised to posterior precision"
        )?;
        for (data, dense, compact) in &self.microseconds {
            let ratio = dense / compact;
            write!(
                f,
                "\nbatch {data}: {dense:.1} us dense with dfdx, {compact:.1} us compact on one thread (1/{ratio:.1})"
            )?;
        }
        Ok(())
    }
}
