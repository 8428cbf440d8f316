//! BERT: embedded positions, token types, a head below `cls.predictions`.

use super::{BlockNames, Family, Names};
use crate::error::Error;
use crate::spec::config::{Biases, Blocks, ModelConfig};
use crate::spec::keys::config::TRAINING;
use crate::spec::keys::{followed, harmless, only, Key};
use crate::spec::settings::Settings;

/// BERT.
pub(super) static FAMILY: Family = Family {
    name: "BERT",
    model_types: &["bert"],
    keys: &[KEYS],
    config,
    activation_key: "hidden_act",
    epsilon_key: Some("layer_norm_eps"),
    names: NAMES,
    is_confirmed: true,
};

const BLOCK: BlockNames = BlockNames::Separate {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
};

pub(super) const NAMES: Names = Names {
    prefix: "bert.",
    word_embeddings: "embeddings.word_embeddings",
    position_embeddings: "embeddings.position_embeddings",
    token_type_embeddings: "embeddings.token_type_embeddings",
    embedding_norm: "embeddings.LayerNorm",
    layer: "encoder.layer",
    block: BLOCK,
    final_norm: "",
    transform: "cls.predictions.transform.dense",
    transform_norm: "cls.predictions.transform.LayerNorm",
    decoder: "cls.predictions.decoder.weight",
    decoder_biases: &["cls.predictions.decoder.bias", "cls.predictions.bias"],
};

const POOLER: &str = "describes a pooler, which a masked language model does not have";

pub(super) const KEYS: &[Key] = &[
    followed("hidden_size"),
    followed("num_hidden_layers"),
    followed("num_attention_heads"),
    followed("intermediate_size"),
    followed("hidden_act"),
    followed("max_position_embeddings"),
    followed("type_vocab_size"),
    followed("layer_norm_eps"),
    only(
        "position_embedding_type",
        &["\"absolute\""],
        "attention would depend on the distance of two tokens as well",
    ),
    harmless("hidden_dropout_prob", TRAINING),
    harmless("attention_probs_dropout_prob", TRAINING),
    harmless("embedding_size", "silences a check of the number of heads"),
    // What Google's multilingual models carry.
    harmless("directionality", "read by no library"),
    harmless("pooler_fc_size", POOLER),
    harmless("pooler_num_attention_heads", POOLER),
    harmless("pooler_num_fc_layers", POOLER),
    harmless("pooler_size_per_head", POOLER),
    harmless("pooler_type", POOLER),
];

/// BERT's config.json, and RoBERTa's as far as it is the same.
pub(super) fn config(file: &Settings) -> Result<ModelConfig, Error> {
    let activation = file.activation("hidden_act")?;
    file.checked(ModelConfig {
        num_layers: file.count("num_hidden_layers")?,
        hidden_size: file.width("hidden_size")?,
        num_heads: file.count("num_attention_heads")?,
        feed_forward_size: file.size("intermediate_size")?,
        vocab_size: file.size("vocab_size")?,
        max_positions: file.size("max_position_embeddings")?,
        num_token_types: file.size_or("type_vocab_size", 2)?,
        activation,
        head_activation: activation,
        layer_norm_eps: file.epsilon("layer_norm_eps", 1e-12)?,
        tie_word_embeddings: file.tie_word_embeddings()?,
        blocks: Blocks::Absolute { padding_token: None },
        biases: Biases::ALL,
    })
}
