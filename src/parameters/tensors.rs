//! The tensors of one checkpoint by name, whatever file format and dtype holds them.

use std::collections::BTreeMap;

use super::parameter::Parameter;
use super::stored::{Dtype, StoredTensor};
use super::{pytorch, safetensors};
use crate::error::Error;
use crate::source::mmap::MappedValues;
use crate::source::{FileBytes, ModelFiles};
use crate::spec::{CheckpointFormat, CheckpointSpec};

/// The tensors of one checkpoint by name. They are read where they lie, when they are asked for.
pub(super) struct Tensors {
    /// Path of the file (of the index, where the checkpoint is sharded), for messages.
    pub file: String,
    files: Vec<FileBytes>,
    tensors: BTreeMap<String, StoredTensor>,
}

impl Tensors {
    /// Opens the checkpoint that `spec` names.
    ///
    /// # Errors
    ///
    /// [`Error::Read`] and [`Error::Invalid`] for a file that cannot be used.
    pub fn open(files: &ModelFiles, spec: &CheckpointSpec) -> Result<Self, Error> {
        let files = files.within(&spec.folder);
        let first = spec.index.as_ref().unwrap_or(&spec.files[0]);
        let file = files.describe(first);
        let mut tensors = Tensors { file: file.clone(), files: Vec::new(), tensors: BTreeMap::new() };
        for shard in &spec.files {
            // Of a tensor that is in two shards, transformers takes the one from the last.
            if !tensors.add(&files, shard, spec.format)? {
                return Err(Error::invalid(file, format!("names the shard `{shard}`, which is not there")));
            }
        }
        Ok(tensors)
    }

    /// Adds the tensors of one file; whether it is there.
    fn add(&mut self, files: &ModelFiles, file: &str, format: CheckpointFormat) -> Result<bool, Error> {
        let Some(bytes) = files.map(file)? else { return Ok(false) };
        let index = self.files.len();
        let read = match format {
            CheckpointFormat::Safetensors => safetensors::read_header(&bytes, index)
                .map_err(|reason| format!("not a complete safetensors file: {reason}")),
            CheckpointFormat::PyTorch => pytorch::read_tensors(&bytes, index),
        };
        self.tensors.extend(read.map_err(|reason| Error::invalid(files.describe(file), reason))?);
        self.files.push(bytes);
        Ok(true)
    }

    /// The names of all tensors, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of the tensor `name`, where there is one.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.tensors.get(name)?.shape)
    }

    /// Whether two stored tensors hold the same values, without a copy of either where they are stored alike.
    pub fn same(&self, one: &str, other: &str) -> Result<bool, Error> {
        let (first, second) = (self.get(one)?, self.get(other)?);
        if first == second {
            return Ok(true);
        }
        if first.shape != second.shape {
            return Ok(false);
        }
        if first.dtype == second.dtype && first.strides.is_none() && second.strides.is_none() {
            let bytes = |tensor: &StoredTensor| &self.files[tensor.file][tensor.bytes.clone()];
            return Ok(bytes(first) == bytes(second));
        }
        Ok(self.values(one, first)? == self.values(other, second)?)
    }

    /// The tensor `name` in f32, in place where it lies so in a mapped file, and the dtype that it is stored in.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`] when it is missing, has another shape, or is stored in a dtype that is no float.
    pub fn load(&self, name: &str, shape: &[usize]) -> Result<(Parameter, Dtype), Error> {
        self.insist_on(name, shape)?;
        let tensor = self.get(name)?;
        if tensor.dtype == Dtype::F32 && tensor.strides.is_none() {
            let file = self.files[tensor.file].clone();
            if let Some(values) = MappedValues::new(file, tensor.bytes.clone()) {
                return Ok((Parameter::mapped(values, shape), tensor.dtype));
            }
        }
        Ok((Parameter::owned(self.values(name, tensor)?, shape), tensor.dtype))
    }

    /// Refuses the tensor `name` where it is stored in a dtype that is no float, or has another shape.
    ///
    /// # Errors
    ///
    /// [`Error::Tensor`], also when it is missing.
    pub fn insist_on(&self, name: &str, shape: &[usize]) -> Result<(), Error> {
        let StoredTensor { dtype, shape: has, .. } = self.get(name)?;
        // Before the shape: quantization often packs several numbers into one.
        if let Dtype::Other(dtype, _) = dtype {
            return Err(self.quantized(name, dtype));
        }
        match has == shape {
            true => Ok(()),
            false => Err(self.fault(name, format!("has the shape {has:?}, config.json asks for {shape:?}"))),
        }
    }

    /// The values of the vector `name` in f32.
    pub fn vector(&self, name: &str) -> Result<Vec<f32>, Error> {
        let tensor = self.get(name)?;
        match tensor.shape.as_slice() {
            [_] => self.values(name, tensor),
            other => Err(self.fault(name, format!("has the shape {other:?}, not that of a vector"))),
        }
    }

    fn get(&self, name: &str) -> Result<&StoredTensor, Error> {
        self.tensors.get(name).ok_or_else(|| self.missing(name))
    }

    fn values(&self, name: &str, tensor: &StoredTensor) -> Result<Vec<f32>, Error> {
        tensor.to_f32(&self.files[tensor.file]).ok_or_else(|| self.quantized(name, tensor.dtype.name()))
    }

    fn quantized(&self, name: &str, dtype: &str) -> Error {
        let reason =
            format!("is stored as {dtype}, as in a quantized checkpoint; f64, f32, f16 and bf16 are read");
        self.fault(name, reason)
    }

    /// That `name` is missing, and why, where the other names tell.
    pub fn missing(&self, name: &str) -> Error {
        let reason = match self.reason_of_absence() {
            Some(reason) => format!("is missing: {reason}"),
            None => "is missing".to_string(),
        };
        self.fault(name, reason)
    }

    /// What the names of a checkpoint say of its making, where that is why the right ones are missing.
    fn reason_of_absence(&self) -> Option<String> {
        // Those of GPTQ, AWQ, bitsandbytes, compressed-tensors, optimum-quanto and torchao.
        const QUANTIZED: [&str; 13] = [
            ".qweight",
            ".qzeros",
            ".scales",
            ".g_idx",
            ".SCB",
            ".weight_format",
            ".absmax",
            ".quant_map",
            ".weight_packed",
            ".weight_scale",
            ".weight_zero_point",
            ".weight._data",
            ".quant_state.bitsandbytes__nf4",
        ];
        let mut names = self.names();
        if let Some(quantized) = self.names().find(|name| QUANTIZED.iter().any(|end| name.ends_with(end))) {
            let quantized = quantized.escape_debug();
            return Some(format!(
                "the checkpoint is quantized, as `{quantized}` shows; f64, f32, f16 and bf16 are read"
            ));
        }
        // What DataParallel, torch.compile and FSDP put in front of every name; transformers does not take it away.
        const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "_fsdp_wrapped_module."];
        let first = names.next()?;
        let wrapper = WRAPPERS.into_iter().find(|wrapper| first.starts_with(wrapper))?;
        let all = self.names().all(|name| name.starts_with(wrapper));
        all.then(|| {
            format!("every name begins with `{wrapper}`, which the model was wrapped in when it was saved")
        })
    }

    /// An error about one tensor of this checkpoint.
    pub fn fault(&self, tensor: &str, reason: impl Into<String>) -> Error {
        Error::Tensor { file: self.file.clone(), tensor: tensor.to_string(), reason: reason.into() }
    }
}
