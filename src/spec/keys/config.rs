//! config.json: what every transformers config may say. `families/` has what each family's own says beside it.
//!
//! Read from `configuration_utils.py` and the `modeling_*.py` of transformers 4.57 and 5.24; only what changes the logits of
//! a masked language model in evaluation counts.

use super::{followed, harmless, only, refused, Key};

pub(in crate::spec) const TRAINING: &str = "used in training only";
pub(in crate::spec) const LABELS: &str =
    "describes a classification head, which a masked language model does not have";
const GENERATION: &str = "used to generate text only";
const OUTPUTS: &str = "decides what else the model returns beside the logits";
const BOOKKEEPING: &str = "says where the file came from";
pub(in crate::spec) const SPEED: &str = "another way to compute the same attention";
const TOKENIZER_DECIDES: &str = "the tokenizer's files decide which token this is";
const SEVERAL_MODELS: &str = "read only by classes that are made of several models";
const DECODER: &str = "the model would be a decoder, in which a token does not see those after it";
const OTHER_LAYERS: &str = "some layers would have another shape than the rest";

/// Of the keys of decoders, where a family has none.
pub(in crate::spec) const ALWAYS_AN_ENCODER: &str = "this family has no decoder";

/// What every config may have.
pub(super) const COMMON: &[Key] = &[
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
