//! A tokenizer of the tokenizers library from a model's files, built as the spec says.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;
// The map type of every model's vocabulary; only this module names it in public.
use tokenizers::models::bpe::{Merges, Vocab, BPE};
use tokenizers::models::wordpiece::WordPiece;
use tokenizers::normalizers::{BertNormalizer, Lowercase, Sequence};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::bert::BertProcessing;
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{AddedToken, NormalizerWrapper};

use super::normalized_size::check_parts;
use crate::error::Error;
use crate::source::ModelFiles;
use crate::spec::tokenizer::{
    AddedTokenSpec, BertOptions, RobertaOptions, TokenizerClass, TokenizerSpec, VocabularyFile,
};

/// The tokenizer that `spec` describes.
///
/// # Errors
///
/// [`Error::Invalid`] naming the file that the library cannot use.
pub(super) fn build(files: &ModelFiles, spec: &TokenizerSpec) -> Result<tokenizers::Tokenizer, Error> {
    let files = files.within(&spec.folder);
    let file = spec.vocabulary.names()[0];
    let fault = |error: tokenizers::Error| Error::invalid(files.describe(file), error.to_string());
    let bytes = |name: &str| files.read(name).map(Option::unwrap_or_default);
    let vocabulary = bytes(file)?;
    let mut tokenizer = match (&spec.class, spec.vocabulary) {
        (TokenizerClass::Generic, _) => from_json(&vocabulary),
        (TokenizerClass::Bert(options), VocabularyFile::VocabTxt) => {
            lines(&vocabulary).and_then(|vocabulary| bert(vocabulary, options))
        }
        (TokenizerClass::Bert(options), _) => {
            model_of::<WordPieceParts>(&vocabulary).and_then(|model| bert(model.vocab, options))
        }
        (TokenizerClass::Roberta(options), VocabularyFile::VocabAndMerges) => {
            let merges = bytes(spec.vocabulary.names()[1])?;
            vocab_and_merges(&vocabulary, &merges).and_then(|(vocab, merges)| roberta(vocab, merges, options))
        }
        (TokenizerClass::Roberta(options), _) => model_of::<BpeParts>(&vocabulary)
            .and_then(|model| roberta(model.vocab, written_merges(model.merges)?, options)),
    }
    .map_err(fault)?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(fault)?;
    tokenizer.set_encode_special_tokens(spec.splits_special_tokens);
    tokenizer.add_tokens(spec.added_tokens.iter().map(added_token)).map_err(fault)?;
    if let TokenizerClass::Bert(BertOptions { cls_token, sep_token, .. }) = &spec.class {
        let (cls, sep) = surrounding(&tokenizer, cls_token, sep_token).map_err(fault)?;
        tokenizer.with_post_processor(Some(BertProcessing::new(sep, cls)));
    }
    if let TokenizerClass::Roberta(options) = &spec.class {
        let (cls, sep) = surrounding(&tokenizer, &options.cls_token, &options.sep_token).map_err(fault)?;
        let processing = RobertaProcessing::new(sep, cls);
        let processing = processing.trim_offsets(options.trim_offsets);
        tokenizer.with_post_processor(Some(processing.add_prefix_space(options.add_prefix_space)));
    }
    if spec.lowercases {
        lowercase(&mut tokenizer).map_err(fault)?;
    }
    Ok(tokenizer)
}

/// A token and its id.
type Token = (String, u32);

/// The tokens that a class puts around a text.
fn surrounding(
    tokenizer: &tokenizers::Tokenizer,
    cls: &str,
    sep: &str,
) -> tokenizers::Result<(Token, Token)> {
    let token = |token: &str| match tokenizer.token_to_id(token) {
        Some(id) => Ok((token.to_string(), id)),
        None => Err(tokenizers::Error::from(format!("has no token `{token}` to put around a text"))),
    };
    Ok((token(cls)?, token(sep)?))
}

/// The tokenizer of a tokenizer.json, as it is.
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
    check_parts(&parts)?;
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

/// The parts of a WordPiece model that `BertTokenizer` takes from tokenizer.json.
#[derive(Deserialize)]
struct WordPieceParts {
    vocab: Vocab,
}

/// The parts of a BPE model that `RobertaTokenizer` takes from tokenizer.json.
#[derive(Deserialize)]
struct BpeParts {
    vocab: Vocab,
    merges: Vec<WrittenMerge>,
}

/// A merge as tokenizers writes it now, or as it did.
#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenMerge {
    Pair(String, String),
    Line(String),
}

fn model_of<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> tokenizers::Result<T> {
    #[derive(Deserialize)]
    struct Json<'a> {
        #[serde(borrow)]
        model: &'a RawValue,
    }
    let json: Json = serde_json::from_slice(bytes)?;
    Ok(serde_json::from_str(json.model.get()).map_err(|error| format!("`model`: {error}"))?)
}

fn written_merges(merges: Vec<WrittenMerge>) -> tokenizers::Result<Merges> {
    let pair = |merge| match merge {
        WrittenMerge::Pair(left, right) => Ok((left, right)),
        WrittenMerge::Line(line) => merge_in(&line),
    };
    merges.into_iter().map(pair).collect()
}

fn merge_in(line: &str) -> tokenizers::Result<(String, String)> {
    match line.split_once(' ') {
        Some((left, right)) if !right.contains(' ') => Ok((left.to_string(), right.to_string())),
        _ => Err(format!("`{line}` is no merge of two tokens").into()),
    }
}

/// A word piece a line, its number the id; of equal lines the last counts.
fn lines(bytes: &[u8]) -> tokenizers::Result<Vocab> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    Ok(text.lines().enumerate().map(|(id, line)| (line.trim_end().to_string(), id as u32)).collect())
}

/// vocab.json and merges.txt.
fn vocab_and_merges(vocabulary: &[u8], merges: &[u8]) -> tokenizers::Result<(Vocab, Merges)> {
    let vocab = serde_json::from_slice(vocabulary)?;
    let text = std::str::from_utf8(merges).map_err(|error| format!("merges.txt: not UTF-8: {error}"))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("#version"));
    Ok((vocab, lines.map(merge_in).collect::<tokenizers::Result<_>>()?))
}

/// What `BertTokenizer` makes of a vocabulary, before tokens are added to it.
fn bert(vocabulary: Vocab, options: &BertOptions) -> tokenizers::Result<tokenizers::Tokenizer> {
    if !vocabulary.contains_key(&options.unk_token) {
        return Err(format!("holds no token `{}` for what it does not know", options.unk_token).into());
    }
    let model = WordPiece::builder().vocab(vocabulary).unk_token(options.unk_token.clone()).build()?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    let normalizer = BertNormalizer::new(
        true,
        options.splits_chinese_characters,
        options.strip_accents,
        options.lowercase,
    );
    tokenizer.with_normalizer(Some(normalizer))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    Ok(tokenizer)
}

/// What `RobertaTokenizer` makes of a vocabulary and its merges, before tokens are added to it.
fn roberta(
    vocabulary: Vocab,
    merges: Merges,
    options: &RobertaOptions,
) -> tokenizers::Result<tokenizers::Tokenizer> {
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix(String::new())
        .build()?;
    let mut tokenizer = tokenizers::Tokenizer::new(model);
    tokenizer.with_pre_tokenizer(Some(ByteLevel::new(options.add_prefix_space, true, true)));
    Ok(tokenizer)
}

fn added_token(spec: &AddedTokenSpec) -> AddedToken {
    AddedToken::from(spec.content.as_str(), spec.special)
        .single_word(spec.single_word)
        .lstrip(spec.lstrip)
        .rstrip(spec.rstrip)
        .normalized(spec.normalized)
}

/// Lets a tokenizer see lower case only.
fn lowercase(tokenizer: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let first = NormalizerWrapper::Lowercase(Lowercase);
    let normalizer = match tokenizer.get_normalizer().cloned() {
        None => first,
        Some(NormalizerWrapper::BertNormalizer(bert)) if bert.lowercase => return Ok(()),
        Some(other) => NormalizerWrapper::Sequence(Sequence::new(vec![first, other])),
    };
    tokenizer.with_normalizer(Some(normalizer))?;
    Ok(())
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
            let bytes = files.read("tokenizer.json").expect("readable").expect("there");
            let ours = from_json(&bytes).expect("a tokenizer");
            let library = tokenizers::Tokenizer::from_bytes(&bytes).expect("a tokenizer");
            let text = |tokenizer: &tokenizers::Tokenizer| tokenizer.to_string(false).expect("JSON");
            assert_eq!(text(&ours), text(&library), "{}", files.name());
        }
    }
}
