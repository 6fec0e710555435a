//! Buffers of the kernels, taken from a pool.

use std::ops::{Deref, DerefMut};

use crate::compute::elem::Elem;

/// A buffer from the pool, which is returned when it is dropped.
pub(super) struct Buffer<E: Elem>(Vec<E>);

impl<E: Elem> Buffer<E> {
    /// `count` numbers with unspecified values: the caller writes each of them before reading it.
    pub(super) fn any(count: usize) -> Self {
        Buffer(E::pool().take(count).unwrap_or_else(|| vec![E::default(); count]))
    }

    /// `count` zeros.
    pub(super) fn zeros(count: usize) -> Self {
        let mut buffer = Buffer::any(count);
        buffer.fill(E::default());
        buffer
    }

    /// A copy of a slice.
    pub(super) fn copy(of: &[E]) -> Self {
        let mut buffer = Buffer::any(of.len());
        buffer.copy_from_slice(of);
        buffer
    }
}

impl<E: Elem> Drop for Buffer<E> {
    fn drop(&mut self) {
        E::pool().put(std::mem::take(&mut self.0));
    }
}

impl<E: Elem> Deref for Buffer<E> {
    type Target = [E];
    fn deref(&self) -> &[E] {
        &self.0
    }
}

impl<E: Elem> DerefMut for Buffer<E> {
    fn deref_mut(&mut self) -> &mut [E] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also in memory that was used before.
    #[test]
    fn zeros_are_zeros() {
        for _ in 0..2 {
            let mut buffer = Buffer::<f64>::zeros(12_345);
            assert!(buffer.iter().all(|x| *x == 0.0));
            buffer.fill(1.0);
        }
    }
}
