//! What each family calls its tensors. Paths are below the prefix of the backbone, or absolute for the head.

use super::config::Architecture;

/// The names of one family.
pub(super) struct Names {
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

/// The names below a layer.
pub(super) enum BlockNames {
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

impl Names {
    pub fn of(architecture: Architecture) -> &'static Names {
        match architecture {
            Architecture::Bert => &BERT,
            Architecture::DistilBert => &DISTILBERT,
            Architecture::Roberta => &ROBERTA,
            Architecture::ModernBert => &MODERNBERT,
            Architecture::Gte => &GTE,
        }
    }
}

const BERT_BLOCK: BlockNames = BlockNames::Separate {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    attention_output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: "intermediate.dense",
    down: "output.dense",
    output_norm: "output.LayerNorm",
};

const BERT: Names = Names {
    prefix: "bert.",
    word_embeddings: "embeddings.word_embeddings",
    position_embeddings: "embeddings.position_embeddings",
    token_type_embeddings: "embeddings.token_type_embeddings",
    embedding_norm: "embeddings.LayerNorm",
    layer: "encoder.layer",
    block: BERT_BLOCK,
    final_norm: "",
    transform: "cls.predictions.transform.dense",
    transform_norm: "cls.predictions.transform.LayerNorm",
    decoder: "cls.predictions.decoder.weight",
    decoder_biases: &["cls.predictions.decoder.bias", "cls.predictions.bias"],
};

const ROBERTA: Names = Names {
    prefix: "roberta.",
    transform: "lm_head.dense",
    transform_norm: "lm_head.layer_norm",
    decoder: "lm_head.decoder.weight",
    decoder_biases: &["lm_head.decoder.bias", "lm_head.bias"],
    ..BERT
};

const DISTILBERT: Names = Names {
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
    ..BERT
};

const MODERNBERT: Names = Names {
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

const GTE: Names = Names {
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
    ..BERT
};
