//! The threads of one training run.

use sparsevd::prelude::Error;

/// Work that can go to another thread. With a GPU it stays on its own: dfdx's device cannot change threads.
#[cfg(not(feature = "cuda"))]
pub trait Movable: Send {}
#[cfg(not(feature = "cuda"))]
impl<T: Send> Movable for T {}

/// Work that can go to another thread. With a GPU it stays on its own: dfdx's device cannot change threads.
#[cfg(feature = "cuda")]
pub trait Movable {}
#[cfg(feature = "cuda")]
impl<T> Movable for T {}

/// Runs work on this many threads; 0 means all that the machine has.
///
/// # Errors
/// The work's own, and those of [`on_threads`](sparsevd::on_threads).
#[cfg(not(feature = "cuda"))]
pub fn run<T: Send>(threads: usize, work: impl FnOnce() -> Result<T, Error> + Movable) -> Result<T, Error> {
    sparsevd::on_threads(threads, work).flatten()
}

/// Runs work on its own thread: the number of threads has no effect.
///
/// # Errors
/// The work's own.
#[cfg(feature = "cuda")]
pub fn run<T>(_threads: usize, work: impl FnOnce() -> Result<T, Error> + Movable) -> Result<T, Error> {
    work()
}
