//! A tokenizer and its special tokens from a model's files.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
// The map type of every model's vocabulary; only this module names it in public.
use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, Lowercase, Sequence};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::{AddedToken, NormalizerWrapper, PreTokenizerWrapper};

use super::{TOKENIZER_CONFIG, TOKENIZER_JSON, VOCAB_TXT};
use crate::error::Error;
use crate::source::ModelFiles;

/// In the order in which sentence-transformers looks for them.
const SENTENCE_CONFIGS: [&str; 3] =
    ["sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json"];
const SPECIAL_TOKENS_MAP: &str = "special_tokens_map.json";

/// The entries of tokenizer_config.json that name special tokens.
const SPECIAL_TOKEN_KEYS: [&str; 7] =
    ["unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "bos_token", "eos_token"];

/// The tokenizer as its file describes it, and which file that was.
pub(super) fn read_tokenizer(
    files: &ModelFiles,
    config: &Map<String, Value>,
) -> Result<(tokenizers::Tokenizer, &'static str), Error> {
    if let Some(bytes) = files.read(TOKENIZER_JSON)? {
        let tokenizer = from_json(&bytes)
            .and_then(|tokenizer| follow_class(tokenizer, config))
            .map_err(|error| Error::invalid(files.describe(TOKENIZER_JSON), error.to_string()))?;
        return Ok((tokenizer, TOKENIZER_JSON));
    }
    let Some(bytes) = files.read(VOCAB_TXT)? else {
        return Err(Error::NoModel {
            place: files.name().to_string(),
            reason: format!("holds neither `{TOKENIZER_JSON}` nor `{VOCAB_TXT}`"),
        });
    };
    let file = files.describe(VOCAB_TXT);
    let text =
        std::str::from_utf8(&bytes).map_err(|error| Error::invalid(&file, format!("not UTF-8: {error}")))?;
    let tokenizer = wordpiece(text, config).map_err(|error| Error::invalid(file, error.to_string()))?;
    Ok((tokenizer, VOCAB_TXT))
}

/// The tokenizer of a tokenizer.json.
///
/// The library reads a model into a tree of JSON values first, which for a vocabulary of 30,000 is most of the start of
/// a query: a WordPiece model is read by itself, and the rest with an empty one in its place.
fn from_json(bytes: &[u8]) -> tokenizers::Result<tokenizers::Tokenizer> {
    const EMPTY: &str = r#"{"type": "WordPiece", "unk_token": "", "continuing_subword_prefix": "", "max_input_chars_per_word": 0, "vocab": {}}"#;
    #[derive(Deserialize)]
    struct Kind<'a> {
        r#type: Option<&'a str>,
    }
    let mut parts: BTreeMap<&str, &RawValue> = serde_json::from_slice(bytes)?;
    let model = parts.get("model").copied().map(RawValue::get).unwrap_or_default();
    if serde_json::from_str::<Kind>(model).map_or(true, |kind| kind.r#type != Some("WordPiece")) {
        return tokenizers::Tokenizer::from_bytes(bytes);
    }
    let (empty, no_tokens): (&RawValue, &RawValue) =
        (serde_json::from_str(EMPTY)?, serde_json::from_str("[]")?);
    parts.insert("model", empty);
    let added = parts.insert("added_tokens", no_tokens).map(RawValue::get);
    let mut tokenizer = tokenizers::Tokenizer::from_bytes(serde_json::to_vec(&parts)?)?;
    tokenizer.with_model(serde_json::from_str::<WordPiece>(model)?);
    // Their ids are those of the vocabulary, so they come after it.
    tokenizer.add_tokens(serde_json::from_str::<Vec<AddedToken>>(added.unwrap_or("[]"))?)?;
    Ok(tokenizer)
}

/// What the classes of transformers change in a tokenizer.json: tokenizer_config.json, and a class's own defaults, have the
/// last word on case, accents and Chinese characters for BERT's, and on the space before a text for RoBERTa's.
fn follow_class(
    mut tokenizer: tokenizers::Tokenizer,
    config: &Map<String, Value>,
) -> tokenizers::Result<tokenizers::Tokenizer> {
    let class = config.get("tokenizer_class").and_then(Value::as_str).unwrap_or_default();
    let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
    match class.trim_end_matches("Fast") {
        "BertTokenizer" | "DistilBertTokenizer" => {
            if let Some(NormalizerWrapper::BertNormalizer(bert)) = tokenizer.get_normalizer() {
                let normalizer = bert_normalizer(bert.clean_text, config);
                tokenizer.with_normalizer(Some(normalizer))?;
            }
        }
        "RobertaTokenizer" => {
            if let Some(PreTokenizerWrapper::ByteLevel(mut byte_level)) =
                tokenizer.get_pre_tokenizer().cloned()
            {
                byte_level.add_prefix_space = flag("add_prefix_space", false);
                tokenizer.with_pre_tokenizer(Some(byte_level));
            }
        }
        _ => {}
    }
    Ok(tokenizer)
}

/// BERT's normalizer with the options of tokenizer_config.json.
fn bert_normalizer(clean_text: bool, config: &Map<String, Value>) -> BertNormalizer {
    let flag = |key: &str, default: bool| config.get(key).and_then(Value::as_bool).unwrap_or(default);
    BertNormalizer::new(
        clean_text,
        flag("tokenize_chinese_chars", true),
        config.get("strip_accents").and_then(Value::as_bool),
        flag("do_lower_case", true),
    )
}

/// BERT's WordPiece tokenizer from its vocabulary, a token a line, as `BertTokenizerFast` builds it.
fn wordpiece(vocabulary: &str, config: &Map<String, Value>) -> tokenizers::Result<tokenizers::Tokenizer> {
    let token =
        |key: &str, default: &str| config.get(key).and_then(token_text).unwrap_or(default).to_string();
    let vocabulary: Vocab =
        vocabulary.lines().enumerate().map(|(id, term)| (term.to_string(), id as u32)).collect();
    let id = |term: &str| vocabulary.get(term).copied().ok_or_else(|| format!("holds no line `{term}`"));
    let (unk, cls, sep) =
        (token("unk_token", "[UNK]"), token("cls_token", "[CLS]"), token("sep_token", "[SEP]"));
    let (cls_id, sep_id, _) = (id(&cls)?, id(&sep)?, id(&unk)?);
    let special: Vec<AddedToken> =
        [&unk, &sep, &token("pad_token", "[PAD]"), &cls, &token("mask_token", "[MASK]")]
            .into_iter()
            .filter(|term| vocabulary.contains_key(*term))
            .map(|term| AddedToken::from(term.as_str(), true))
            .collect();
    let model = WordPiece::builder().vocab(vocabulary).unk_token(unk).build()?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_normalizer(Some(bert_normalizer(true, config)))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_post_processor(Some(BertProcessing::new((sep, sep_id), (cls, cls_id))));
    tokenizer.add_special_tokens(special)?;
    Ok(tokenizer)
}

/// Lets a tokenizer see lower case only, as sentence-transformers 6 does where `do_lower_case` says so.
pub(super) fn lowercase(tokenizer: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let first = NormalizerWrapper::Lowercase(Lowercase);
    let normalizer = match tokenizer.get_normalizer().cloned() {
        None => first,
        Some(NormalizerWrapper::BertNormalizer(bert)) if bert.lowercase => return Ok(()),
        Some(other) => NormalizerWrapper::Sequence(Sequence::new(vec![first, other])),
    };
    tokenizer.with_normalizer(Some(normalizer))?;
    Ok(())
}

/// The special tokens that the model's files name, from the first file that names any.
///
/// special_tokens_map.json is what the cards' scripts zero; transformers 5 no longer writes it.
pub(super) fn special_tokens(
    files: &ModelFiles,
    config: &Map<String, Value>,
    tokenizer: &tokenizers::Tokenizer,
) -> Result<(Vec<String>, String), Error> {
    if let Some(map) = files.read_json(SPECIAL_TOKENS_MAP)? {
        let mut tokens = Vec::new();
        for value in map.values() {
            match value {
                Value::Array(several) => {
                    tokens.extend(several.iter().filter_map(token_text).map(String::from))
                }
                one => tokens.extend(token_text(one).map(String::from)),
            }
        }
        if !tokens.is_empty() {
            return Ok((tokens, files.describe(SPECIAL_TOKENS_MAP)));
        }
    }
    let tokens: Vec<String> = SPECIAL_TOKEN_KEYS
        .iter()
        .filter_map(|key| config.get(*key).and_then(token_text).map(String::from))
        .collect();
    if !tokens.is_empty() {
        return Ok((tokens, files.describe(TOKENIZER_CONFIG)));
    }
    let added = tokenizer.get_added_tokens_decoder();
    let tokens = added.values().filter(|token| token.special).map(|token| token.content.clone()).collect();
    let source = if files.contains(TOKENIZER_JSON) { TOKENIZER_JSON } else { VOCAB_TXT };
    Ok((tokens, files.describe(source)))
}

/// The settings that sentence-transformers keeps beside a transformer, by whichever name, and that name.
pub(crate) fn transformer_settings(files: &ModelFiles) -> Result<(Map<String, Value>, &'static str), Error> {
    for name in SENTENCE_CONFIGS {
        if let Some(settings) = files.read_json(name)? {
            return Ok((settings, name));
        }
    }
    Ok((Map::new(), SENTENCE_CONFIGS[0]))
}

/// A token written as a string or as `{"content": …}`.
fn token_text(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_piece_model_read_by_itself_makes_the_same_tokenizer() {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let names = [
            "bert-tied",
            "bert-bin",
            "st5-symmetric",
            "st6-lexical/query_0_Transformer",
            "gte-new",
            "modernbert",
        ];
        let files = names.map(|name| ModelFiles::folder(name, fixtures.join(name)));
        for files in files.into_iter().chain([ModelFiles::tiny()]) {
            let bytes = files.read(TOKENIZER_JSON).expect("readable").expect("there");
            let ours = from_json(&bytes).expect("a tokenizer");
            let library = tokenizers::Tokenizer::from_bytes(&bytes).expect("a tokenizer");
            let text = |tokenizer: &tokenizers::Tokenizer| tokenizer.to_string(false).expect("JSON");
            assert_eq!(text(&ours), text(&library), "{}", files.name());
        }
    }
}
