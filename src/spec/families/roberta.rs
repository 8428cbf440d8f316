//! RoBERTa: BERT's blocks, positions from one after the padding token, a head below `lm_head`.

use super::{bert, Family, Names};
use crate::error::Error;
use crate::spec::config::{Blocks, HiddenActivation, ModelConfig};
use crate::spec::settings::Settings;

/// RoBERTa.
pub(super) static FAMILY: Family = Family {
    name: "RoBERTa",
    model_types: &["roberta"],
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

fn config(file: &Settings) -> Result<ModelConfig, Error> {
    let config = bert::config_of(&FAMILY, file)?;
    let padding = match file.keys.get("pad_token_id") {
        None => 1,
        Some(value) => match value.as_u64() {
            Some(padding) if (padding as usize) < config.max_positions - 1 => padding as usize,
            _ => {
                let positions = config.max_positions;
                return Err(file.invalid(format!(
                    "`pad_token_id` is {value}: positions are counted from one after it, and there are {positions}"
                )));
            }
        },
    };
    Ok(ModelConfig {
        // Whatever hidden_act says: transformers' head calls gelu.
        head_activation: HiddenActivation::GeluErf,
        blocks: Blocks::Absolute { padding_token: Some(padding) },
        ..config
    })
}
