//! MaskedLm: token ids to the hidden states that the vocabulary projection is applied to.

pub(crate) mod checkpoint;
pub(crate) mod config;
pub(crate) mod cpu;
mod mmap;
mod reference;
pub(crate) mod stock;

use candle_core::{Device, Tensor};

pub use checkpoint::DecoderReading;
pub(crate) use config::{ModelConfig, SUPPORTED_MODEL_TYPES};
pub use reference::DeviceName;

use crate::error::Error;
use crate::files::{Decision, ModelFiles};
use crate::kernel::Kernel;
use checkpoint::Parameters;
use cpu::{CpuForward, Sharing};
use reference::{open_device, ReferenceForward};

/// A masked language model up to its head, ready to run.
pub(crate) struct MaskedLm {
    config: ModelConfig,
    parameters: Parameters,
    device: Device,
    /// What computes the forward pass on the CPU; on other devices, the reference does.
    kernel: Kernel,
}

impl MaskedLm {
    /// Loads the checkpoint of `files` onto `device`; the decisions say what was read and why.
    pub fn load(
        files: &ModelFiles,
        config: ModelConfig,
        device: DeviceName,
        reading: DecoderReading,
        kernel: Kernel,
    ) -> Result<(Self, Vec<Decision>), Error> {
        let (parameters, decisions) = Parameters::load(files, &config, reading)?;
        let device = match open_device(device) {
            Ok(device) => device,
            Err(error) => {
                let device = if device == DeviceName::Metal { "metal" } else { "cuda" };
                let reason = error.to_string().lines().next().unwrap_or_default().to_string();
                return Err(Error::Device { device, reason });
            }
        };
        let parameters = if device.is_cpu() { parameters } else { parameters.to_device(&device)? };
        Ok((MaskedLm { config, parameters, device, kernel }, decisions))
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The forward pass over the kernels; `None` on another device than the CPU.
    pub fn on_cpu(&self, sharing: Sharing) -> Option<CpuForward<'_>> {
        let MaskedLm { config, parameters, device, kernel } = self;
        device.is_cpu().then_some(CpuForward { config, parameters, kernel: *kernel, sharing })
    }

    /// The hidden states of one text by the reference, (T, H) in f32, on any device.
    ///
    /// `ids`: T token ids, at least one, at most the model's positions, each below V.
    pub fn hidden_states(&self, ids: &[u32]) -> Result<Tensor, Error> {
        let forward = ReferenceForward { config: &self.config, parameters: &self.parameters };
        Ok(forward.hidden_states(ids)?)
    }
}
