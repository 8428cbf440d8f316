//! The tensors of one checkpoint by name, whatever file format and dtype holds them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use super::parameter::Parameter;
use crate::error::Error;
use crate::source::mmap::map_safetensors;
use crate::source::ModelFiles;
use crate::spec::{CheckpointFormat, CheckpointSpec};
use candle_core::pickle::PthTensors;
use candle_core::safetensors::{Load, MmapedSafetensors, SliceSafetensors};
use candle_core::{DType, Device, Tensor};

const SAFETENSORS: &str = "model.safetensors";

/// The tensors of one checkpoint by name, whatever file format holds them.
pub(super) struct Tensors {
    /// Path of the file (of the index, where the checkpoint is sharded), for messages.
    pub file: String,
    format: Format,
}

enum Format {
    Mapped(Arc<MmapedSafetensors>),
    BuiltIn(SliceSafetensors<'static>),
    PyTorch(PthTensors),
}

impl Tensors {
    /// Opens the checkpoint that `spec` names.
    pub fn open(files: &ModelFiles, spec: &CheckpointSpec) -> Result<Self, Error> {
        let files = files.within(&spec.folder);
        let first = spec.index.as_ref().unwrap_or(&spec.files[0]);
        let file = files.describe(first);
        let Some(folder) = files.path() else { return Self::open_built_in(&files) };
        for name in &spec.files {
            if !files.contains(name)? {
                return Err(Error::invalid(file, format!("names the shard `{name}`, which is not there")));
            }
            files.mark_used(name);
        }
        match spec.format {
            CheckpointFormat::Safetensors => {
                let paths: Vec<PathBuf> = spec.files.iter().map(|name| folder.join(name)).collect();
                Self::open_safetensors(file, &paths)
            }
            CheckpointFormat::PyTorch => {
                let tensors = PthTensors::new(folder.join(&spec.files[0]), None).map_err(|error| {
                    Error::invalid(
                        &file,
                        format!("not a PyTorch checkpoint in zip format: {}", plain(&error)),
                    )
                })?;
                Ok(Tensors { file, format: Format::PyTorch(tensors) })
            }
        }
    }

    fn open_safetensors(file: String, paths: &[PathBuf]) -> Result<Self, Error> {
        let tensors = map_safetensors(paths).map_err(|error| not_safetensors(&file, &error))?;
        Ok(Tensors { file, format: Format::Mapped(Arc::new(tensors)) })
    }

    fn open_built_in(files: &ModelFiles) -> Result<Self, Error> {
        let file = files.describe(SAFETENSORS);
        let bytes = files.built_in(SAFETENSORS).ok_or_else(|| Error::invalid(&file, "is not compiled in"))?;
        let tensors = SliceSafetensors::new(bytes).map_err(|error| not_safetensors(&file, &error))?;
        Ok(Tensors { file, format: Format::BuiltIn(tensors) })
    }

    pub fn names(&self) -> BTreeSet<String> {
        match &self.format {
            Format::Mapped(tensors) => tensors.tensors().into_iter().map(|(name, _)| name).collect(),
            Format::BuiltIn(tensors) => tensors.tensors().into_iter().map(|(name, _)| name).collect(),
            Format::PyTorch(tensors) => tensors.tensor_infos().keys().cloned().collect(),
        }
    }

    /// Whether two stored tensors hold the same values, without copying either where the format allows.
    pub fn same(&self, one: &str, other: &str) -> Result<bool, Error> {
        if let Format::Mapped(tensors) = &self.format {
            let (one, other) = (tensors.get(one)?, tensors.get(other)?);
            return Ok(one.dtype() == other.dtype()
                && one.shape() == other.shape()
                && one.data() == other.data());
        }
        let (one, other) = (self.stored(one)?, self.stored(other)?);
        let values = |tensor: &Tensor| tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        Ok(one.dims() == other.dims() && values(&one)? == values(&other)?)
    }

    /// The tensor `name` in f32, in place where its file is mapped, and the dtype that it is stored in: f16 and bf16
    /// widen exactly.
    pub fn load(&self, name: &str, shape: &[usize]) -> Result<(Parameter, DType), Error> {
        if let Format::Mapped(tensors) = &self.format {
            let has_shape = tensors.get(name).is_ok_and(|view| view.shape() == shape);
            if let Some(weights) = has_shape.then(|| Parameter::mapped(tensors, name, shape)).flatten() {
                return Ok((weights, DType::F32));
            }
        }
        let tensor = self.stored(name)?;
        if tensor.dims() != shape {
            let has = tensor.dims();
            return Err(self.fault(name, format!("has the shape {has:?}, config.json asks for {shape:?}")));
        }
        Ok((Parameter::owned(self.widened(name, &tensor)?, shape), tensor.dtype()))
    }

    /// The values of the vector `name` in f32.
    pub fn vector(&self, name: &str) -> Result<Vec<f32>, Error> {
        if !self.names().contains(name) {
            return Err(self.fault(name, "is missing"));
        }
        let tensor = self.stored(name)?;
        match tensor.dims() {
            [_] => self.widened(name, &tensor),
            other => Err(self.fault(name, format!("has the shape {other:?}, not that of a vector"))),
        }
    }

    fn widened(&self, name: &str, tensor: &Tensor) -> Result<Vec<f32>, Error> {
        let dtype = tensor.dtype();
        if !matches!(dtype, DType::F32 | DType::F16 | DType::BF16) {
            return Err(
                self.fault(name, format!("is stored as {}; f32, f16 and bf16 are read", dtype.as_str()))
            );
        }
        Ok(tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }

    fn stored(&self, name: &str) -> Result<Tensor, Error> {
        let loaded = match &self.format {
            Format::Mapped(tensors) => tensors.get(name).and_then(|view| view.load(&Device::Cpu)),
            Format::BuiltIn(tensors) => tensors.load(name, &Device::Cpu),
            Format::PyTorch(tensors) => {
                // The reader takes a view's offset for bytes, where it counts elements.
                if tensors.tensor_infos().get(name).is_some_and(|info| info.layout.start_offset() != 0) {
                    return Err(
                        self.fault(name, "is a view into a larger storage; save the model as safetensors")
                    );
                }
                tensors.get(name).and_then(|tensor| {
                    tensor.ok_or_else(|| candle_core::Error::Msg("not in the file".into()))
                })
            }
        };
        loaded.map_err(|error| self.fault(name, format!("cannot be read: {}", plain(&error))))
    }

    pub fn fault(&self, tensor: &str, reason: impl Into<String>) -> Error {
        Error::Tensor { file: self.file.clone(), tensor: tensor.to_string(), reason: reason.into() }
    }
}

fn not_safetensors(file: &str, error: &candle_core::Error) -> Error {
    Error::invalid(file, format!("not a complete safetensors file: {}", plain(error)))
}

/// candle's message without its backtrace.
fn plain(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}
