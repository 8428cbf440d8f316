//! GTE, `model_type` `new`: the models of 2024. Source: the definition in Alibaba-NLP/new-impl.

use serde_json::Value;

use super::{bert, frequencies, BlockNames, Family, Names};
use crate::error::Error;
use crate::spec::config::{Biases, Blocks, ModelConfig, RotaryAttention, RotaryBlocks, MAX_BASE};
use crate::spec::keys::config::{SPEED, TRAINING};
use crate::spec::keys::{closed, followed, harmless, only, refused, within, Key, Treatment};
use crate::spec::settings::Settings;

/// GTE (`new`).
pub(super) static FAMILY: Family = Family {
    name: "GTE (`new`)",
    model_types: &["new"],
    keys: &[KEYS],
    config,
    activation_key: "hidden_act",
    epsilon_key: Some("layer_norm_eps"),
    names: NAMES,
    is_confirmed: false,
};

const NAMES: Names = Names {
    prefix: "new.",
    position_embeddings: "",
    block: BlockNames::Packed {
        query_key_value: "attention.qkv_proj",
        attention_output: "attention.o_proj",
        attention_norm: "attn_ln",
        expansion: "mlp.up_gate_proj",
        gate_first: false,
        down: "mlp.down_proj",
        output_norm: "mlp_ln",
    },
    transform: "lm_head.dense",
    transform_norm: "lm_head.norm",
    decoder: "lm_head.decoder.weight",
    decoder_biases: &["lm_head.decoder.bias"],
    ..bert::NAMES
};

/// `model_type` `new` of Alibaba-NLP/new-impl.
const KEYS: &[Key] = &[
    followed("hidden_size"),
    followed("num_hidden_layers"),
    followed("num_attention_heads"),
    followed("intermediate_size"),
    followed("hidden_act"),
    followed("max_position_embeddings"),
    followed("type_vocab_size"),
    followed("layer_norm_eps"),
    followed("rope_theta"),
    closed("rope_scaling", &[NTK], "positions would be scaled in another way"),
    only("position_embedding_type", &["\"rope\""], "positions would not be rotary"),
    only("layer_norm_type", &["\"layer_norm\""], "layers would have another norm"),
    only("pack_qkv", &["true"], "queries, keys and values would have a matrix each"),
    only("logn_attention_scale", &["false"], "queries would be scaled by the length of the text"),
    harmless("logn_attention_clip1", "read beside `logn_attention_scale` only"),
    // The code is not part of transformers, but its classes are implemented here.
    within("auto_map", CODE_OF_GTE),
    harmless("unpad_inputs", SPEED),
    harmless("use_memory_efficient_attention", SPEED),
    harmless("hidden_dropout_prob", TRAINING),
    harmless("attention_probs_dropout_prob", TRAINING),
    harmless("embedding_size", "silences a check of the number of heads"),
];

/// The scaling of GTE's positions.
const NTK: &[Key] = &[
    only("type", &["\"ntk\""], "positions would be scaled in another way"),
    followed("factor"),
    refused("mixed_b", "each pair of a head's elements would be scaled by itself"),
];

const OTHER_CODE: &str = "the model is defined by code that comes with it";
const OTHER_TASKS: &str = "a class for another task";

const CODE_OF_GTE: &[Key] = &[
    Key { name: "AutoConfig", treatment: Treatment::Class(&["NewConfig"], OTHER_CODE) },
    Key { name: "AutoModelForMaskedLM", treatment: Treatment::Class(&["NewForMaskedLM"], OTHER_CODE) },
    harmless("AutoModel", OTHER_TASKS),
    harmless("AutoModelForMultipleChoice", OTHER_TASKS),
    harmless("AutoModelForQuestionAnswering", OTHER_TASKS),
    harmless("AutoModelForSequenceClassification", OTHER_TASKS),
    harmless("AutoModelForTokenClassification", OTHER_TASKS),
];

fn config(file: &Settings) -> Result<ModelConfig, Error> {
    let num_layers = file.count("num_hidden_layers")?;
    let (hidden_size, num_heads) = (file.width("hidden_size")?, file.count("num_attention_heads")?);
    let base = file.base(file.keys.get("rope_theta"), "rope_theta", 10_000.0)?;
    let activation = file.activation("hidden_act")?;
    file.checked(ModelConfig {
        num_layers,
        hidden_size,
        num_heads,
        feed_forward_size: file.size("intermediate_size")?,
        vocab_size: file.size("vocab_size")?,
        max_positions: file.size("max_position_embeddings")?,
        num_token_types: if file.keys.get("type_vocab_size") == Some(&Value::from(0)) {
            0
        } else {
            file.size_or("type_vocab_size", 1)?
        },
        activation,
        head_activation: activation,
        layer_norm_eps: file.epsilon("layer_norm_eps", 1e-12)?,
        tie_word_embeddings: file.tie_word_embeddings()?,
        blocks: Blocks::Rotary(RotaryBlocks {
            norm_first: false,
            frequencies: vec![ntk_frequencies(file, hidden_size / num_heads, base)?],
            layers: vec![RotaryAttention { frequencies: 0, window: None }; num_layers],
        }),
        biases: Biases { up: false, ..Biases::ALL },
    })
}

/// Frequencies with NTK scaling by a fixed factor s, where config.json asks for it: the base is s times as large,
/// and all of them are divided by s^(2/D).
fn ntk_frequencies(file: &Settings, head_size: usize, base: f32) -> Result<Vec<f32>, Error> {
    let scaling = match file.keys.get("rope_scaling") {
        None | Some(Value::Null) => return Ok(frequencies(head_size, base)),
        Some(scaling) => scaling,
    };
    let factor = scaling.get("factor").and_then(Value::as_f64);
    let factor = factor.filter(|factor| (1.0..=MAX_BASE).contains(factor));
    match (scaling.get("type").and_then(Value::as_str), factor) {
        (Some("ntk"), Some(factor)) => {
            if factor == 1.0 {
                return Ok(frequencies(head_size, base));
            }
            let divisor = factor.powf(2.0 / head_size as f64) as f32;
            let scaled = frequencies(head_size, base * factor as f32);
            Ok(scaled.into_iter().map(|frequency| frequency / divisor).collect())
        }
        _ => Err(file.invalid(format!(
            "rope_scaling {scaling} is not supported, only {{\"type\":\"ntk\",\"factor\":…}}"
        ))),
    }
}
