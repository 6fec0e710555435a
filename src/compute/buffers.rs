//! Memory that the kernels reuse from step to step.

use std::sync::Mutex;

/// A pool of free buffers. Every training step needs the same lengths, and allocating them again would cost more than
/// the arithmetic.
pub struct Pool<E>(Mutex<Vec<Vec<E>>>);

impl<E> Pool<E> {
    /// The most buffers that are kept: more than the layers of any network here use at once.
    const KEPT: usize = 512;

    /// An empty pool.
    pub(crate) const fn new() -> Self {
        Pool(Mutex::new(Vec::new()))
    }

    /// Takes a buffer of this length, if one is free.
    pub(crate) fn take(&self, count: usize) -> Option<Vec<E>> {
        let mut free = self.0.lock().ok()?;
        let found = free.iter().rposition(|vec| vec.len() == count)?;
        Some(free.remove(found))
    }

    /// Returns a buffer to the pool.
    pub(crate) fn put(&self, vec: Vec<E>) {
        if let Some(mut free) = self.0.lock().ok().filter(|_| !vec.is_empty()) {
            if free.len() == Self::KEPT {
                free.remove(0); // the buffer that has been unused for longest
            }
            free.push(vec);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On its own pool: other tests use the global one.
    #[test]
    fn what_is_put_comes_back() {
        let (pool, numbers) = (Pool::new(), vec![1.0_f64; 100]);
        let at = numbers.as_ptr();
        pool.put(numbers);
        assert!(pool.take(99).is_none());
        let back = pool.take(100).unwrap();
        assert_eq!(back.as_ptr(), at);
        assert!(pool.take(100).is_none());
        (0..=Pool::<f64>::KEPT).for_each(|length| pool.put(vec![1.0; length + 1]));
        assert!(pool.take(1).is_none() && pool.take(2).is_some(), "the oldest makes room");
    }
}
