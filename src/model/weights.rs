//! The values of one parameter, where they are: in a mapped file, or in memory of our own.

use std::sync::Arc;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{Device, Tensor};

use super::mmap::MappedValues;

/// A parameter in f32, row-major. Cloning it copies nothing.
#[derive(Clone)]
pub(crate) struct Weights {
    shape: Vec<usize>,
    values: Arc<Values>,
}

enum Values {
    Owned(Vec<f32>),
    Mapped(MappedValues),
}

impl Weights {
    /// Values that were converted, or made.
    pub fn owned(values: Vec<f32>, shape: &[usize]) -> Self {
        debug_assert_eq!(values.len(), shape.iter().product::<usize>());
        Weights { shape: shape.to_vec(), values: Arc::new(Values::Owned(values)) }
    }

    /// The f32 tensor `name` as it lies in a mapped file; `None` where it cannot be read in place.
    pub fn mapped(file: &Arc<MmapedSafetensors>, name: &str, shape: &[usize]) -> Option<Self> {
        let values = MappedValues::new(Arc::clone(file), name)?;
        Some(Weights { shape: shape.to_vec(), values: Arc::new(Values::Mapped(values)) })
    }

    /// The values, rows one after the other.
    pub fn values(&self) -> &[f32] {
        match &*self.values {
            Values::Owned(values) => values,
            Values::Mapped(mapped) => mapped.values(),
        }
    }

    /// The first row of a matrix.
    pub fn first_row(&self) -> Self {
        let columns = &self.shape[1..];
        Weights::owned(self.values()[..columns.iter().product()].to_vec(), columns)
    }

    /// A copy as a tensor on `device`.
    pub fn tensor(&self, device: &Device) -> candle_core::Result<Tensor> {
        Tensor::from_slice(self.values(), self.shape.as_slice(), device)
    }
}
