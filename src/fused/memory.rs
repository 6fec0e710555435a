//! Memory of the kernels: tensors read and written in place, and buffers that are reused from step to step.

use std::ops::{Deref, DerefMut};
use std::sync::Mutex;

use dfdx::prelude::*;

use crate::backend::Elem;

/// Whether a tensor's numbers lie in memory as in a new one: not those of a transposed tensor, nor of a broadcast one.
pub(super) fn in_order<S: Shape, E: Elem, T>(tensor: &Tensor<S, E, Cpu, T>) -> bool {
    let shape = tensor.shape().concrete();
    if shape.into_iter().any(|size| size == 0) {
        return true;
    }
    let address = |index: S::Concrete| std::ptr::from_ref::<E>(&tensor[index]).addr();
    let first = address(S::Concrete::default());
    let mut stride = size_of::<E>();
    for axis in (0..S::NUM_DIMS).rev().filter(|axis| shape[*axis] > 1) {
        let mut next = S::Concrete::default();
        next[axis] = 1;
        if address(next).wrapping_sub(first) != stride {
            return false;
        }
        stride *= shape[axis];
    }
    true
}

/// A tensor's numbers, in place.
///
/// # Panics
/// If they are not [`in_order`]; what went through `try_contiguous` is.
pub(crate) fn numbers<S: Shape, E: Elem, T>(tensor: &Tensor<S, E, Cpu, T>) -> &[E] {
    assert!(in_order(tensor), "a tensor that is not contiguous");
    let count = tensor.shape().num_elements();
    if count == 0 {
        return &[];
    }
    let first: &E = &tensor[S::Concrete::default()];
    // SAFETY: dfdx keeps a CPU tensor in one `Vec<E>`, and indexing it with zeros gives its first element; as they are in
    // order, `count` of them follow in a row. The slice borrows the tensor, so nothing can write to it meanwhile (dfdx
    // copies shared storage before writing). That a reference to one number reaches its neighbours in the allocation is
    // sound by Tree Borrows (not by the stricter Stacked Borrows): dfdx gives out no pointer to them all.
    unsafe { std::slice::from_raw_parts(first, count) }
}

/// The same, to write to.
pub(super) fn numbers_mut<S: Shape, E: Elem, T>(tensor: &mut Tensor<S, E, Cpu, T>) -> &mut [E] {
    assert!(in_order(tensor), "a tensor that is not contiguous");
    let count = tensor.shape().num_elements();
    if count == 0 {
        return &mut [];
    }
    let first: &mut E = &mut tensor[S::Concrete::default()];
    // SAFETY: as above; indexing mutably has made the storage unshared, and the slice borrows the tensor mutably.
    unsafe { std::slice::from_raw_parts_mut(first, count) }
}

/// A new tensor, from the device's own memory, written by `fill`. A tensor made of a `Vec` would bring memory of its
/// own to the device's cache at every step, which never shrinks.
pub(crate) fn tensor<S: Shape, E: Elem>(
    device: &Cpu,
    shape: S,
    fill: impl FnOnce(&mut [E]),
) -> Result<Tensor<S, E, Cpu>, CpuError>
where
    Cpu: Device<E>,
{
    let mut tensor: Tensor<S, E, Cpu> = device.try_zeros_like(&shape)?;
    fill(numbers_mut(&mut tensor));
    Ok(tensor)
}

/// A tensor of zeros, from the device's own memory, and what `other` makes meanwhile: dfdx clears memory on one thread.
pub(super) fn zeros_while<S: Shape, E: Elem, T: Send>(
    device: &Cpu,
    shape: S,
    other: impl FnOnce() -> T + Send,
) -> Result<(Tensor<S, E, Cpu>, T), CpuError>
where
    Cpu: Device<E>,
{
    let (tensor, made) = rayon::join(|| device.try_zeros_like(&shape), other);
    Ok((tensor?, made))
}

/// Buffers that no pass is using. A training step asks for the same lengths again and again, and fresh memory would
/// cost it more than the arithmetic.
pub struct Pool<E>(Mutex<Vec<Vec<E>>>);

impl<E> Pool<E> {
    /// More than the layers of any network here use at once.
    const KEPT: usize = 512;

    /// An empty pool.
    pub(crate) const fn new() -> Self {
        Pool(Mutex::new(Vec::new()))
    }

    fn take(&self, count: usize) -> Option<Vec<E>> {
        let mut free = self.0.lock().ok()?;
        let found = free.iter().rposition(|vec| vec.len() == count)?;
        Some(free.remove(found))
    }

    fn put(&self, vec: Vec<E>) {
        if let Some(mut free) = self.0.lock().ok().filter(|_| !vec.is_empty()) {
            if free.len() == Self::KEPT {
                free.remove(0); // what has been of no use for longest
            }
            free.push(vec);
        }
    }
}

/// Numbers from the pool, which go back to it.
pub(super) struct Buffer<E: Elem>(Vec<E>);

impl<E: Elem> Buffer<E> {
    /// `count` numbers of any value: whoever asks writes all of them before reading.
    pub(super) fn any(count: usize) -> Self {
        Buffer(E::pool().take(count).unwrap_or_else(|| vec![E::default(); count]))
    }

    /// `count` zeros.
    pub(super) fn zeros(count: usize) -> Self {
        let mut buffer = Buffer::any(count);
        buffer.fill(E::default());
        buffer
    }

    /// A copy.
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

    /// Of a pool of its own: other tests use the one that buffers come from.
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

    /// Whatever was in their memory before.
    #[test]
    fn zeros_are_zeros() {
        for _ in 0..2 {
            let mut buffer = Buffer::<f64>::zeros(12_345);
            assert!(buffer.iter().all(|x| *x == 0.0));
            buffer.fill(1.0);
        }
    }

    #[test]
    fn tensors_are_read_and_written_in_place() {
        let mut t = Cpu::default().tensor([[1.0_f64, 2.0], [3.0, 4.0]]);
        let shared = t.clone();
        numbers_mut(&mut t)[3] = 5.0;
        assert_eq!(numbers(&t), [1.0, 2.0, 3.0, 5.0]);
        assert_eq!(numbers(&shared), [1.0, 2.0, 3.0, 4.0]);
        let empty: Tensor<(usize, Const<3>), f32, Cpu> = Cpu::default().zeros_like(&(0, Const));
        assert!(numbers(&empty).is_empty());
    }

    #[test]
    fn only_contiguous_tensors_are_in_order() {
        let dev = Cpu::default();
        let t: Tensor<Rank3<2, 1, 3>, f32, Cpu> = dev.sample_normal();
        assert!(in_order(&t) && in_order(&dev.tensor(1.0_f32)));
        assert!(!in_order(&t.clone().permute::<Rank3<3, 1, 2>, Axes3<2, 1, 0>>()));
        assert!(!in_order(&dev.tensor(1.0_f32).broadcast::<Rank2<2, 3>, _>()));
        assert!(!in_order(&dev.tensor([1.0_f32, 2.0]).broadcast::<Rank2<2, 3>, Axis<1>>()));
        assert!(!in_order(&dev.tensor([1.0_f32, 2.0, 3.0]).broadcast::<Rank2<2, 3>, Axis<0>>()));
        assert!(in_order(&dev.tensor([1.0_f32, 2.0, 3.0]).broadcast::<Rank2<1, 3>, Axis<0>>()));
    }

    #[test]
    #[should_panic(expected = "not contiguous")]
    fn what_is_not_there_is_not_read() {
        let _ = numbers(&Cpu::default().tensor(1.0_f32).broadcast::<Rank1<100>, _>()).len();
    }
}
