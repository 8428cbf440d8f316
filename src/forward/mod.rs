//! MaskedLm: turns token ids into the hidden states to which the vocabulary projection is applied.

mod absolute;
pub(crate) mod batch;
pub(crate) mod cpu;
mod reference;
mod rotary;

use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{Device, Tensor};

pub use reference::DeviceName;

use crate::conventions::UntiedDecoder;
use crate::error::Error;
use crate::kernel::InstructionSet;
use crate::parallel::Parallelism;
use crate::parameters::{LoadReport, Parameter, Parameters};
use crate::source::ModelFiles;
use crate::spec::{ModelConfig, TransformerSpec};
use cpu::CpuForward;
use reference::{open_device, ReferenceForward};

/// A masked language model up to its head, ready to run.
pub(crate) struct MaskedLm {
    config: ModelConfig,
    parameters: Parameters,
    device: Device,
    /// A copy on the device, where candle computes the forward pass; `None` on the CPU.
    on_device: Option<Parameters<Tensor>>,
    /// The instruction set that computes the forward pass on the CPU.
    kernel: InstructionSet,
    /// The number of short calls so far.
    num_short: AtomicUsize,
}

impl MaskedLm {
    /// Loads the checkpoint that `spec` names onto `device`, and says what was read and why.
    ///
    /// * `decoder`: the caller's reading of a stored decoder that differs from the embeddings.
    pub fn load(
        files: &ModelFiles,
        spec: &TransformerSpec,
        device: DeviceName,
        decoder: Option<UntiedDecoder>,
        kernel: InstructionSet,
    ) -> Result<(Self, LoadReport), Error> {
        let config = spec.config.clone();
        let (parameters, report) = Parameters::load(files, spec, decoder)?;
        let device = match open_device(device) {
            Ok(device) => device,
            Err(error) => {
                let device = if device == DeviceName::Metal { "metal" } else { "cuda" };
                let reason = error.to_string().lines().next().unwrap_or_default().to_string();
                return Err(Error::Device { device, reason });
            }
        };
        let on_device = if device.is_cpu() { None } else { Some(parameters.tensors(&device)?) };
        Ok((
            MaskedLm { config, parameters, device, on_device, kernel, num_short: AtomicUsize::new(0) },
            report,
        ))
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The forward pass over the kernels.
    pub fn on_cpu(&self, sharing: Parallelism) -> CpuForward<'_> {
        CpuForward { config: &self.config, parameters: &self.parameters, kernel: self.kernel, sharing }
    }

    /// Notes a call with only a few tokens, in which packing the weights dominates. The second such call packs the layers'
    /// panels and keeps them: a caller with two short texts is likely to have many.
    ///
    /// Packs on threads of its own, because the encoder's threads may be waiting for the panels.
    pub fn note_short_call(&self) {
        if self.on_device.is_some() || self.num_short.fetch_add(1, Ordering::Relaxed) != 1 {
            return;
        }
        let matrices: Vec<&Parameter> = self.parameters.dense_layers().map(|layer| &layer.weight).collect();
        let num_threads = rayon::current_num_threads();
        std::thread::scope(|scope| {
            for first in 0..num_threads {
                let share = matrices.iter().skip(first).step_by(num_threads);
                scope.spawn(move || share.for_each(|matrix| matrix.keep_panels(self.kernel)));
            }
        });
    }

    /// The logits of one text by the reference's forward pass: (T, V).
    pub fn reference_logits(&self, ids: &[u32]) -> Result<Vec<Vec<f32>>, Error> {
        let parameters = self.parameters.tensors(&self.device)?;
        let forward = ReferenceForward { config: &self.config, parameters: &parameters };
        let logits = forward.hidden_states(ids)?.matmul(&parameters.decoder.t()?)?;
        Ok(logits.broadcast_add(&parameters.decoder_bias)?.to_vec2()?)
    }

    /// The decoder on the device, if there is one.
    pub fn decoder_on_device(&self) -> Option<&Tensor> {
        self.on_device.as_ref().map(|parameters| &parameters.decoder)
    }

    /// The forward pass in candle tensors; `None` on the CPU.
    pub fn on_device(&self) -> Option<ReferenceForward<'_>> {
        self.on_device.as_ref().map(|parameters| ReferenceForward { config: &self.config, parameters })
    }
}
