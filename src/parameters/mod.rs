//! The parameters of a masked language model, once every difference of names and files is behind.

mod adapter;
mod load;
mod parameter;
mod pickle;
mod pytorch;
mod safetensors;
mod stored;
mod stored_zip;
mod tensors;

use std::ops::Range;

use candle_core::{Device, Tensor};

use crate::error::Error;
use crate::source::ModelFiles;
use crate::spec::CheckpointSpec;
pub(crate) use load::LoadReport;
pub(crate) use parameter::Parameter;
use tensors::Tensors;

/// The values of a stored vector, of whatever length.
///
/// # Errors
///
/// [`Error::Invalid`] for a damaged file, [`Error::Tensor`] when it has no such vector.
pub(crate) fn read_vector(
    files: &ModelFiles,
    checkpoint: &CheckpointSpec,
    name: &str,
) -> Result<Vec<f32>, Error> {
    Tensors::open(files, checkpoint)?.vector(name)
}

/// The parameters of a masked language model in f32: as they were read, or as tensors on a device.
///
/// A bias that the model does not have is a vector of zeros.
pub(crate) struct Parameters<T = Parameter> {
    /// (V, H)
    pub word_embeddings: T,
    /// (positions, H); `None` where positions are rotations.
    pub position_embeddings: Option<T>,
    /// (H): the row of type 0, which every token of a single text has; `None` where there are no types.
    pub token_type_embedding: Option<T>,
    pub embedding_norm: Affine<T>,
    pub layers: Layers<T>,
    /// Of the masked-LM head: (H, H)
    pub transform: Affine<T>,
    pub transform_norm: Affine<T>,
    /// (V, H); shares the embeddings' storage where the decoder is tied
    pub decoder: T,
    /// (V)
    pub decoder_bias: T,
}

/// L layers of one shape.
pub(crate) enum Layers<T = Parameter> {
    Absolute(Vec<AbsoluteLayer<T>>),
    Rotary {
        layers: Vec<RotaryLayer<T>>,
        /// After the last layer, where norms come first in each.
        final_norm: Option<Affine<T>>,
    },
}

/// One layer with embedded positions.
pub(crate) struct AbsoluteLayer<T = Parameter> {
    pub attention: AttentionParameters<T>,
    pub attention_norm: Affine<T>,
    /// (F, H)
    pub up: Affine<T>,
    /// (H, F)
    pub down: Affine<T>,
    pub output_norm: Affine<T>,
}

/// One layer with rotary positions and a gate.
pub(crate) struct RotaryLayer<T = Parameter> {
    pub attention: AttentionParameters<T>,
    /// `None` in the first layer where norms come first: the embeddings were normalised just before.
    pub attention_norm: Option<Affine<T>>,
    /// (F, H): the half of the first product that is activated.
    pub gate: Affine<T>,
    /// (F, H): the half that is multiplied by it.
    pub up: Affine<T>,
    /// (H, F)
    pub down: Affine<T>,
    pub output_norm: Affine<T>,
}

/// (H, H) each.
pub(crate) struct AttentionParameters<T = Parameter> {
    pub query: Affine<T>,
    pub key: Affine<T>,
    pub value: Affine<T>,
    pub output: Affine<T>,
}

/// A weight and its bias: of a dense layer, (out, in) and (out); of a LayerNorm, (H) and (H).
pub(crate) struct Affine<T = Parameter> {
    pub weight: T,
    pub bias: T,
}

impl<T> Parameters<T> {
    /// Every dense layer but the decoder.
    pub fn dense_layers(&self) -> impl Iterator<Item = &Affine<T>> {
        let mut layers: Vec<&Affine<T>> = Vec::new();
        match &self.layers {
            Layers::Absolute(of_model) => {
                for layer in of_model {
                    layers.extend(layer.attention.dense_layers());
                    layers.extend([&layer.up, &layer.down]);
                }
            }
            Layers::Rotary { layers: of_model, .. } => {
                for layer in of_model {
                    layers.extend(layer.attention.dense_layers());
                    layers.extend([&layer.gate, &layer.up, &layer.down]);
                }
            }
        }
        layers.into_iter().chain([&self.transform])
    }
}

impl<T> AttentionParameters<T> {
    fn dense_layers(&self) -> [&Affine<T>; 4] {
        [&self.query, &self.key, &self.value, &self.output]
    }
}

impl Parameters {
    /// The same parameters as tensors on `device`.
    pub fn tensors(&self, device: &Device) -> candle_core::Result<Parameters<Tensor>> {
        let layers = match &self.layers {
            Layers::Absolute(layers) => {
                Layers::Absolute(layers.iter().map(|layer| layer.tensors(device)).collect::<Result<_, _>>()?)
            }
            Layers::Rotary { layers, final_norm } => Layers::Rotary {
                layers: layers.iter().map(|layer| layer.tensors(device)).collect::<Result<_, _>>()?,
                final_norm: final_norm.as_ref().map(|norm| norm.tensors(device)).transpose()?,
            },
        };
        let optional = |weights: &Option<Parameter>| weights.as_ref().map(|it| it.tensor(device)).transpose();
        Ok(Parameters {
            word_embeddings: self.word_embeddings.tensor(device)?,
            position_embeddings: optional(&self.position_embeddings)?,
            token_type_embedding: optional(&self.token_type_embedding)?,
            embedding_norm: self.embedding_norm.tensors(device)?,
            layers,
            transform: self.transform.tensors(device)?,
            transform_norm: self.transform_norm.tensors(device)?,
            decoder: self.decoder.tensor(device)?,
            decoder_bias: self.decoder_bias.tensor(device)?,
        })
    }
}

impl AbsoluteLayer {
    fn tensors(&self, device: &Device) -> candle_core::Result<AbsoluteLayer<Tensor>> {
        Ok(AbsoluteLayer {
            attention: self.attention.tensors(device)?,
            attention_norm: self.attention_norm.tensors(device)?,
            up: self.up.tensors(device)?,
            down: self.down.tensors(device)?,
            output_norm: self.output_norm.tensors(device)?,
        })
    }
}

impl RotaryLayer {
    fn tensors(&self, device: &Device) -> candle_core::Result<RotaryLayer<Tensor>> {
        Ok(RotaryLayer {
            attention: self.attention.tensors(device)?,
            attention_norm: self.attention_norm.as_ref().map(|norm| norm.tensors(device)).transpose()?,
            gate: self.gate.tensors(device)?,
            up: self.up.tensors(device)?,
            down: self.down.tensors(device)?,
            output_norm: self.output_norm.tensors(device)?,
        })
    }
}

impl AttentionParameters {
    fn tensors(&self, device: &Device) -> candle_core::Result<AttentionParameters<Tensor>> {
        Ok(AttentionParameters {
            query: self.query.tensors(device)?,
            key: self.key.tensors(device)?,
            value: self.value.tensors(device)?,
            output: self.output.tensors(device)?,
        })
    }
}

impl Affine {
    /// The part of a dense layer that gives these outputs, without a copy.
    pub fn rows(&self, outputs: Range<usize>) -> Affine {
        Affine { weight: self.weight.rows(outputs.clone()), bias: self.bias.rows(outputs) }
    }

    fn tensors(&self, device: &Device) -> candle_core::Result<Affine<Tensor>> {
        Ok(Affine { weight: self.weight.tensor(device)?, bias: self.bias.tensor(device)? })
    }
}
