//! RoBERTa: BERT's blocks, positions from one after the padding token, a head below `lm_head`.

use serde_json::Value;

use super::{bert, Family, Names};
use crate::error::Error;
use crate::spec::config::{Blocks, HiddenActivation, ModelConfig};
use crate::spec::keys::{followed, Key};
use crate::spec::settings::Settings;

/// RoBERTa.
pub(super) static FAMILY: Family = Family {
    name: "RoBERTa",
    model_types: &["roberta"],
    keys: &[KEYS, bert::KEYS],
    config,
    activation_key: "hidden_act",
    epsilon_key: Some("layer_norm_eps"),
    names: NAMES,
    is_confirmed: true,
};

const NAMES: Names = Names {
    prefix: "roberta.",
    transform: "lm_head.dense",
    transform_norm: "lm_head.layer_norm",
    decoder: "lm_head.decoder.weight",
    decoder_biases: &["lm_head.decoder.bias", "lm_head.bias"],
    ..bert::NAMES
};

/// Beside BERT's.
const KEYS: &[Key] = &[
    // Positions are counted from the one after it.
    followed("pad_token_id"),
];

fn config(file: &Settings) -> Result<ModelConfig, Error> {
    let config = bert::config(file)?;
    let positions = config.max_positions;
    let written = file.keys.get("pad_token_id").cloned().unwrap_or_else(|| Value::from(1));
    // At least one position is left for a text.
    let padding = written.as_u64().filter(|padding| *padding < positions as u64 - 1).ok_or_else(|| {
        file.invalid(format!(
            "`pad_token_id` is {written}: positions are counted from one after it, and there are {positions}"
        ))
    })?;
    let padding = padding as usize;
    Ok(ModelConfig {
        // Whatever hidden_act says: transformers' head calls gelu.
        head_activation: HiddenActivation::GeluErf,
        blocks: Blocks::Absolute { padding_token: Some(padding) },
        ..config
    })
}
