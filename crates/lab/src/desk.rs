//! The runner of an experiment's training runs: one after another or in parallel, with stopping, resuming and progress.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use indicatif::{ProgressBar, ProgressStyle};
use sparsevd::prelude::*;
use sparsevd::{Epoch, Warning, on_threads};

use crate::args::Runs;
use crate::record::Record;
use crate::stop::stop_on_signal;
use crate::threads::{self, Movable};

/// The runner of all training runs of an experiment.
pub struct Desk {
    pub(crate) checkpoint_every: usize,
    pub(crate) resume: bool,
    pub(crate) threshold: f64,
    pub(crate) out: PathBuf,
    threads: usize,
    stop: &'static AtomicBool,
    /// The progress over the epochs of all training runs that run in parallel.
    bar: Option<ProgressBar>,
}

impl Desk {
    /// A runner for one training run after another, each with its own progress bar.
    ///
    /// # Errors
    /// If signals cannot be caught.
    pub fn new(runs: &Runs) -> Result<Self, Box<dyn std::error::Error>> {
        Ok(Desk {
            checkpoint_every: runs.checkpoint_every,
            resume: runs.resume,
            threshold: runs.threshold,
            out: runs.out.clone(),
            threads: runs.threads,
            stop: stop_on_signal()?,
            bar: None,
        })
    }

    /// A runner for training runs with images of this many pixels and this many epochs in all. Small ones are faster in
    /// parallel, one on each core, with one progress bar for all.
    ///
    /// # Errors
    /// If signals cannot be caught.
    pub fn of_size(runs: &Runs, pixels: usize, epochs: usize) -> Result<Self, Box<dyn std::error::Error>> {
        if pixels > 100 {
            return Desk::new(runs);
        }
        let bar = ProgressBar::new(epochs as u64);
        bar.set_style(ProgressStyle::with_template("{bar:24} {elapsed} (about {eta} left)  {msg}")?);
        Ok(Desk { bar: Some(bar), ..Desk::new(runs)? })
    }

    /// Runs tasks until all are done, one fails or Ctrl-C is pressed. Prints each result in a line, and adds it to the
    /// records, in the order of the tasks.
    ///
    /// # Errors
    /// The first error of a task; the results of the others are among the records.
    pub fn all<T: Send>(
        &self,
        tasks: impl IntoIterator<Item = T>,
        records: &mut Vec<Record>,
        work: impl Fn(T) -> Result<Record, Error> + Sync,
    ) -> Result<(), Error> {
        let queue: Mutex<VecDeque<(usize, T)>> = Mutex::new(tasks.into_iter().enumerate().collect());
        let results = Mutex::new(Vec::new());
        let next = || queue.lock().ok()?.pop_front();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (workers, threads) = match (&self.bar, self.threads) {
            (None, threads) => (1, threads),
            (Some(_), 0) => (cores, 1),
            (Some(_), workers) => (workers.min(cores), 1),
        };
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some((index, task)) = next().filter(|_| !self.stopped()) {
                        let result = on_threads(threads, || work(task)).flatten();
                        if let Ok(record) = &result {
                            self.say(record);
                        }
                        let failed = result.is_err();
                        if let Ok(mut results) = results.lock() {
                            results.push((index, result));
                        }
                        if failed {
                            // The others end after their current task, whose checkpoints stay.
                            queue.lock().into_iter().for_each(|mut queue| queue.clear());
                        }
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        let mut failed = None;
        for (_, result) in results {
            match result {
                Ok(record) => records.push(record),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Runs one task, and prints its result in a line.
    ///
    /// # Errors
    /// The task's own.
    pub fn one(&self, work: impl FnOnce() -> Result<Record, Error> + Movable) -> Result<Record, Error> {
        let record = threads::run(self.threads, work)?;
        self.say(&record);
        Ok(record)
    }

    /// True if Ctrl-C was pressed, or the process received SIGTERM.
    pub fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Removes the progress bar, after the last training run.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    pub(crate) fn stop_flag(&self) -> &'static AtomicBool {
        self.stop
    }

    /// True if each training run shows its own progress.
    pub(crate) fn shows_trainings(&self) -> bool {
        self.bar.is_none()
    }

    pub(crate) fn epoch(&self, label: &str, epoch: &Epoch) {
        let Some(bar) = &self.bar else { return };
        let (error, sparse) = (100.0 * epoch.train_error, 100.0 * epoch.sparsity.sparsity());
        bar.inc(1);
        bar.set_message(format!("{label}: nll {:.3}, train error {error:.1} %, sparse {sparse:.0} %", epoch.nll));
    }

    /// Prints the warning of a training run.
    pub(crate) fn warn(&self, label: &str, seed: u64, warning: Warning) {
        let line = format!("warning: {label}, seed {seed}: {warning}");
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn say(&self, record: &Record) {
        let of = |name: &str| crate::table::value(record, name);
        let mut line = format!("{}, seed {}:", record.label, record.seed);
        if let Some(error) = of("error") {
            line += &format!(" error {:.2} %", 100.0 * error);
        }
        if let Some(compression) = of("compression").filter(|x| *x > 1.0) {
            line += &if compression.is_finite() {
                format!(", compression {compression:.1}")
            } else {
                ", all pruned".into()
            };
        }
        if let (Some(epochs), Some(seconds)) = (of("epochs"), of("seconds")) {
            line += &format!(", {epochs} epochs in {seconds:.0} s");
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| println!("{line}")),
            None => println!("{line}"),
        }
    }
}
