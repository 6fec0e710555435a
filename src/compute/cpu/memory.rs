//! The numbers of tensors, read and written in place.

use dfdx::prelude::*;

use crate::compute::elem::Elem;

/// True if a tensor's numbers lie in memory as those of a new tensor do; false after a transposition or a broadcast
/// that changes their order or number.
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

/// A tensor's numbers as a slice.
///
/// # Panics
/// If the tensor is not [`in_order`]; the result of `try_contiguous` is.
pub(super) fn numbers<S: Shape, E: Elem, T>(tensor: &Tensor<S, E, Cpu, T>) -> &[E] {
    assert!(in_order(tensor), "the tensor is not contiguous");
    let count = tensor.shape().num_elements();
    if count == 0 {
        return &[];
    }
    let first: &E = &tensor[S::Concrete::default()];
    // SAFETY: dfdx keeps a CPU tensor in one `Vec<E>`, and indexing it with zeros gives its first element; as they are
    // in order, `count` of them follow in a row. The slice borrows the tensor, so nothing can write to it meanwhile
    // (dfdx copies shared storage before writing). The slice reaches beyond the one number that `first` refers to:
    // sound by Tree Borrows, not by the stricter Stacked Borrows; dfdx offers no pointer to the whole buffer.
    unsafe { std::slice::from_raw_parts(first, count) }
}

/// The same as a mutable slice.
pub(super) fn numbers_mut<S: Shape, E: Elem, T>(tensor: &mut Tensor<S, E, Cpu, T>) -> &mut [E] {
    assert!(in_order(tensor), "the tensor is not contiguous");
    let count = tensor.shape().num_elements();
    if count == 0 {
        return &mut [];
    }
    let first: &mut E = &mut tensor[S::Concrete::default()];
    // SAFETY: as above; indexing mutably has made the storage unshared, and the slice borrows the tensor mutably.
    unsafe { std::slice::from_raw_parts_mut(first, count) }
}

/// True if no other tensor shares a tensor's numbers, so that nothing else reads what is written over them. A tensor that
/// shares them gets a copy: dfdx reveals it in no other way.
pub(super) fn alone<S: Shape, E: Elem>(tensor: &mut Tensor<S, E, Cpu>) -> bool {
    let shared = numbers(tensor).as_ptr();
    let own = numbers_mut(tensor);
    own.as_ptr() == shared && !own.is_empty()
}

/// Makes a tensor in the device's own memory and lets `fill` write it. A tensor made of a `Vec` would add its memory to
/// the device's cache at every step, and the cache never shrinks.
pub(super) fn tensor<S: Shape, E: Elem>(
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

/// Makes a tensor of zeros in the device's own memory and runs `other` at the same time: dfdx clears memory on one
/// thread.
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

#[cfg(test)]
mod tests {
    use super::*;

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
