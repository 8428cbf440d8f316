//! The values of one parameter, where they are: in a mapped file, or in memory of our own.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use candle_core::{Device, Tensor};

use crate::kernel::{GemmWeight, InstructionSet, MatRef, Panels};
use crate::source::mmap::MappedValues;

/// A parameter in f32, row-major. Cloning it copies nothing.
#[derive(Clone)]
pub(crate) struct Parameter {
    shape: Vec<usize>,
    values: Arc<Values>,
    /// Where the first of them is: other than 0 in a part of a larger parameter.
    start: usize,
    /// A matrix once more, as the kernels take it fastest; empty until somebody wants it.
    panels: Arc<OnceLock<Panels>>,
}

enum Values {
    Owned(Vec<f32>),
    Mapped(MappedValues),
}

impl Parameter {
    /// Values that were converted, or made.
    pub fn owned(values: Vec<f32>, shape: &[usize]) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        Parameter {
            shape: shape.to_vec(),
            values: Arc::new(Values::Owned(values)),
            start: 0,
            panels: Arc::default(),
        }
    }

    /// Values as they lie in a mapped file.
    pub fn mapped(values: MappedValues, shape: &[usize]) -> Self {
        debug_assert_eq!(values.values().len(), shape.iter().product::<usize>());
        Parameter {
            shape: shape.to_vec(),
            values: Arc::new(Values::Mapped(values)),
            start: 0,
            panels: Arc::default(),
        }
    }

    /// The values, rows one after the other.
    pub fn values(&self) -> &[f32] {
        let values = match &*self.values {
            Values::Owned(values) => values,
            Values::Mapped(mapped) => mapped.values(),
        };
        &values[self.start..][..self.shape.iter().product()]
    }

    /// How many of each dimension there are.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Rows of a matrix, or elements of a vector, where they lie.
    pub fn rows(&self, rows: Range<usize>) -> Self {
        let row: usize = self.shape[1..].iter().product();
        let mut shape = self.shape.clone();
        shape[0] = rows.len();
        Parameter {
            shape,
            values: Arc::clone(&self.values),
            start: self.start + rows.start * row,
            panels: Arc::default(),
        }
    }

    /// A matrix for the kernels: its panels where they are kept, else its rows where they lie.
    pub fn matrix(&self) -> GemmWeight<'_> {
        match self.panels.get() {
            Some(panels) => GemmWeight::panels(panels),
            None => GemmWeight::Rows(MatRef::new(self.values(), self.shape[1])),
        }
    }

    /// Keeps the panels of a matrix from now on: as much memory again.
    pub fn keep_panels(&self, kernel: InstructionSet) {
        self.panels.get_or_init(|| Panels::new(kernel, MatRef::new(self.values(), self.shape[1])));
    }

    /// The first row of a matrix.
    pub fn first_row(&self) -> Self {
        let columns = &self.shape[1..];
        Parameter::owned(self.values()[..columns.iter().product()].to_vec(), columns)
    }

    /// A copy as a tensor on `device`.
    pub fn tensor(&self, device: &Device) -> candle_core::Result<Tensor> {
        Tensor::from_slice(self.values(), self.shape.as_slice(), device)
    }
}
