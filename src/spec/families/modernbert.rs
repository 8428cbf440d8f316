//! ModernBERT, in the words of transformers 4 or of transformers 5.

use serde_json::Value;

use super::{frequencies, BlockNames, Family, Names};
use crate::error::Error;
use crate::spec::config::{Biases, Blocks, ModelConfig, RotaryAttention, RotaryBlocks};
use crate::spec::keys::config::{ALWAYS_AN_ENCODER, LABELS, SPEED, TRAINING};
use crate::spec::keys::{closed, followed, harmless, only, refused, Key};
use crate::spec::settings::Settings;

/// ModernBERT.
pub(super) static FAMILY: Family = Family {
    name: "ModernBERT",
    model_types: &["modernbert"],
    keys: &[KEYS],
    config,
    activation_key: "hidden_activation",
    epsilon_key: Some("norm_eps"),
    names: NAMES,
    is_confirmed: true,
};

const NAMES: Names = Names {
    prefix: "model.",
    word_embeddings: "embeddings.tok_embeddings",
    position_embeddings: "",
    token_type_embeddings: "",
    embedding_norm: "embeddings.norm",
    layer: "layers",
    block: BlockNames::Packed {
        query_key_value: "attn.Wqkv",
        attention_output: "attn.Wo",
        attention_norm: "attn_norm",
        expansion: "mlp.Wi",
        gate_first: true,
        down: "mlp.Wo",
        output_norm: "mlp_norm",
    },
    final_norm: "final_norm",
    transform: "head.dense",
    transform_norm: "head.norm",
    decoder: "decoder.weight",
    decoder_biases: &["decoder.bias"],
};

const KEYS: &[Key] = &[
    followed("hidden_size"),
    followed("num_hidden_layers"),
    followed("num_attention_heads"),
    followed("intermediate_size"),
    followed("hidden_activation"),
    followed("max_position_embeddings"),
    followed("norm_eps"),
    followed("norm_bias"),
    followed("attention_bias"),
    followed("mlp_bias"),
    followed("decoder_bias"),
    // Of the masked-LM head too.
    followed("classifier_bias"),
    followed("classifier_activation"),
    // The whole window; `sliding_window` is half of it and wins over it (transformers 5).
    followed("local_attention"),
    followed("sliding_window"),
    // Each layer's kind; without it, every n-th layer sees the whole text.
    followed("layer_types"),
    followed("global_attn_every_n_layers"),
    // The bases, as transformers 5 and 4 write them.
    closed(
        "rope_parameters",
        &[ROPE_OF_KINDS],
        "the bases stand under `full_attention` and `sliding_attention`",
    ),
    followed("global_rope_theta"),
    followed("local_rope_theta"),
    refused("rope_scaling", "positions would be scaled"),
    only("partial_rotary_factor", &["1"], "only a part of each head would be rotated"),
    refused(
        "head_dim",
        "heads would be rotated in another size than the hidden size divided by their number",
    ),
    harmless("rope_theta", "`global_rope_theta` and `local_rope_theta` are read instead"),
    harmless("layer_norm_eps", "`norm_eps` is read instead"),
    harmless("position_embedding_type", "positions are always rotary"),
    harmless("is_decoder", ALWAYS_AN_ENCODER),
    harmless("add_cross_attention", ALWAYS_AN_ENCODER),
    harmless("classifier_pooling", LABELS),
    harmless("sparse_prediction", "leaves out logits of tokens without labels, in training"),
    harmless("sparse_pred_ignore_index", TRAINING),
    harmless("attention_dropout", TRAINING),
    harmless("embedding_dropout", TRAINING),
    harmless("mlp_dropout", TRAINING),
    harmless("initializer_cutoff_factor", TRAINING),
    harmless("repad_logits_with_grad", TRAINING),
    harmless("deterministic_flash_attn", SPEED),
    harmless("reference_compile", SPEED),
];

const ROPE_OF_KINDS: &[Key] = &[
    closed("full_attention", &[ROPE], OTHER_ROTATION),
    closed("sliding_attention", &[ROPE], OTHER_ROTATION),
];

const OTHER_ROTATION: &str = "positions would be rotated in another way";

/// The rotation of one kind of ModernBERT's layers.
const ROPE: &[Key] = &[
    followed("rope_theta"),
    only("rope_type", &["\"default\""], "positions would be scaled"),
    only("type", &["\"default\""], "positions would be scaled"),
    harmless("partial_rotary_factor", "not read by the default kind of rotation"),
];

fn config(file: &Settings) -> Result<ModelConfig, Error> {
    let num_layers = file.count("num_hidden_layers")?;
    let (hidden_size, num_heads) = (file.width("hidden_size")?, file.count("num_attention_heads")?);
    // How far a token sees to either side: transformers 5 writes that, 4 the whole width.
    let window = match file.get("sliding_window") {
        Some(_) => file.size("sliding_window")?,
        None => file.size_or("local_attention", 128)? / 2,
    };
    let bases = [
        ("full_attention", "global_rope_theta", 160_000.0),
        ("sliding_attention", "local_rope_theta", 10_000.0),
    ];
    let mut frequency_sets = Vec::new();
    for (kind, old_key, default) in bases {
        frequency_sets.push(frequencies(hidden_size / num_heads, rope_base(file, kind, old_key, default)?));
    }
    let layer = |is_local: bool| RotaryAttention {
        frequencies: usize::from(is_local),
        window: is_local.then_some(window),
    };
    let layers = match file.keys.get("layer_types") {
        None | Some(Value::Null) => {
            let every = file.size_or("global_attn_every_n_layers", 3)?;
            (0..num_layers).map(|index| layer(index % every != 0)).collect()
        }
        Some(Value::Array(types)) if types.len() == num_layers => {
            let kind = |value: &Value| match value.as_str() {
                Some("full_attention") => Ok(layer(false)),
                Some("sliding_attention") => Ok(layer(true)),
                _ => Err(file.invalid(format!(
                    "`layer_types` has {value}, neither \"full_attention\" nor \"sliding_attention\""
                ))),
            };
            types.iter().map(kind).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(file.invalid(format!("`layer_types` is not a list of {num_layers}"))),
    };
    let (attention, mlp) = (file.flag("attention_bias", false)?, file.flag("mlp_bias", false)?);
    file.checked(ModelConfig {
        num_layers,
        hidden_size,
        num_heads,
        feed_forward_size: file.size("intermediate_size")?,
        vocab_size: file.size("vocab_size")?,
        max_positions: file.size_or("max_position_embeddings", 8192)?,
        num_token_types: 0,
        activation: file.activation("hidden_activation")?,
        head_activation: file.activation("classifier_activation")?,
        layer_norm_eps: file.epsilon("norm_eps", 1e-5)?,
        tie_word_embeddings: file.tie_word_embeddings()?,
        blocks: Blocks::Rotary(RotaryBlocks { norm_first: true, frequencies: frequency_sets, layers }),
        biases: Biases {
            attention,
            up: mlp,
            down: mlp,
            norm: file.flag("norm_bias", false)?,
            transform: file.flag("classifier_bias", false)?,
            decoder: file.flag("decoder_bias", true)?,
        },
    })
}

/// The base of the rotary frequencies of one kind of layer.
fn rope_base(file: &Settings, kind: &str, old_key: &str, default: f64) -> Result<f32, Error> {
    let parameters = match file.keys.get("rope_parameters") {
        None | Some(Value::Null) => None,
        Some(Value::Object(parameters)) => parameters.get(kind),
        Some(other) => return Err(file.invalid(format!("`rope_parameters` is {other}, not an object"))),
    };
    if let Some(other) = parameters.filter(|value| !value.is_object()) {
        return Err(file.invalid(format!("`rope_parameters`: `{kind}` is {other}, not an object")));
    }
    let base = parameters.and_then(|parameters| parameters.get("rope_theta"));
    file.base(base.or_else(|| file.keys.get(old_key)), old_key, default)
}
