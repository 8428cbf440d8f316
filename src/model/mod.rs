//! MaskedLm: token ids to the hidden states that the vocabulary projection is applied to.

pub(crate) mod checkpoint;
pub(crate) mod config;
pub(crate) mod cpu;
mod mmap;
mod reference;
pub(crate) mod stock;
pub(crate) mod weights;

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
    /// The same on another device than the CPU, where the reference computes the forward pass.
    on_device: Option<Parameters<Tensor>>,
    /// What computes it on the CPU.
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
        let on_device = if device.is_cpu() { None } else { Some(parameters.tensors(&device)?) };
        Ok((MaskedLm { config, parameters, device, on_device, kernel }, decisions))
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

    /// The forward pass over the kernels.
    pub fn on_cpu(&self, sharing: Sharing) -> CpuForward<'_> {
        CpuForward { config: &self.config, parameters: &self.parameters, kernel: self.kernel, sharing }
    }

    /// The decoder where the reference is to multiply with it.
    pub fn decoder_on_device(&self) -> Option<&Tensor> {
        self.on_device.as_ref().map(|parameters| &parameters.decoder)
    }

    /// The forward pass in candle tensors; `None` on the CPU.
    pub fn on_device(&self) -> Option<ReferenceForward<'_>> {
        self.on_device.as_ref().map(|parameters| ReferenceForward { config: &self.config, parameters })
    }
}
