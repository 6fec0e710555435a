//! A tensor in a file.

use std::borrow::Cow;

use safetensors::{Dtype, View};

use crate::FileError;

/// A tensor with a name, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, such as `2.0.weight`.
    pub name: String,
    /// The type of its numbers.
    pub dtype: Dtype,
    /// Its shape, outermost dimension first; empty for a single number.
    pub shape: Vec<usize>,
    /// Its numbers, row by row, little-endian.
    pub bytes: Vec<u8>,
}

/// A number type of tensors in files.
pub trait Number: Copy + private::Sealed {
    /// Its name in safetensors.
    const DTYPE: Dtype;

    /// Numbers as little-endian bytes.
    fn bytes(values: &[Self]) -> Vec<u8>;

    /// The numbers of little-endian bytes; an incomplete last number is left out.
    fn values(bytes: &[u8]) -> Vec<Self>;
}

mod private {
    pub trait Sealed {}
}

macro_rules! number {
    ($($number:ident $dtype:ident),*) => {$(
        impl private::Sealed for $number {}
        impl Number for $number {
            const DTYPE: Dtype = Dtype::$dtype;

            fn bytes(values: &[Self]) -> Vec<u8> {
                values.iter().flat_map(|x| x.to_le_bytes()).collect()
            }

            fn values(bytes: &[u8]) -> Vec<Self> {
                let (numbers, _) = bytes.as_chunks();
                numbers.iter().map(|bytes| $number::from_le_bytes(*bytes)).collect()
            }
        }
    )*};
}
number!(f32 F32, f64 F64, u8 U8, u16 U16, u32 U32);

impl Entry {
    /// A tensor of these numbers, row by row.
    pub fn new<T: Number>(name: impl Into<String>, shape: &[usize], values: &[T]) -> Self {
        Entry { name: name.into(), dtype: T::DTYPE, shape: shape.to_vec(), bytes: T::bytes(values) }
    }

    /// Its numbers, row by row.
    ///
    /// # Errors
    /// [`FileError::Structure`] if its numbers are not `T`.
    pub fn values<T: Number>(&self) -> Result<Vec<T>, FileError> {
        if self.dtype == T::DTYPE {
            return Ok(T::values(&self.bytes));
        }
        Err(self.wrong(format!("its type is {}, not {}", self.dtype, T::DTYPE)))
    }

    /// Its numbers, if there are `n`.
    ///
    /// # Errors
    /// [`FileError::Structure`] if its numbers are not `T`, or there are more or fewer.
    pub fn exactly<T: Number>(&self, n: usize) -> Result<Vec<T>, FileError> {
        let values = self.values()?;
        if values.len() == n { Ok(values) } else { Err(self.wrong(format!("{} numbers, not {n}", values.len()))) }
    }

    /// Its numbers, `f32` or `f64`, all of them finite.
    ///
    /// # Errors
    /// [`FileError::Structure`] for anything else; [`FileError::NotFinite`].
    pub fn floats(&self) -> Result<Vec<f64>, FileError> {
        let values = match self.dtype {
            Dtype::F32 => f32::values(&self.bytes).into_iter().map(f64::from).collect(),
            Dtype::F64 => f64::values(&self.bytes),
            other => return Err(self.wrong(format!("its type is {other}; convert it to F32 or F64 first"))),
        };
        match values.iter().position(|x| !x.is_finite()) {
            Some(index) => Err(FileError::NotFinite { tensor: self.name.clone(), index, value: values[index] }),
            None => Ok(values),
        }
    }

    fn wrong(&self, problem: String) -> FileError {
        FileError::structure(format!("tensor `{}`", self.name), problem)
    }
}

/// The view that the safetensors crate writes.
impl View for &Entry {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        self.bytes.as_slice().into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let x = [1.5_f32, -0.0, f32::MIN_POSITIVE, 3e38];
        let entry = Entry::new("x", &[2, 2], &x);
        assert_eq!(entry.values::<f32>().unwrap().map_bits(), x.to_vec().map_bits());
        assert_eq!(entry.exactly::<f32>(4).unwrap().len(), 4);
        assert_eq!(entry.floats().unwrap(), x.map(f64::from));
        assert_eq!(Entry::new("i", &[3], &[7_u16, 0, 65_535]).values::<u16>().unwrap(), [7, 0, 65_535]);
        assert_eq!(Entry::new("i", &[1], &[0x0102_0304_u32]).bytes, [4, 3, 2, 1]);
        assert_eq!(Entry::new("b", &[2], &[9_u8, 8]).values::<u8>().unwrap(), [9, 8]);
        assert_eq!(Entry::new("d", &[1], &[1e300_f64]).floats().unwrap(), [1e300]);
    }

    #[test]
    fn what_is_asked_for_in_vain_is_named() {
        let entry = Entry::new("x", &[2], &[1.0_f32, f32::NAN]);
        let problem = |error: FileError| error.to_string();
        assert_eq!(problem(entry.values::<f64>().unwrap_err()), "tensor `x`: its type is F32, not F64");
        assert_eq!(problem(entry.exactly::<f32>(3).unwrap_err()), "tensor `x`: 2 numbers, not 3");
        assert!(matches!(entry.floats(), Err(FileError::NotFinite { index: 1, .. })));
        let half = Entry { dtype: Dtype::F16, ..entry };
        assert_eq!(problem(half.floats().unwrap_err()), "tensor `x`: its type is F16; convert it to F32 or F64 first");
    }

    trait Bits {
        fn map_bits(self) -> Vec<u32>;
    }
    impl Bits for Vec<f32> {
        fn map_bits(self) -> Vec<u32> {
            self.into_iter().map(f32::to_bits).collect()
        }
    }
}
