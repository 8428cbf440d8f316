//! The forward pass in plain candle tensors, on any device, read top to bottom.
//!
//! One text at a time: every product has the rows of one text only, so a
//! text's bits cannot depend on its neighbours. Slow and simple by intent: it is
//! what a faster forward is compared with.

use candle_core::{Device, Result, Tensor};
use candle_nn::ops::{silu, softmax_last_dim};

use crate::kernel::Rotations;
use crate::parameters::{Affine, Layers, Parameters};
use crate::spec::{HiddenActivation, ModelConfig};

/// A transformer encoder with its masked-LM transform, in candle tensors. Its layers are in `absolute.rs` and
/// `rotary.rs`.
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
    /// Source: the `…ForMaskedLM` classes of transformers; for GTE, the definition in Alibaba-NLP/new-impl.
    pub fn hidden_states(&self, ids: &[u32]) -> Result<Tensor> {
        let parameters = self.parameters;
        let embedded = self.norm(&self.embeddings(ids)?, &parameters.embedding_norm)?;
        let hidden = match &parameters.layers {
            Layers::Absolute(layers) => self.absolute_layers(layers, embedded)?,
            Layers::Rotary { layers, final_norm } => {
                let hidden = self.rotary_layers(layers, embedded)?;
                match final_norm {
                    Some(norm) => self.norm(&hidden, norm)?,
                    None => hidden,
                }
            }
        };
        let transformed = dense(&hidden, &parameters.transform)?;
        let transformed = activated(&transformed, self.config.head_activation)?;
        self.norm(&transformed, &parameters.transform_norm)
    }

    /// Word, token type and position embeddings, added in transformers' order: (T, H).
    fn embeddings(&self, ids: &[u32]) -> Result<Tensor> {
        let parameters = self.parameters;
        let device = parameters.word_embeddings.device();
        let mut embeddings = parameters.word_embeddings.index_select(&Tensor::new(ids, device)?, 0)?;
        if let Some(token_type) = &parameters.token_type_embedding {
            embeddings = embeddings.broadcast_add(token_type)?;
        }
        if let Some(of_positions) = &parameters.position_embeddings {
            let positions: Vec<u32> = self.config.positions(ids).map(|position| position as u32).collect();
            embeddings = (embeddings + of_positions.index_select(&Tensor::new(positions, device)?, 0)?)?;
        }
        Ok(embeddings)
    }

    /// softmax(Q·Kᵀ / √D)·V for each of the A heads, heads side by side again: (T, H).
    ///
    /// * `rotations`: what queries and keys are turned by.
    /// * `window`: how far a token sees to either side; the whole text when `None`.
    pub(super) fn attention(
        &self,
        [query, key, value]: [Tensor; 3],
        rotations: Option<&Rotations>,
        window: Option<usize>,
    ) -> Result<Tensor> {
        let (heads, head_size) = (self.config.num_heads, self.config.head_size());
        let tokens = query.dim(0)?;
        // (T, H) → (A, T, D)
        let split =
            |projected: Tensor| projected.reshape((tokens, heads, head_size))?.transpose(0, 1)?.contiguous();
        let turned = |projected: Tensor| match rotations {
            Some(rotations) => rotated(&projected, rotations),
            None => Ok(projected),
        };
        let query = turned(split((query / (head_size as f64).sqrt())?)?)?;
        let key = turned(split(key)?)?;
        let value = split(value)?;
        let mut scores = query.matmul(&key.t()?)?;
        if let Some(window) = window {
            scores = scores.broadcast_add(&outside(tokens, window, scores.device())?)?;
        }
        let context = softmax_last_dim(&scores)?.matmul(&value)?;
        context.transpose(0, 1)?.contiguous()?.reshape((tokens, heads * head_size))
    }

    /// (x − mean) / √(variance + ε) · weight + bias over the last dimension, the variance from centred values.
    ///
    /// candle-nn's fused LayerNorm takes the variance as E\[x²\] − E\[x\]², which loses digits where the mean is large.
    pub(super) fn norm(&self, x: &Tensor, norm: &Affine<Tensor>) -> Result<Tensor> {
        let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let variance = centred.sqr()?.mean_keepdim(1)?;
        let scale = (variance + self.config.layer_norm_eps)?.sqrt()?;
        centred.broadcast_div(&scale)?.broadcast_mul(&norm.weight)?.broadcast_add(&norm.bias)
    }

    /// That of the feed-forward blocks.
    pub(super) fn activation(&self, x: &Tensor) -> Result<Tensor> {
        activated(x, self.config.activation)
    }
}

fn activated(x: &Tensor, activation: HiddenActivation) -> Result<Tensor> {
    match activation {
        HiddenActivation::GeluErf => x.gelu_erf(),
        HiddenActivation::GeluTanh => x.gelu(),
        HiddenActivation::Relu => x.relu(),
        HiddenActivation::Silu => silu(x),
    }
}

/// x·Wᵀ + b: (T, in) → (T, out).
pub(super) fn dense(x: &Tensor, layer: &Affine<Tensor>) -> Result<Tensor> {
    x.matmul(&layer.weight.t()?)?.broadcast_add(&layer.bias)
}

/// x·cos + (−x₂, x₁)·sin for the halves x₁ and x₂ of each head: (A, T, D) → (A, T, D).
fn rotated(x: &Tensor, rotations: &Rotations) -> Result<Tensor> {
    let (_, tokens, size) = x.dims3()?;
    let half = size / 2;
    let table = |of: fn(&Rotations, usize) -> &[f32]| {
        let rows: Vec<f32> = (0..tokens).flat_map(|token| of(rotations, token).repeat(2)).collect();
        Tensor::from_vec(rows, (tokens, size), x.device())
    };
    let cos = table(|rotations, token| rotations.at(token).0)?;
    let sin = table(|rotations, token| rotations.at(token).1)?;
    let (first, second) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
    let turned = Tensor::cat(&[&second.neg()?, &first], 2)?;
    x.broadcast_mul(&cos)? + turned.broadcast_mul(&sin)?
}

/// −∞ where token j is further than `window` from token i, 0 elsewhere: (T, T).
fn outside(tokens: usize, window: usize, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..tokens)
        .flat_map(|i| (0..tokens).map(move |j| if i.abs_diff(j) > window { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Tensor::from_vec(mask, (tokens, tokens), device)
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

impl DeviceName {
    /// All of them.
    pub const ALL: [DeviceName; 3] = [DeviceName::Cpu, DeviceName::Cuda, DeviceName::Metal];

    /// `cpu`, `cuda` or `metal`.
    pub fn name(self) -> &'static str {
        match self {
            DeviceName::Cpu => "cpu",
            DeviceName::Cuda => "cuda",
            DeviceName::Metal => "metal",
        }
    }
}
