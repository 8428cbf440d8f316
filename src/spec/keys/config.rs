//! config.json: what every transformers config may say, and what each family's own says.
//!
//! Read from `configuration_utils.py` and the `modeling_*.py` of transformers 4.57 and 5.24, and from the configuration
//! and model of Alibaba-NLP/new-impl; only what changes the logits of a masked language model in evaluation counts.

use super::{closed, followed, harmless, only, refused, within, Key, Treatment};

/// The tables of a `model_type`: its own, then the common one.
pub(super) fn tables(family: Option<&str>) -> &'static [&'static [Key]] {
    match family {
        Some("bert") => &[BERT, COMMON],
        Some("distilbert") => &[DISTILBERT, COMMON],
        Some("roberta") => &[ROBERTA, BERT, COMMON],
        Some("modernbert") => &[MODERNBERT, COMMON],
        Some("new") => &[GTE, COMMON],
        _ => &[COMMON],
    }
}

const TRAINING: &str = "used in training only";
const LABELS: &str = "describes a classification head, which a masked language model does not have";
const GENERATION: &str = "used to generate text only";
const OUTPUTS: &str = "decides what else the model returns beside the logits";
const BOOKKEEPING: &str = "says where the file came from";
const SPEED: &str = "another way to compute the same attention";
const TOKENIZER_DECIDES: &str = "the tokenizer's files decide which token this is";
const SEVERAL_MODELS: &str = "read only by classes that are made of several models";
const DECODER: &str = "the model would be a decoder, in which a token does not see those after it";
const OTHER_LAYERS: &str = "some layers would have another shape than the rest";

/// What every config may have.
const COMMON: &[Key] = &[
    followed("model_type"),
    followed("vocab_size"),
    followed("tie_word_embeddings"),
    // Where tokenizer_config.json names no class.
    followed("tokenizer_class"),
    harmless(
        "architectures",
        "the masked language model follows from `model_type`; a head that the checkpoint lacks is missed by name",
    ),
    harmless("auto_map", "names code that is used only where `model_type` is unknown to transformers or the user asks for it"),
    harmless("custom_pipelines", "names code for pipelines of transformers"),
    harmless("transformers_version", BOOKKEEPING),
    harmless("_name_or_path", BOOKKEEPING),
    harmless("name_or_path", BOOKKEEPING),
    harmless("_commit_hash", BOOKKEEPING),
    harmless("sentence_transformers", "written by CrossEncoder for its own use"),
    // Numbers.
    harmless("dtype", "how parameters are stored, which the checkpoint says; they are computed with in f32"),
    harmless("torch_dtype", "how parameters are stored, which the checkpoint says; they are computed with in f32"),
    harmless("use_bfloat16", "used by TensorFlow only"),
    refused("quantization_config", "the parameters are quantized"),
    refused("compression_config", "the parameters are compressed"),
    // Attention.
    only("is_decoder", &["false"], DECODER),
    only("is_causal", &["false"], DECODER),
    only("add_cross_attention", &["false"], "every layer would attend to another model's output"),
    only("tie_encoder_decoder", &["false"], "an encoder and a decoder would share their parameters"),
    harmless("is_encoder_decoder", SEVERAL_MODELS),
    harmless("cross_attention_hidden_size", SEVERAL_MODELS),
    harmless("encoder", SEVERAL_MODELS),
    harmless("decoder", SEVERAL_MODELS),
    harmless("text_config", SEVERAL_MODELS),
    harmless("attn_implementation", SPEED),
    harmless("_attn_implementation", SPEED),
    harmless("_attn_implementation_internal", SPEED),
    harmless("_attn_implementation_autoset", SPEED),
    harmless("experts_implementation", "none of these models has experts"),
    harmless("_experts_implementation", "none of these models has experts"),
    harmless("_experts_implementation_internal", "none of these models has experts"),
    harmless("use_cache", "keeps states for the next token of a decoder"),
    // The shape of layers.
    only("pruned_heads", &["{}"], "some attention heads would be missing"),
    only("per_layer_config", &["{}"], OTHER_LAYERS),
    harmless("chunk_size_feed_forward", "computes the same feed-forward block on fewer tokens at a time"),
    // What the model returns.
    harmless("return_dict", OUTPUTS),
    harmless("use_return_dict", OUTPUTS),
    harmless("output_hidden_states", OUTPUTS),
    harmless("output_attentions", OUTPUTS),
    harmless("_output_attentions", OUTPUTS),
    harmless("output_past", OUTPUTS),
    harmless("tie_last_hidden_states", OUTPUTS),
    harmless("torchscript", "copies the tied matrix, which leaves the same values"),
    // Training and other tasks.
    harmless("gradient_checkpointing", TRAINING),
    harmless("initializer_range", TRAINING),
    harmless("tf_legacy_loss", TRAINING),
    harmless("finetuning_task", LABELS),
    harmless("id2label", LABELS),
    harmless("label2id", LABELS),
    harmless("num_labels", LABELS),
    harmless("_num_labels", LABELS),
    harmless("problem_type", LABELS),
    harmless("classifier_dropout", LABELS),
    harmless("task_specific_params", "read by pipelines of transformers only"),
    harmless("prefix", "put before a text by pipelines that generate text only"),
    // Tokens.
    harmless("bos_token_id", TOKENIZER_DECIDES),
    harmless("eos_token_id", TOKENIZER_DECIDES),
    harmless("cls_token_id", TOKENIZER_DECIDES),
    harmless("sep_token_id", TOKENIZER_DECIDES),
    harmless("mask_token_id", TOKENIZER_DECIDES),
    harmless("unk_token_id", TOKENIZER_DECIDES),
    harmless("pad_token_id", "the token's row is zero when training begins, and the checkpoint's after that"),
    harmless("decoder_start_token_id", GENERATION),
    // Parameters of generation, which transformers 4 kept here.
    harmless("max_length", GENERATION),
    harmless("min_length", GENERATION),
    harmless("max_new_tokens", GENERATION),
    harmless("min_new_tokens", GENERATION),
    harmless("do_sample", GENERATION),
    harmless("early_stopping", GENERATION),
    harmless("num_beams", GENERATION),
    harmless("num_beam_groups", GENERATION),
    harmless("diversity_penalty", GENERATION),
    harmless("temperature", GENERATION),
    harmless("top_k", GENERATION),
    harmless("top_p", GENERATION),
    harmless("typical_p", GENERATION),
    harmless("repetition_penalty", GENERATION),
    harmless("length_penalty", GENERATION),
    harmless("no_repeat_ngram_size", GENERATION),
    harmless("encoder_no_repeat_ngram_size", GENERATION),
    harmless("bad_words_ids", GENERATION),
    harmless("num_return_sequences", GENERATION),
    harmless("output_scores", GENERATION),
    harmless("return_dict_in_generate", GENERATION),
    harmless("forced_bos_token_id", GENERATION),
    harmless("forced_eos_token_id", GENERATION),
    harmless("remove_invalid_values", GENERATION),
    harmless("exponential_decay_length_penalty", GENERATION),
    harmless("suppress_tokens", GENERATION),
    harmless("begin_suppress_tokens", GENERATION),
    harmless("encoder_repetition_penalty", GENERATION),
    harmless("epsilon_cutoff", GENERATION),
    harmless("eta_cutoff", GENERATION),
    harmless("num_assistant_tokens", GENERATION),
    harmless("num_assistant_tokens_schedule", GENERATION),
    harmless("assistant_confidence_threshold", GENERATION),
    harmless("assistant_lookbehind", GENERATION),
    harmless("target_lookbehind", GENERATION),
];

const POOLER: &str = "describes a pooler, which a masked language model does not have";

const BERT: &[Key] = &[
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

/// Beside BERT's.
const ROBERTA: &[Key] = &[
    // Positions are counted from the one after it.
    followed("pad_token_id"),
];

const ALWAYS_AN_ENCODER: &str = "this family has no decoder";

const DISTILBERT: &[Key] = &[
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

const MODERNBERT: &[Key] = &[
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
        ROPE_OF_KINDS,
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

const ROPE_OF_KINDS: &[Key] =
    &[closed("full_attention", ROPE, OTHER_ROTATION), closed("sliding_attention", ROPE, OTHER_ROTATION)];

const OTHER_ROTATION: &str = "positions would be rotated in another way";

/// The rotation of one kind of ModernBERT's layers.
const ROPE: &[Key] = &[
    followed("rope_theta"),
    only("rope_type", &["\"default\""], "positions would be scaled"),
    only("type", &["\"default\""], "positions would be scaled"),
    harmless("partial_rotary_factor", "not read by the default kind of rotation"),
];

/// `model_type` `new` of Alibaba-NLP/new-impl.
const GTE: &[Key] = &[
    followed("hidden_size"),
    followed("num_hidden_layers"),
    followed("num_attention_heads"),
    followed("intermediate_size"),
    followed("hidden_act"),
    followed("max_position_embeddings"),
    followed("type_vocab_size"),
    followed("layer_norm_eps"),
    followed("rope_theta"),
    closed("rope_scaling", NTK, "positions would be scaled in another way"),
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
