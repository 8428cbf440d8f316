//! DistilBERT: BERT without token types, and with names of its own.

use super::{bert, BlockNames, Family, Names};
use crate::error::Error;
use crate::spec::config::{Biases, Blocks, ModelConfig};
use crate::spec::keys::config::{ALWAYS_AN_ENCODER, TRAINING};
use crate::spec::keys::{followed, harmless, Key};
use crate::spec::settings::Settings;

/// DistilBERT.
pub(super) static FAMILY: Family = Family {
    name: "DistilBERT",
    model_types: &["distilbert"],
    keys: &[KEYS],
    config,
    activation_key: "activation",
    epsilon_key: None,
    names: NAMES,
    is_confirmed: true,
};

const NAMES: Names = Names {
    prefix: "distilbert.",
    layer: "transformer.layer",
    block: BlockNames::Separate {
        query: "attention.q_lin",
        key: "attention.k_lin",
        value: "attention.v_lin",
        attention_output: "attention.out_lin",
        attention_norm: "sa_layer_norm",
        up: "ffn.lin1",
        down: "ffn.lin2",
        output_norm: "output_layer_norm",
    },
    transform: "vocab_transform",
    transform_norm: "vocab_layer_norm",
    decoder: "vocab_projector.weight",
    decoder_biases: &["vocab_projector.bias"],
    ..bert::NAMES
};

const KEYS: &[Key] = &[
    followed("dim"),
    followed("n_layers"),
    followed("n_heads"),
    followed("hidden_dim"),
    followed("activation"),
    followed("max_position_embeddings"),
    // Other names of the first three, which win over them.
    followed("hidden_size"),
    followed("num_hidden_layers"),
    followed("num_attention_heads"),
    harmless(
        "sinusoidal_pos_embds",
        "fills the position embeddings before the checkpoint's take their place",
    ),
    harmless("tie_weights_", "read by no library; `tie_word_embeddings` decides"),
    harmless("is_decoder", ALWAYS_AN_ENCODER),
    harmless("add_cross_attention", ALWAYS_AN_ENCODER),
    harmless("dropout", TRAINING),
    harmless("attention_dropout", TRAINING),
    harmless("qa_dropout", TRAINING),
    harmless("seq_classif_dropout", TRAINING),
];

fn config(file: &Settings) -> Result<ModelConfig, Error> {
    let activation = file.activation("activation")?;
    file.checked(ModelConfig {
        num_layers: file.count(alias(file, "num_hidden_layers", "n_layers"))?,
        hidden_size: file.width(alias(file, "hidden_size", "dim"))?,
        num_heads: file.count(alias(file, "num_attention_heads", "n_heads"))?,
        feed_forward_size: file.size("hidden_dim")?,
        vocab_size: file.size("vocab_size")?,
        max_positions: file.size("max_position_embeddings")?,
        num_token_types: 0,
        activation,
        head_activation: activation,
        // DistilBERT's own code has the constant, its config has no such key.
        layer_norm_eps: 1e-12,
        tie_word_embeddings: file.tie_word_embeddings()?,
        blocks: Blocks::Absolute { padding_token: None },
        biases: Biases::ALL,
    })
}

/// The name that transformers has for a setting in every family, where the file uses it: it wins over DistilBERT's own.
fn alias(file: &Settings, general: &'static str, own: &'static str) -> &'static str {
    if file.keys.contains_key(general) {
        general
    } else {
        own
    }
}
