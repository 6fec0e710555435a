//! One training run, with checkpoints, progress and final scores.

use std::ops::ControlFlow;
use std::path::PathBuf;

use sparsevd::data::Layout;
use sparsevd::metrics::Metrics;
use sparsevd::prelude::*;
use sparsevd::{Classifier, Warning};

use crate::desk::Desk;
use crate::record::Record;

/// The settings of one training run, apart from the network.
#[derive(Clone, Debug)]
pub struct Job<'a, L> {
    /// Its name in tables and figures.
    pub label: String,
    /// The training and the test data.
    pub split: &'a Split<L>,
    /// The trainer.
    pub trainer: Trainer,
    /// True if the network is evaluated with its weights pruned by log α.
    pub prunes: bool,
}

impl<L: Layout + Clone> Job<'_, L> {
    /// Trains the network, or resumes it from its checkpoint, and scores it: as deployed, with all posterior means, and
    /// with ten draws from the posterior; after each epoch as deployed. Sparsity is counted at the runner's threshold,
    /// too.
    ///
    /// # Errors
    /// Those of training and of the scores.
    pub fn train<N, const I: usize, D: Backend>(&self, desk: &Desk, net: &mut N) -> Result<Record, Error>
    where
        N: Classifier<I, 10, f32, D, L>,
    {
        let checkpoints = self.checkpoints(desk);
        let trainer = Trainer { progress: desk.shows_trainings(), ..self.trainer.clone() };
        let deployed = if self.prunes { Evaluate::Pruned(desk.threshold) } else { Evaluate::Mean };
        let at_start = net.sparsity(desk.threshold)?;
        self.same_beginning(desk, net)?;
        let history = trainer.fit_resumable_with(net, self.split.train(), &checkpoints, |net, epoch| {
            epoch.sparsity = net.sparsity(desk.threshold)?;
            epoch.test = Some(self.score(net, deployed)?);
            desk.epoch(&self.label, epoch);
            Ok(ControlFlow::Continue(()))
        })?;
        // With `--quick` few steps are intended; a training run with a progress bar of its own has printed the warning.
        let news = |warning: &Warning| *warning != Warning::FewSteps && !desk.shows_trainings();
        if let Some(warning) = history.warning().filter(news) {
            desk.warn(&self.label, self.trainer.seed, warning);
        }
        let mut record = Record::new(&self.label, self.trainer.seed);
        record.history(&history);
        record.sparsity(&net.sparsity(desk.threshold)?);
        record.set("sparsity at start", at_start.sparsity());
        record.score("", &self.score(net, deployed)?);
        record.score("mean ", &self.score(net, Evaluate::Mean)?);
        record.score("sampled ", &self.score(net, Evaluate::Samples { count: 10, seed: self.trainer.seed })?);
        record.weights(net, desk.threshold);
        Ok(record)
    }

    /// Restores the network that an earlier [`train`](Job::train) of this job has left.
    ///
    /// # Errors
    /// Those of reading its checkpoint.
    pub fn restore<N, const I: usize, D: Backend>(&self, desk: &Desk, net: &mut N) -> Result<(), Error>
    where
        N: Classifier<I, 10, f32, D, L>,
    {
        let checkpoints = Checkpoints { resume: true, ..self.checkpoints(desk) };
        let trainer = Trainer { progress: false, ..self.trainer.clone() };
        trainer.fit_resumable(net, self.split.train(), &checkpoints).map(drop)
    }

    /// Scores on the test set.
    ///
    /// # Errors
    /// Those of [`predict`].
    pub fn score<N, const I: usize, D: Backend>(&self, net: &mut N, how: Evaluate) -> Result<Metrics, Error>
    where
        N: Classifier<I, 10, f32, D, L>,
    {
        let test = self.split.test();
        Ok(predict(net, test, how)?.score(test.labels())?)
    }

    /// Stores a checksum of the initial weights, and the threshold of the scores, beside the checkpoint. A training run
    /// that is resumed must have the same.
    fn same_beginning<D: Backend>(&self, desk: &Desk, net: &impl Network<f32, D>) -> Result<(), Error> {
        let mut weights = crc32fast::Hasher::new();
        for (_, layer) in net.layers() {
            layer.theta().iter().chain(&layer.log_alpha()).for_each(|x| weights.update(&x.to_le_bytes()));
        }
        let began = format!("crc32:{:08x}, threshold {}\n", weights.finalize(), desk.threshold);
        let checkpoint = self.path(desk);
        let path = checkpoint.with_extension("began");
        let refused = |source| Error::Input(format!("cannot write {}: {source}", path.display()));
        if !(desk.resume && checkpoint.exists()) {
            // First; otherwise a crash in between would leave another training run's checkpoint beside this one's
            // checksum.
            match std::fs::remove_file(&checkpoint) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refused(error)),
                _ => {}
            }
            return sparsevd::infer::file::replace(&path, began.as_bytes()).map_err(refused);
        }
        match std::fs::read_to_string(&path) {
            Ok(earlier) if earlier != began => Err(Error::Input(format!(
                "{} began from other weights than this training run would, or with another threshold: another --log-sigma2, \
                 --threshold, --from or pre-training. Give the same as then, or another --out; without --resume it starts again",
                checkpoint.display()
            ))),
            _ => Ok(()),
        }
    }

    fn checkpoints(&self, desk: &Desk) -> Checkpoints<'static> {
        let (every, resume, stop) = (desk.checkpoint_every, desk.resume, Some(desk.stop_flag()));
        Checkpoints { path: self.path(desk), every, resume, stop }
    }

    /// The path of the checkpoint, such as `OUT/trainings/sparse-vd-0.safetensors`. Labels that differ in a sign have
    /// different paths.
    fn path(&self, desk: &Desk) -> PathBuf {
        let letter = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' };
        let name: String = self.label.replace(" -", " minus ").chars().map(letter).collect();
        let words: Vec<&str> = name.split('-').filter(|word| !word.is_empty()).collect();
        desk.out.join("trainings").join(format!("{}-{}.safetensors", words.join("-"), self.trainer.seed))
    }
}
