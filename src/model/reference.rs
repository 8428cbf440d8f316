//! The forward pass in plain candle tensors, on any device, read top to bottom.
//!
//! One text at a time: every product has the rows of one text only, so a
//! text's bits cannot depend on its neighbours. Slow and simple by intent: it is
//! what a faster forward is compared with.

use candle_core::{Device, Result, Tensor};
use candle_nn::ops::{silu, softmax_last_dim};

use super::checkpoint::{Affine, LayerParameters, Parameters};
use super::config::{HiddenActivation, ModelConfig};

/// A BERT-shaped encoder with its masked-LM transform, in candle tensors.
pub(crate) struct ReferenceForward<'a> {
    pub config: &'a ModelConfig,
    pub parameters: &'a Parameters<Tensor>,
}

impl ReferenceForward<'_> {
    /// The head's hidden states of one text: what the vocabulary projection is applied to.
    ///
    /// * `ids`: the text's T token ids, special tokens included, each below V; T at most the model's positions.
    /// * returns: (T, H), f32.
    ///
    /// Source: `BertForMaskedLM` and `DistilBertForMaskedLM` of transformers; post-norm, absolute positions.
    pub fn hidden_states(&self, ids: &[u32]) -> Result<Tensor> {
        let parameters = self.parameters;
        let mut hidden = self.norm(&self.embeddings(ids)?, &parameters.embedding_norm)?;
        for layer in &parameters.layers {
            let attended = dense(&self.attention(&hidden, layer)?, &layer.attention_output)?;
            hidden = self.norm(&(attended + &hidden)?, &layer.attention_norm)?;
            let expanded = self.activation(&dense(&hidden, &layer.up)?)?;
            hidden = self.norm(&(dense(&expanded, &layer.down)? + &hidden)?, &layer.output_norm)?;
        }
        let transformed = self.activation(&dense(&hidden, &parameters.transform)?)?;
        self.norm(&transformed, &parameters.transform_norm)
    }

    /// Word, token type and position embeddings, added in transformers' order: (T, H).
    fn embeddings(&self, ids: &[u32]) -> Result<Tensor> {
        let parameters = self.parameters;
        let ids_tensor = Tensor::new(ids, parameters.word_embeddings.device())?;
        let mut embeddings = parameters.word_embeddings.index_select(&ids_tensor, 0)?;
        if let Some(token_type) = &parameters.token_type_embedding {
            embeddings = embeddings.broadcast_add(token_type)?;
        }
        embeddings + parameters.position_embeddings.narrow(0, 0, ids.len())?
    }

    /// softmax(Q·Kᵀ / √D)·V for each of the A heads, heads side by side again: (T, H).
    fn attention(&self, hidden: &Tensor, layer: &LayerParameters<Tensor>) -> Result<Tensor> {
        let (heads, head_size) = (self.config.num_heads, self.config.head_size());
        let tokens = hidden.dim(0)?;
        // (T, H) → (A, T, D)
        let split =
            |projected: Tensor| projected.reshape((tokens, heads, head_size))?.transpose(0, 1)?.contiguous();
        let query = split((dense(hidden, &layer.query)? / (head_size as f64).sqrt())?)?;
        let key = split(dense(hidden, &layer.key)?)?;
        let value = split(dense(hidden, &layer.value)?)?;
        let scores = query.matmul(&key.t()?)?;
        let context = softmax_last_dim(&scores)?.matmul(&value)?;
        context.transpose(0, 1)?.contiguous()?.reshape((tokens, heads * head_size))
    }

    /// (x − mean) / √(variance + ε) · weight + bias over the last dimension, the variance from centred values.
    ///
    /// candle-nn's fused LayerNorm takes the variance as E\[x²\] − E\[x\]², which loses digits where the mean is large.
    fn norm(&self, x: &Tensor, norm: &Affine<Tensor>) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let variance = centred.sqr()?.mean_keepdim(1)?;
        let scale = (variance + self.config.layer_norm_eps)?.sqrt()?;
        centred.broadcast_div(&scale)?.broadcast_mul(&norm.weight)?.broadcast_add(&norm.bias)
    }

    fn activation(&self, x: &Tensor) -> Result<Tensor> {
        match self.config.activation {
            HiddenActivation::GeluErf => x.gelu_erf(),
            HiddenActivation::GeluTanh => x.gelu(),
            HiddenActivation::Relu => x.relu(),
            HiddenActivation::Silu => silu(x),
        }
    }
}

/// x·Wᵀ + b: (T, in) → (T, out).
fn dense(x: &Tensor, layer: &Affine<Tensor>) -> Result<Tensor> {
    x.matmul(&layer.weight.t()?)?.broadcast_add(&layer.bias)
}

/// The device that `name` asks for; the first of its kind.
pub(crate) fn open_device(name: DeviceName) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::Cpu),
        DeviceName::Cuda => Device::new_cuda(0),
        DeviceName::Metal => Device::new_metal(0),
    }
}

/// Where the forward pass runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The processor.
    #[default]
    Cpu,
    /// The first NVIDIA GPU; needs a build with the feature `cuda`.
    Cuda,
    /// The first Apple GPU; needs a build with the feature `metal`.
    Metal,
}
