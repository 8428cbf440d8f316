//! adapter_config.json of a LoRA adapter.
//!
//! Read from peft 0.21. Which parameters an adapter changes is told by its own tensors.

use super::{followed, harmless, only, refused, Key};

const OWN_TENSORS: &str = "the adapter's tensors say which parameters it changes";
const TRAINING: &str = "used in training only";
const BOOKKEEPING: &str = "says where the file came from";
const OTHER_START: &str = "the base model's parameters would be changed before the adapter is applied";
const OTHER_METHOD: &str = "the adapter would be applied by another formula";

pub(super) const LORA: &[Key] = &[
    only("peft_type", &["\"LORA\""], OTHER_METHOD),
    // W + (alpha / r) · B · A, or alpha / √r.
    followed("r"),
    followed("lora_alpha"),
    followed("use_rslora"),
    // By the name of a module.
    followed("rank_pattern"),
    followed("alpha_pattern"),
    // Where the folder holds no model.
    followed("base_model_name_or_path"),
    only("fan_in_fan_out", &["false"], "matrices would be transposed"),
    only("bias", &["\"none\""], "biases would be changed as well"),
    only("lora_bias", &["false"], "biases would be changed as well"),
    only("modules_to_save", &["[]"], "whole modules would be replaced"),
    only("trainable_token_indices", &["[]", "{}"], "embeddings of some tokens would be replaced"),
    only("init_lora_weights", &["true", "false", "\"gaussian\"", "\"eva\"", "\"orthogonal\""], OTHER_START),
    only("use_dora", &["false"], OTHER_METHOD),
    only("use_qalora", &["false"], OTHER_METHOD),
    refused("use_bdlora", OTHER_METHOD),
    refused("alora_invocation_tokens", "only a part of each text would be changed"),
    refused("arrow_config", OTHER_METHOD),
    refused("velora_config", OTHER_METHOD),
    refused("monteclora_config", OTHER_METHOD),
    refused("kasa_config", OTHER_METHOD),
    refused("layer_replication", "layers would be repeated"),
    only("target_parameters", &["[]"], "parameters that are not matrices of a layer would be changed"),
    only("loftq_config", &["{}"], OTHER_START),
    refused("corda_config", OTHER_START),
    refused("lora_ga_config", OTHER_START),
    harmless("eva_config", TRAINING),
    harmless("target_modules", OWN_TENSORS),
    harmless("exclude_modules", OWN_TENSORS),
    harmless("layers_to_transform", OWN_TENSORS),
    harmless("layers_pattern", OWN_TENSORS),
    harmless("ensure_weight_tying", "concerns modules that are trained whole"),
    harmless("lora_dropout", TRAINING),
    harmless("inference_mode", TRAINING),
    harmless("runtime_config", "decides how it is computed"),
    harmless("megatron_config", "read by Megatron only"),
    harmless("megatron_core", "read by Megatron only"),
    harmless("qalora_group_size", "read beside `use_qalora` only"),
    harmless("task_type", BOOKKEEPING),
    harmless("auto_mapping", BOOKKEEPING),
    harmless("peft_version", BOOKKEEPING),
    harmless("revision", BOOKKEEPING),
];
