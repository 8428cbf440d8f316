//! The supported families of masked language models: a file each, and the table that lists them.
//!
//! A family's file holds its `model_type`s, the keys of its config.json and how it is read, the names of its tensors and whether its
//! projections are packed. Nothing else in the program knows one family from another.

mod bert;
mod distilbert;
mod gte;
mod modernbert;
mod roberta;

use super::config::ModelConfig;
use super::keys::FamilyKeys;
use crate::error::Error;
use crate::spec::settings::Settings;

/// One family of masked language models.
pub(crate) struct Family {
    /// What people call it.
    pub name: &'static str,
    /// The values of config.json's `model_type` that mean it.
    pub model_types: &'static [&'static str],
    /// The keys of its config.json, beside those that every model may have.
    pub keys: FamilyKeys,
    /// Reads its config.json.
    pub config: fn(&Settings) -> Result<ModelConfig, Error>,
    /// The key of config.json that names the activation of its feed-forward blocks.
    pub activation_key: &'static str,
    /// The key of config.json that holds the epsilon of its norms; `None` where that is a constant.
    pub epsilon_key: Option<&'static str>,
    /// The names of its tensors.
    pub names: Names,
    /// Whether published scores of real weights have been reproduced.
    pub is_confirmed: bool,
}

/// Every supported family.
pub(crate) static FAMILIES: [&Family; 5] =
    [&bert::FAMILY, &distilbert::FAMILY, &roberta::FAMILY, &modernbert::FAMILY, &gte::FAMILY];

impl Family {
    /// The family that a `model_type` means.
    pub fn of_model_type(model_type: &str) -> Option<&'static Family> {
        FAMILIES.into_iter().find(|family| family.model_types.contains(&model_type))
    }
}

/// Every supported `model_type`.
pub(crate) fn model_types() -> impl Iterator<Item = &'static str> {
    FAMILIES.into_iter().flat_map(|family| family.model_types).copied()
}

/// The names of a family's tensors. Paths are below the prefix of the backbone, or absolute for the head.
pub(crate) struct Names {
    /// Of the backbone's tensors; a checkpoint may leave it out.
    pub prefix: &'static str,
    pub word_embeddings: &'static str,
    /// Empty where positions are rotations.
    pub position_embeddings: &'static str,
    pub token_type_embeddings: &'static str,
    pub embedding_norm: &'static str,
    /// What stands before a layer's number.
    pub layer: &'static str,
    pub block: BlockNames,
    /// Empty where there is none.
    pub final_norm: &'static str,
    pub transform: &'static str,
    pub transform_norm: &'static str,
    pub decoder: &'static str,
    /// The names that the bias goes by, the one that transformers 5 prefers first.
    pub decoder_biases: &'static [&'static str],
}

impl Names {
    /// Whether a tensor of this name belongs to the head, outside of the backbone.
    pub fn is_of_head(&self, name: &str) -> bool {
        let top = |path: &'static str| path.split('.').next().unwrap_or_default();
        let tops = [self.transform, self.transform_norm, self.decoder].map(top);
        let biases = self.decoder_biases.iter().map(|bias| top(bias));
        tops.into_iter().chain(biases).any(|top| name.split('.').next() == Some(top))
    }

    /// The first product of a layer's feed-forward block, and how many times F outputs it has.
    pub fn feed_forward(&self) -> (&'static str, usize) {
        match self.block {
            BlockNames::Separate { up, .. } => (up, 1),
            BlockNames::Packed { expansion, .. } => (expansion, 2),
        }
    }
}

/// The names below a layer.
pub(crate) enum BlockNames {
    /// A tensor for each product.
    Separate {
        query: &'static str,
        key: &'static str,
        value: &'static str,
        attention_output: &'static str,
        attention_norm: &'static str,
        up: &'static str,
        down: &'static str,
        output_norm: &'static str,
    },
    /// Query, key and value in one tensor (3H, H), and both halves of the gated product in another (2F, H).
    Packed {
        query_key_value: &'static str,
        attention_output: &'static str,
        attention_norm: &'static str,
        expansion: &'static str,
        /// Whether the half that is activated comes first.
        gate_first: bool,
        down: &'static str,
        output_norm: &'static str,
    },
}

/// The frequencies of a head's pairs: base^(−2i/D), computed in f32 as PyTorch does.
pub(super) fn frequencies(head_size: usize, base: f32) -> Vec<f32> {
    let exponent = |pair: usize| (2 * pair) as f32 / head_size as f32;
    // The power in f64, then rounded: what a correct f32 power gives.
    let power = |pair| f64::from(base).powf(f64::from(exponent(pair))) as f32;
    (0..head_size / 2).map(|pair| 1.0 / power(pair)).collect()
}
