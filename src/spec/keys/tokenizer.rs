//! tokenizer_config.json, tokenizer.json, special_tokens_map.json and added_tokens.json.
//!
//! Read from `tokenization_utils_base.py`, `tokenization_utils_fast.py` and `tokenization_utils_tokenizers.py` of
//! transformers 4.57 and 5.24: what `AutoTokenizer` makes of a folder, and which ids it gives for one text with
//! `truncation=True`. The components of tokenizer.json are the tokenizers library's: it refuses what it does not know.

use super::{followed, harmless, only, within, Key, Treatment};

const BOOKKEEPING: &str = "says where the file came from";
const SLOW: &str = "read only by the tokenizers of transformers 4 that are written in Python";
const DECODING: &str = "used to turn tokens into text only";
const PADDING: &str = "padding is masked: a text alone has none";
const CALLERS: &str = "not used: who asks for tokens passes it";
const CHAT: &str = "used to render conversations only";
const OUR_LIMIT: &str = "kept for information; `model_max_length` is the limit";
const COPIED_PATH: &str = "a path where the tokenizer was saved; the file in this folder is used";
const NEVER_READ: &str = "read by no tokenizer of transformers";

const OTHER_CLASSES: &str =
    "read only by tokenizer classes that are not implemented, which are refused by name";

/// A token and how a text matches it.
const ADDED_TOKEN: &[Key] = &[
    followed("content"),
    followed("id"),
    followed("lstrip"),
    followed("rstrip"),
    followed("normalized"),
    followed("single_word"),
    followed("special"),
    harmless("__type", "says that this is a token"),
];

/// tokenizer_config.json.
pub(super) const CONFIG: &[Key] = &[
    // Which class builds the tokenizer; the spec refuses those that are not implemented.
    followed("tokenizer_class"),
    // Case, accents and Chinese characters, over what tokenizer.json says, for BERT's classes.
    followed("do_lower_case"),
    followed("strip_accents"),
    followed("tokenize_chinese_chars"),
    // The space before a text, over what tokenizer.json says, for RoBERTa's classes.
    followed("add_prefix_space"),
    // How long a text may be, and which end is cut.
    followed("model_max_length"),
    // An older name of `model_max_length`, read in its absence.
    followed("max_len"),
    followed("truncation_side"),
    // Special tokens: where they stand around a text, which texts match them, and whose weights are 0.
    within("unk_token", ADDED_TOKEN),
    within("sep_token", ADDED_TOKEN),
    within("pad_token", ADDED_TOKEN),
    within("cls_token", ADDED_TOKEN),
    within("mask_token", ADDED_TOKEN),
    within("bos_token", ADDED_TOKEN),
    within("eos_token", ADDED_TOKEN),
    Key { name: "additional_special_tokens", treatment: Treatment::Each(ADDED_TOKEN) },
    Key { name: "extra_special_tokens", treatment: Treatment::Each(ADDED_TOKEN) },
    Key { name: "model_specific_special_tokens", treatment: Treatment::Each(ADDED_TOKEN) },
    // Any other name is one more special token (transformers 5).
    within("*_token", ADDED_TOKEN),
    Key { name: "added_tokens_decoder", treatment: Treatment::Each(ADDED_TOKEN) },
    followed("split_special_tokens"),
    only("init_inputs", &["[]"], "the tokenizer would be built from a vocabulary in this file"),
    only("fix_mistral_regex", &["false"], "texts would be split by another pattern"),
    harmless("add_bos_token", "not read beside a tokenizer.json, nor by the classes that need none"),
    harmless("add_eos_token", "not read beside a tokenizer.json, nor by the classes that need none"),
    harmless(
        "auto_map",
        "names code that is used only where the class is unknown to transformers or the user asks for it",
    ),
    // What a tokenizer remembers of its last truncation and padding, and saves.
    harmless("max_length", OUR_LIMIT),
    harmless("stride", CALLERS),
    harmless("truncation_strategy", CALLERS),
    harmless("pad_to_multiple_of", PADDING),
    harmless("pad_token_type_id", PADDING),
    harmless("padding_side", PADDING),
    harmless("padding", PADDING),
    harmless("truncation", CALLERS),
    // Options of the Python tokenizers.
    harmless("do_basic_tokenize", SLOW),
    harmless("never_split", SLOW),
    harmless("use_fast", CALLERS),
    harmless("from_slow", CALLERS),
    harmless("tokenizer_type", CALLERS),
    harmless("sp_model_kwargs", SLOW),
    harmless("spaces_between_special_tokens", DECODING),
    harmless("legacy", "read by tokenizers of SentencePiece only"),
    harmless("verbose", "decides what is logged"),
    harmless("clean_text", NEVER_READ),
    harmless("wordpieces_prefix", NEVER_READ),
    harmless("trim_offsets", "decides which characters a token is said to cover"),
    harmless("errors", DECODING),
    harmless("clean_up_tokenization_spaces", DECODING),
    harmless("clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output", DECODING),
    // Whether a post-processor's token types reach the model.
    followed("model_input_names"),
    only(
        "fast_tokenizer_files",
        &["[]", "[\"tokenizer.json\"]"],
        "another file than tokenizer.json would hold the tokenizer",
    ),
    harmless("processor_class", "read for models of images and sounds only"),
    harmless("chat_template", CHAT),
    harmless("chat_control_tokens", CHAT),
    harmless("response_template", CHAT),
    harmless("response_schema", CHAT),
    harmless("backend", BOOKKEEPING),
    harmless("is_local", BOOKKEEPING),
    harmless("local_files_only", BOOKKEEPING),
    harmless("files_loaded", BOOKKEEPING),
    harmless("name_or_path", BOOKKEEPING),
    harmless("_commit_hash", BOOKKEEPING),
    harmless("transformers_version", BOOKKEEPING),
    harmless("vocab_file", COPIED_PATH),
    harmless("merges_file", COPIED_PATH),
    harmless("tokenizer_file", COPIED_PATH),
    harmless("special_tokens_map_file", COPIED_PATH),
    harmless("added_tokens_file", COPIED_PATH),
    // What the Japanese, Vietnamese … tokenizers take.
    harmless("word_tokenizer_type", OTHER_CLASSES),
    harmless("subword_tokenizer_type", OTHER_CLASSES),
    harmless("mecab_kwargs", OTHER_CLASSES),
    harmless("sudachi_kwargs", OTHER_CLASSES),
    harmless("jumanpp_kwargs", OTHER_CLASSES),
    harmless("normalization", OTHER_CLASSES),
    harmless("do_word_tokenize", OTHER_CLASSES),
    harmless("do_subword_tokenize", OTHER_CLASSES),
];

/// The top level of tokenizer.json.
pub(super) const JSON: &[Key] = &[
    harmless("version", "the tokenizers library refuses another one than its own"),
    // Replaced by their own for BERT's and RoBERTa's classes; see the spec of the tokenizer.
    followed("normalizer"),
    followed("pre_tokenizer"),
    followed("post_processor"),
    followed("model"),
    Key { name: "added_tokens", treatment: Treatment::Each(ADDED_TOKEN) },
    within("truncation", TRUNCATION),
    harmless("padding", PADDING),
    harmless("decoder", DECODING),
];

const TRUNCATION: &[Key] = &[
    // Where tokenizer_config.json has no `truncation_side`.
    followed("direction"),
    harmless("max_length", OUR_LIMIT),
    harmless("strategy", "a text alone is cut in one way only"),
    harmless("stride", CALLERS),
];

/// special_tokens_map.json.
pub(super) const SPECIAL_TOKENS_MAP: &[Key] = &[
    Key { name: "additional_special_tokens", treatment: Treatment::Each(ADDED_TOKEN) },
    Key { name: "extra_special_tokens", treatment: Treatment::Each(ADDED_TOKEN) },
    within("*_token", ADDED_TOKEN),
];

/// added_tokens.json: any token, with its id.
pub(super) const ADDED_TOKENS: &[Key] = &[followed("*")];
