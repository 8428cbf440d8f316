//! The tokenizer classes of transformers: which one a folder means, and what it builds.

use serde_json::{Map, Value};

use super::super::reader::TOKENIZER_CONFIG;
use super::super::settings::Settings;
use super::{Model, Surroundings, VocabularyFile};
use crate::error::Error;

/// The classes that are `BertTokenizer` under other names, or subclasses that change nothing.
const LIKE_BERT: [&str; 10] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "SqueezeBertTokenizer",
    "LayoutLMTokenizer",
    "LxmertTokenizer",
    "ConvBertTokenizer",
    "DPRQuestionEncoderTokenizer",
    "DPRContextEncoderTokenizer",
];

/// The classes that are `RobertaTokenizer` under other names.
const LIKE_ROBERTA: [&str; 5] =
    ["RobertaTokenizer", "BartTokenizer", "LEDTokenizer", "LongformerTokenizer", "MvpTokenizer"];

/// The other classes of transformers 5 that build a tokenizer of their own, or none with the tokenizers library at all.
/// A name in no list means tokenizer.json as it is.
const NOT_IMPLEMENTED: [&str; 82] = [
    "AlbertTokenizer",
    "BarthezTokenizer",
    "BartphoTokenizer",
    "BertJapaneseTokenizer",
    "BertweetTokenizer",
    "BigBirdTokenizer",
    "BioGptTokenizer",
    "BlenderbotSmallTokenizer",
    "BlenderbotTokenizer",
    "ByT5Tokenizer",
    "CLIPTokenizer",
    "CTRLTokenizer",
    "CamembertTokenizer",
    "CanineTokenizer",
    "ClvpTokenizer",
    "CodeLlamaTokenizer",
    "CohereTokenizer",
    "CpmAntTokenizer",
    "CpmTokenizer",
    "DebertaTokenizer",
    "DebertaV2Tokenizer",
    "DiaTokenizer",
    "EsmTokenizer",
    "EsmcTokenizer",
    "FSMTTokenizer",
    "FlaubertTokenizer",
    "FunnelTokenizer",
    "GPT2Tokenizer",
    "GPTNeoXJapaneseTokenizer",
    "GPTNeoXTokenizer",
    "GemmaTokenizer",
    "HerbertTokenizer",
    "LasrTokenizer",
    "LayoutLMv2Tokenizer",
    "LayoutLMv3Tokenizer",
    "LayoutXLMTokenizer",
    "LlamaTokenizer",
    "LukeTokenizer",
    "MBart50Tokenizer",
    "MBartTokenizer",
    "MPNetTokenizer",
    "MarianTokenizer",
    "MarkupLMTokenizer",
    "MgpstrTokenizer",
    "MistralCommonBackend",
    "MyT5Tokenizer",
    "NllbTokenizer",
    "NougatTokenizer",
    "OpenAIGPTTokenizer",
    "PLBartTokenizer",
    "PegasusTokenizer",
    "PerceiverTokenizer",
    "PhobertTokenizer",
    "ProphetNetTokenizer",
    "Qwen2Tokenizer",
    "Qwen3_5Tokenizer",
    "RagTokenizer",
    "ReformerTokenizer",
    "RemBertTokenizer",
    "RoCBertTokenizer",
    "RoFormerTokenizer",
    "SeamlessM4TTokenizer",
    "Siglip2Tokenizer",
    "Speech2TextTokenizer",
    "SplinterTokenizer",
    "T5Tokenizer",
    "TapasTokenizer",
    "UdopTokenizer",
    "VideoPrismTokenizer",
    "VitsTokenizer",
    "Wav2Vec2CTCTokenizer",
    "Wav2Vec2PhonemeCTCTokenizer",
    "WhisperTokenizer",
    "XGLMTokenizer",
    "XLMProphetNetTokenizer",
    "XLMRobertaTokenizer",
    "XLMTokenizer",
    "XLNetTokenizer",
    "BertGenerationTokenizer",
    "BigBirdPegasusTokenizer",
    "M2M100Tokenizer",
    "SentencePieceBackend",
];

/// What builds a tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TokenizerClass {
    /// tokenizer.json as it is.
    Generic,
    /// `BertTokenizer`: WordPiece behind BERT's normalizer and pre-tokenizer.
    Bert(BertOptions),
    /// `RobertaTokenizer`: byte-level BPE.
    Roberta(RobertaOptions),
}

/// The settings of `BertTokenizer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BertOptions {
    pub lowercase: bool,
    /// As `lowercase` when `None`.
    pub strip_accents: Option<bool>,
    pub splits_chinese_characters: bool,
    pub unk_token: String,
    pub cls_token: String,
    pub sep_token: String,
}

/// The settings of `RobertaTokenizer`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RobertaOptions {
    pub add_prefix_space: bool,
    pub trim_offsets: bool,
    pub cls_token: String,
    pub sep_token: String,
}

/// A class in words, and the key that decided it where one did.
pub(super) struct Description {
    pub value: String,
    pub source: Option<String>,
}

impl TokenizerClass {
    /// The class that `AutoTokenizer` takes: the one that the files name, else the one of the model's family.
    pub(super) fn read(config: &Settings, around: Surroundings) -> Result<Self, Error> {
        let named = config.get("tokenizer_class").and_then(Value::as_str).filter(|name| !name.is_empty());
        let named = named.or(around.tokenizer_class);
        let named = named.map(|name| name.strip_suffix("Fast").unwrap_or(name));
        let of_family = match around.model_type {
            Some("bert" | "distilbert") => "BertTokenizer",
            Some("roberta") => "RobertaTokenizer",
            // Classes on the hub were wrong for ModernBERT: transformers ignores them.
            Some("modernbert") => return Ok(TokenizerClass::Generic),
            _ => "TokenizersBackend",
        };
        let name = named.unwrap_or(of_family);
        if LIKE_BERT.contains(&name) {
            Ok(TokenizerClass::Bert(BertOptions::default()))
        } else if LIKE_ROBERTA.contains(&name) {
            Ok(TokenizerClass::Roberta(RobertaOptions::default()))
        } else if NOT_IMPLEMENTED.contains(&name) {
            Err(config.invalid(format!(
                "the tokenizer class `{name}` is not implemented; those of BERT and RoBERTa are, and any that \
                 uses tokenizer.json as it is"
            )))
        } else {
            Ok(TokenizerClass::Generic)
        }
    }

    /// Refuses a model of tokenizer.json that the class cannot use, or whose tokens are left to chance.
    pub(super) fn check_model(&self, model: &Model, file: &str) -> Result<(), Error> {
        let invalid = |reason: String| Err(Error::invalid(file, reason));
        let kind = model.kind.as_deref().unwrap_or_default();
        match (self, kind, model.dropout) {
            (TokenizerClass::Bert(_), "BPE" | "Unigram", _) => invalid(format!(
                "its model is {kind}, and the tokenizer class `BertTokenizer` takes word pieces"
            )),
            (TokenizerClass::Roberta(_), "WordPiece" | "Unigram" | "WordLevel", _) => {
                invalid(format!("its model is {kind}, and the tokenizer class `RobertaTokenizer` takes BPE"))
            }
            (TokenizerClass::Generic, _, Some(dropout)) if dropout != 0.0 => invalid(format!(
                "its model has a dropout of {dropout}: a text would have other tokens each time"
            )),
            _ => Ok(()),
        }
    }

    /// Refuses a vocabulary file that the class does not read.
    pub(super) fn check_vocabulary(&self, file: VocabularyFile, config: &Settings) -> Result<(), Error> {
        let reads = match self {
            TokenizerClass::Generic => &[VocabularyFile::TokenizerJson][..],
            TokenizerClass::Bert(_) => &[VocabularyFile::TokenizerJson, VocabularyFile::VocabTxt],
            TokenizerClass::Roberta(_) => &[VocabularyFile::TokenizerJson, VocabularyFile::VocabAndMerges],
        };
        if reads.contains(&file) {
            return Ok(());
        }
        let name = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or("TokenizersBackend");
        let names = reads.iter().flat_map(|file| file.names()).map(|name| format!("`{name}`"));
        let names = names.collect::<Vec<_>>().join(" or ");
        Err(config.invalid(format!(
            "the tokenizer class `{name}` reads {names}, and the folder has only `{}`",
            file.names()[0]
        )))
    }

    /// The same with what the settings say.
    ///
    /// * `settings`: tokenizer_config.json, with special_tokens_map.json over it where that counts.
    pub(super) fn configured(self, settings: &Map<String, Value>, config: &Settings) -> Result<Self, Error> {
        // A class fails at null for these.
        let flag = |key: &str, default: bool| match settings.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(config.invalid(format!("`{key}` is {other}, not true or false"))),
        };
        let token = |key: &str, default: &str| match settings.get(key) {
            None | Some(Value::Null) => default.to_string(),
            Some(value) => super::tokens::text(value).unwrap_or(default).to_string(),
        };
        Ok(match self {
            TokenizerClass::Generic => TokenizerClass::Generic,
            TokenizerClass::Bert(_) => TokenizerClass::Bert(BertOptions {
                lowercase: flag("do_lower_case", true)?,
                strip_accents: match settings.get("strip_accents") {
                    None | Some(Value::Null) => None,
                    Some(_) => Some(flag("strip_accents", false)?),
                },
                splits_chinese_characters: flag("tokenize_chinese_chars", true)?,
                unk_token: token("unk_token", "[UNK]"),
                cls_token: token("cls_token", "[CLS]"),
                sep_token: token("sep_token", "[SEP]"),
            }),
            TokenizerClass::Roberta(_) => TokenizerClass::Roberta(RobertaOptions {
                add_prefix_space: flag("add_prefix_space", false)?,
                trim_offsets: flag("trim_offsets", true)?,
                cls_token: token("cls_token", "<s>"),
                sep_token: token("sep_token", "</s>"),
            }),
        })
    }

    /// The special tokens that the class has where the files name none, by the keys that name them.
    pub(super) fn default_special_tokens(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            TokenizerClass::Generic => &[],
            TokenizerClass::Bert(_) => &[
                ("unk_token", "[UNK]"),
                ("sep_token", "[SEP]"),
                ("pad_token", "[PAD]"),
                ("cls_token", "[CLS]"),
                ("mask_token", "[MASK]"),
            ],
            TokenizerClass::Roberta(_) => &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("sep_token", "</s>"),
                ("cls_token", "<s>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ],
        }
    }

    pub(super) fn describe(&self) -> Description {
        let config = |keys: &str| Some(format!("{}: {keys}", TOKENIZER_CONFIG));
        match self {
            TokenizerClass::Generic => Description { value: "tokenizer.json as it is".into(), source: None },
            TokenizerClass::Bert(options) => {
                let case = if options.lowercase { "lowercased" } else { "case kept" };
                let accents = match options.strip_accents.unwrap_or(options.lowercase) {
                    true => "accents stripped",
                    false => "accents kept",
                };
                let chinese = match options.splits_chinese_characters {
                    true => "",
                    false => ", Chinese characters not split",
                };
                Description {
                    value: format!("BERT's word pieces: {case}, {accents}{chinese}"),
                    source: config("tokenizer_class, do_lower_case, strip_accents, tokenize_chinese_chars"),
                }
            }
            TokenizerClass::Roberta(options) => {
                let space = if options.add_prefix_space { ", a space before a text" } else { "" };
                Description {
                    value: format!("RoBERTa's byte-level BPE{space}"),
                    source: config("tokenizer_class, add_prefix_space"),
                }
            }
        }
    }
}
