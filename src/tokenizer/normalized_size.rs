//! How long a text can become when it is normalized.
//!
//! A normalizer that replaces one character by a thousand, four times over, turns one byte into 10¹². It is found in
//! tokenizer.json before the `tokenizers` crate sees it, and what it makes of a text is bounded step by step. Normalizers
//! of real models do not come near.

use std::collections::BTreeMap;

use base64::Engine;
use serde_json::value::RawValue;
use serde_json::Value;
use tokenizers::{NormalizedString, Normalizer, NormalizerWrapper};

/// Growth that needs no attention: Unicode's own normal forms reach 11.
const SMALL_GROWTH: usize = 16;

/// The most bytes of a normalized text that are held at once; the crate takes about forty times that.
const MAX_NORMALIZED_BYTES: usize = 4 << 20;

/// The most bytes that the added tokens may become when they are normalized, which the crate does as it loads them.
const MAX_ADDED_BYTES: usize = 64 << 20;

/// The most steps of a normalizer, and of a pre-tokenizer.
const MAX_STEPS: usize = 100;

/// Why the parts of a tokenizer.json must not be loaded, if so.
pub(super) fn check_parts(parts: &BTreeMap<&str, &RawValue>) -> tokenizers::Result<()> {
    let part = |name: &str| -> serde_json::Result<Value> {
        parts.get(name).map_or(Ok(Value::Null), |raw| serde_json::from_str(raw.get()))
    };
    let normalizer = part("normalizer")?;
    for (name, value) in [("normalizer", &normalizer), ("pre_tokenizer", &part("pre_tokenizer")?)] {
        let num_steps = steps(value).len();
        if num_steps > MAX_STEPS {
            return Err(format!("its {name} has {num_steps} steps, more than {MAX_STEPS}").into());
        }
    }
    let mut growth: usize = 1;
    for step in steps(&normalizer) {
        growth = growth.saturating_mul(step_growth(step)?);
    }
    let added = parts.get("added_tokens").map_or(0, |raw| raw.get().len()).max(1);
    if growth > SMALL_GROWTH && growth.saturating_mul(added) > MAX_ADDED_BYTES {
        return Err(format!("its normalizer can make a text {growth} times as long").into());
    }
    Ok(())
}

/// The steps of a normalizer or a pre-tokenizer, those inside sequences too.
fn steps(value: &Value) -> Vec<&Value> {
    let inner = ["normalizers", "pretokenizers"].iter().find_map(|key| value.get(key)?.as_array());
    match inner {
        Some(inner) => inner.iter().flat_map(steps).collect(),
        None if value.is_null() => Vec::new(),
        None => vec![value],
    }
}

/// How many times as long one step of a normalizer can make a text. Steps are told by their fields, as some versions of
/// the format name no types; those without any follow Unicode and count as 1.
fn step_growth(step: &Value) -> tokenizers::Result<usize> {
    let length = |key: &str| step.get(key).and_then(Value::as_str).map(str::len);
    if let Some(content) = length("content") {
        let pattern = step.get("pattern").and_then(|pattern| pattern.get("String")?.as_str()).map(str::len);
        return Ok(match pattern {
            Some(pattern) if pattern > 0 => content.div_ceil(pattern).max(1),
            // An expression can match nothing, between any two characters.
            _ => content + 1,
        });
    }
    if let Some(prepend) = length("prepend") {
        return Ok(prepend + 1);
    }
    if let Some(map) = step.get("precompiled_charsmap").and_then(Value::as_str) {
        return charsmap_growth(map);
    }
    Ok(1)
}

/// The longest replacement in a map of characters: a trie behind its size, then texts that end with a zero.
fn charsmap_growth(map: &str) -> tokenizers::Result<usize> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(map)?;
    let size = bytes.first_chunk().map(|size| u32::from_le_bytes(*size) as usize);
    let texts = size.and_then(|size| bytes.get(4usize.checked_add(size)?..));
    let texts = texts.ok_or("its precompiled_charsmap is shorter than it says")?;
    Ok(texts.split(|byte| *byte == 0).map(<[u8]>::len).max().unwrap_or(0).max(1))
}

/// A normalizer whose texts can become much longer, in steps.
#[derive(Clone)]
pub(super) struct GrowingSteps {
    /// Each with its growth.
    steps: Vec<(NormalizerWrapper, usize)>,
    growth: usize,
}

impl GrowingSteps {
    /// The steps of a normalizer; `None` where no text becomes much longer.
    pub fn of(normalizer: Option<&NormalizerWrapper>) -> tokenizers::Result<Option<Self>> {
        let mut steps = Vec::new();
        for step in normalizer.map(leaves).unwrap_or_default() {
            // Reading what a charsmap says takes as long as loading it: `check_parts` has done it.
            let growth = match step {
                NormalizerWrapper::Replace(_) | NormalizerWrapper::Prepend(_) => {
                    step_growth(&serde_json::to_value(step)?)?
                }
                NormalizerWrapper::Precompiled(_) => step_growth(&serde_json::to_value(step)?)?,
                _ => 1,
            };
            steps.push((step.clone(), growth));
        }
        let growth = steps.iter().fold(1usize, |product, step| product.saturating_mul(step.1));
        Ok((growth > SMALL_GROWTH).then_some(GrowingSteps { steps, growth }))
    }

    /// How many times as long a text can become.
    pub fn growth(&self) -> usize {
        self.growth
    }

    /// Whether `text` stays within what can be held when it is normalized.
    pub fn check(&self, text: &str) -> tokenizers::Result<()> {
        let mut normalized = NormalizedString::from(text);
        for (step, growth) in &self.steps {
            let bytes = normalized.get().len().saturating_mul(*growth);
            if bytes > MAX_NORMALIZED_BYTES {
                return Err(format!(
                    "{} bytes of the text can become {bytes} when they are normalized, more than \
                     {MAX_NORMALIZED_BYTES}",
                    text.len()
                )
                .into());
            }
            step.normalize(&mut normalized)?;
        }
        Ok(())
    }
}

/// The steps of a normalizer, those inside sequences too.
pub(super) fn leaves(normalizer: &NormalizerWrapper) -> Vec<&NormalizerWrapper> {
    match normalizer {
        NormalizerWrapper::Sequence(sequence) => {
            let inner: &[NormalizerWrapper] = sequence.as_ref();
            inner.iter().flat_map(leaves).collect()
        }
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn growth(step: &str) -> Result<usize, String> {
        step_growth(&serde_json::from_str(step).expect("JSON")).map_err(|error| error.to_string())
    }

    #[test]
    fn growth_is_that_of_the_longest_replacement() {
        assert_eq!(growth(r#"{"type": "NFKC"}"#), Ok(1));
        assert_eq!(growth(r#"{"type": "Replace", "pattern": {"String": " "}, "content": "▁"}"#), Ok(3));
        assert_eq!(growth(r#"{"type": "Replace", "pattern": {"String": "ab"}, "content": "x"}"#), Ok(1));
        assert_eq!(growth(r#"{"type": "Replace", "pattern": {"Regex": "\\b"}, "content": "xx"}"#), Ok(3));
        assert_eq!(growth(r#"{"type": "Prepend", "prepend": "▁"}"#), Ok(4));
        let map = |size: u32, texts: &str| {
            let bytes = [&size.to_le_bytes(), &[0; 4][..], texts.as_bytes()].concat();
            let map = base64::engine::general_purpose::STANDARD.encode(bytes);
            growth(&format!(r#"{{"type": "Precompiled", "precompiled_charsmap": "{map}"}}"#))
        };
        assert_eq!(map(4, "a\0four\0"), Ok(4));
        assert!(map(u32::MAX, "a\0").is_err(), "a trie of four gigabytes");
    }
}
