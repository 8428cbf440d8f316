//! What a folder's files say of its tokenizer: which class builds it, and with which settings.
//!
//! The rules are those of transformers 5 (`AutoTokenizer.from_pretrained`). The class that tokenizer_config.json, or
//! else config.json, names decides how much of tokenizer.json counts: a class with a constructor of its own takes only
//! the vocabulary from it and builds the rest from tokenizer_config.json and its own defaults; any other uses it as it
//! is.

mod class;
mod tokens;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::provenance::Provenance;
pub(crate) use super::reader::TOKENIZER_JSON;
use super::reader::{SettingsReader, TOKENIZER_CONFIG};
use super::settings::Settings;
use crate::conventions::TruncationSide;
use crate::error::Error;
use crate::source::{path_in, ModelFiles};
pub(crate) use class::{BertOptions, RobertaOptions, TokenizerClass};
pub(crate) use tokens::AddedTokenSpec;
use tokens::TokenLists;

const VOCAB_TXT: &str = "vocab.txt";
const VOCAB_JSON: &str = "vocab.json";
const MERGES_TXT: &str = "merges.txt";

/// A limit above this is written where there is none, in floating point too.
const NO_LIMIT: f64 = 1e6;

/// A tokenizer, described: its files and every setting that decides an id.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TokenizerSpec {
    /// Its folder below the model's files, `""` for themselves.
    pub folder: String,
    pub vocabulary: VocabularyFile,
    pub class: TokenizerClass,
    /// Tokens to add to what the vocabulary file holds, in this order.
    pub added_tokens: Vec<AddedTokenSpec>,
    /// Tokens that the files call special: their weight is 0 unless a dialect keeps them.
    pub special_tokens: Vec<String>,
    pub special_tokens_source: String,
    /// Whether special tokens are not looked for in a text.
    pub splits_special_tokens: bool,
    /// Whether the model is told the types of tokens that the post-processor gives.
    pub has_token_types: bool,
    /// Whether texts are lowercased before anything else, as sentence-transformers 6 does for `do_lower_case`.
    pub lowercases: bool,
    /// The end at which a text that is too long is cut, and what decided it.
    pub truncation_side: TruncationSide,
    pub truncation_source: String,
    /// The most tokens of a text that the files allow, special tokens included; `usize::MAX` for no limit.
    pub max_length: usize,
    pub max_length_source: String,
}

/// Which file holds a vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VocabularyFile {
    /// tokenizer.json.
    TokenizerJson,
    /// vocab.txt, a word piece a line.
    VocabTxt,
    /// vocab.json and merges.txt of a byte-level BPE.
    VocabAndMerges,
}

impl VocabularyFile {
    /// The one in `files` that transformers would read.
    pub fn in_folder(files: &ModelFiles) -> Result<Option<Self>, Error> {
        Ok(if files.contains(TOKENIZER_JSON)? {
            Some(VocabularyFile::TokenizerJson)
        } else if files.contains(VOCAB_TXT)? {
            Some(VocabularyFile::VocabTxt)
        } else if files.contains(VOCAB_JSON)? && files.contains(MERGES_TXT)? {
            Some(VocabularyFile::VocabAndMerges)
        } else {
            None
        })
    }

    /// Its files; a message names the first.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            VocabularyFile::TokenizerJson => &[TOKENIZER_JSON],
            VocabularyFile::VocabTxt => &[VOCAB_TXT],
            VocabularyFile::VocabAndMerges => &[VOCAB_JSON, MERGES_TXT],
        }
    }
}

/// What the model around a tokenizer says of it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Surroundings<'a> {
    /// config.json's `model_type`.
    pub model_type: Option<&'a str>,
    /// config.json's `tokenizer_class`.
    pub tokenizer_class: Option<&'a str>,
    /// The positions of the model; `None` where none limits a text.
    pub max_positions: Option<usize>,
    /// Whether the settings of sentence-transformers beside it count.
    pub is_module: bool,
}

/// The parts of a tokenizer.json that are settings of the tokenizer as a whole.
#[derive(Default, Deserialize)]
struct TokenizerJson<'a> {
    #[serde(borrow)]
    added_tokens: Option<&'a RawValue>,
    truncation: Option<Truncation>,
    model: Option<Model>,
}

/// What is to be known of a tokenizer's model.
#[derive(Deserialize)]
struct Model {
    #[serde(rename = "type")]
    kind: Option<String>,
    dropout: Option<f64>,
}

#[derive(Deserialize)]
struct Truncation {
    direction: Option<String>,
}

impl TokenizerSpec {
    /// Reads the settings of the tokenizer in `folder`.
    ///
    /// # Errors
    ///
    /// [`Error::NoModel`] without a vocabulary, [`Error::Invalid`] naming the file and key that cannot be followed.
    pub fn read(reader: &mut SettingsReader, folder: &str, around: Surroundings) -> Result<Self, Error> {
        let files = reader.files().within(folder);
        let Some(vocabulary) = VocabularyFile::in_folder(&files)? else {
            return Err(Error::NoModel {
                place: files.name().to_string(),
                reason: format!(
                    "holds neither `{TOKENIZER_JSON}` nor `{VOCAB_TXT}`, nor `{VOCAB_JSON}` with `{MERGES_TXT}`"
                ),
                file: files.inside(TOKENIZER_JSON),
            });
        };
        let config = reader.tokenizer_config(folder)?;
        let bytes = match vocabulary {
            VocabularyFile::TokenizerJson => files.read(TOKENIZER_JSON)?.unwrap_or_default(),
            _ => Default::default(),
        };
        let json: TokenizerJson = match vocabulary {
            VocabularyFile::TokenizerJson => reader.tokenizer_json(folder, &bytes)?,
            _ => TokenizerJson::default(),
        };
        let class = TokenizerClass::read(&config, around)?;
        let is_alone = !config.exists && around.model_type.is_none();
        class.check_vocabulary(vocabulary, &config)?;
        if let Some(model) = &json.model {
            class.check_model(model, &files.describe(TOKENIZER_JSON))?;
        }
        let TokenLists { added_tokens, special_tokens, special_tokens_source, config: settings } =
            TokenLists::read(reader, folder, &config, &class, json.added_tokens, is_alone)?;
        let class = class.configured(&settings, &config)?;
        let (truncation_side, truncation_source) = truncation_side(&files, &settings, &config, &json)?;
        let sentence = match around.is_module {
            true => reader.transformer_settings(folder)?,
            false => Settings::default().into(),
        };
        let (max_length, max_length_source) =
            max_length(&settings, &config, &sentence, around.max_positions)?;
        Ok(TokenizerSpec {
            folder: folder.to_string(),
            vocabulary,
            class,
            added_tokens,
            special_tokens,
            special_tokens_source,
            has_token_types: config
                .get("model_input_names")
                .and_then(Value::as_array)
                .is_some_and(|names| names.iter().any(|name| name.as_str() == Some("token_type_ids"))),
            splits_special_tokens: flag(&settings, &config, "split_special_tokens")?,
            lowercases: sentence.get("do_lower_case") == Some(&Value::Bool(true)),
            truncation_side,
            truncation_source,
            max_length,
            max_length_source,
        })
    }

    /// The vocabulary's files below the model's.
    pub fn files(&self) -> impl Iterator<Item = String> + '_ {
        self.vocabulary.names().iter().map(|name| path_in(&self.folder, name))
    }

    /// What its settings decided.
    pub fn provenance(&self, files: &ModelFiles) -> Vec<Provenance> {
        let files = files.within(&self.folder);
        let class = self.class.describe();
        let file = files.describe(self.vocabulary.names()[0]);
        let mut rows = vec![Provenance::new("tokenizer class", class.value, class.source.unwrap_or(file))];
        if self.truncation_side == TruncationSide::Left {
            rows.push(Provenance::new("truncation", "the first tokens are cut off", &self.truncation_source));
        }
        if self.splits_special_tokens {
            let source = format!("{}: split_special_tokens", files.describe(TOKENIZER_CONFIG));
            rows.push(Provenance::new("special tokens in a text", "read as ordinary text", source));
        }
        if self.lowercases {
            rows.push(Provenance::new("case", "texts are lowercased first", "do_lower_case"));
        }
        rows
    }
}

/// Which end of a text is cut: tokenizer_config.json's `truncation_side`, else the direction in tokenizer.json.
fn truncation_side(
    files: &ModelFiles,
    settings: &Map<String, Value>,
    config: &Settings,
    json: &TokenizerJson,
) -> Result<(TruncationSide, String), Error> {
    let side = |text: &str| match text.to_ascii_lowercase().as_str() {
        "right" => Some(TruncationSide::Right),
        "left" => Some(TruncationSide::Left),
        _ => None,
    };
    match settings.get("truncation_side") {
        None => {}
        Some(value) => {
            let named = value.as_str().filter(|text| ["right", "left"].contains(text)).and_then(side);
            let wrong =
                || config.invalid(format!("`truncation_side` is {value}, neither \"right\" nor \"left\""));
            return Ok((named.ok_or_else(wrong)?, format!("{}: truncation_side", config.file)));
        }
    }
    let direction = json.truncation.as_ref().and_then(|truncation| truncation.direction.as_deref());
    match direction {
        None => Ok((TruncationSide::Right, "the rule where no file names a side".into())),
        Some(direction) => {
            let file = files.describe(TOKENIZER_JSON);
            let wrong = || Error::invalid(&file, format!("the direction of its truncation is `{direction}`"));
            Ok((side(direction).ok_or_else(wrong)?, format!("{file}: truncation direction")))
        }
    }
}

/// The most tokens of a text, and the file and key that named the number.
///
/// The settings of sentence-transformers take the place of the tokenizer's own; neither goes beyond the positions that
/// the model has.
fn max_length(
    settings: &Map<String, Value>,
    config: &Settings,
    sentence: &Settings,
    max_positions: Option<usize>,
) -> Result<(usize, String), Error> {
    // `max_len` is the key's first name.
    let key = if settings.contains_key("model_max_length") { "model_max_length" } else { "max_len" };
    let mut named = match sentence.get("max_seq_length") {
        Some(value) => length(sentence, "max_seq_length", value)?,
        None => None,
    };
    if named.is_none() {
        named = match settings.get(key).filter(|value| !value.is_null()) {
            Some(value) => length(config, key, value)?,
            None => None,
        };
    }
    Ok(match (named, max_positions) {
        (Some((length, source)), positions) if positions.is_none_or(|positions| length < positions) => {
            (length, source)
        }
        (_, Some(positions)) => (positions, "config.json: max_position_embeddings".to_string()),
        (_, None) => (usize::MAX, "no file names one".to_string()),
    })
}

/// A limit that a file names; `None` for one so large that it is none.
fn length(file: &Settings, key: &str, value: &Value) -> Result<Option<(usize, String)>, Error> {
    let length = value.as_f64().filter(|length| *length >= 1.0);
    let length = length.ok_or_else(|| file.invalid(format!("`{key}` is {value}, not a number of tokens")))?;
    if length >= NO_LIMIT {
        return Ok(None);
    }
    if length.fract() != 0.0 {
        return Err(file.invalid(format!("`{key}` is {value}, not a whole number of tokens")));
    }
    Ok(Some((length as usize, format!("{}: {key}", file.name))))
}

fn flag(settings: &Map<String, Value>, config: &Settings, key: &str) -> Result<bool, Error> {
    match settings.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(config.invalid(format!("`{key}` is {other}, not true or false"))),
    }
}
