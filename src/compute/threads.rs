//! Threads: their number, and the length from which a loop runs on more than one.

use std::thread::available_parallelism;

use crate::error::{Error, setting};

/// Below this many numbers a loop runs on one thread.
pub(crate) const PARALLEL: usize = 16_384;
/// The numbers per task of a loop that runs on several threads.
pub(crate) const CHUNK: usize = 8_192;

/// The length of the pieces in which elementwise loops over `len` numbers run in parallel.
pub(crate) fn piece(len: usize) -> usize {
    if len < PARALLEL { len.max(1) } else { CHUNK }
}

/// Runs `f` with the kernels on this many threads; 0 means all that the machine has, or as many as `RAYON_NUM_THREADS`
/// says.
///
/// It speeds up a training run on the CPU even with 0: `f` then runs on one of the threads that the kernels use, which
/// saves two changes of thread for each of a step's many parallel loops (15 % of a LeNet-300-100 step on 2 cores).
/// Results do not depend on the number of threads. It does not compile for a GPU, where it would have no effect: dfdx's
/// device cannot change threads.
///
/// ```
/// use sparsevd::on_threads;
/// use sparsevd::prelude::*;
///
/// # fn main() -> Result<(), Error> {
/// let digits = Split::optdigits()?.take(200, 100, 0)?;
/// let mut net = Cpu::seed_from_u64(0).build_module::<(SparseVdLinear<64, 20>, ReLU, SparseVdLinear<20, 10>), f32>();
/// let trainer = Trainer { epochs: 1, progress: false, ..Trainer::default() };
/// let history = on_threads(0, || trainer.fit(&mut net, digits.train()))??;
/// # assert_eq!(history.epochs.len(), 1);
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`Error::Setting`] for more threads than the machine has; [`Error::Device`] if the system cannot start them.
pub fn on_threads<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> Result<T, Error> {
    let most = available_parallelism().map_or(1, usize::from).max(rayon::current_num_threads());
    setting(threads <= most, "threads", threads as f64, "no more than the machine has; 0 means all of them")?;
    if threads == 0 || threads == rayon::current_num_threads() {
        return Ok(rayon::scope(|_| f()));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map(|pool| pool.install(f)).map_err(|error| Error::Device(format!("{threads} threads: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_asked_for() {
        assert_eq!(on_threads(1, rayon::current_num_threads).unwrap(), 1);
        assert_eq!(on_threads(0, rayon::current_num_threads).unwrap(), rayon::current_num_threads());
        assert!(on_threads(0, rayon::current_thread_index).unwrap().is_some());
        let error = on_threads(100_000, || ()).unwrap_err().to_string();
        assert_eq!(error, "threads = 100000; it must be no more than the machine has; 0 means all of them");
    }
}
