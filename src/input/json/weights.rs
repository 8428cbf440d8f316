//! One vector in any of the forms that programs write: its keys and numbers checked, the digits of each number counted.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::{self, kind, message, not_json, Entry};
use crate::input::row::RowError;

/// The entries of a vector: each term or id once, weights of at least 0.
#[derive(Clone, Debug, PartialEq)]
pub enum Entries {
    /// By the vocabulary's own strings.
    Terms(Vec<(String, Written)>),
    /// By vocabulary id.
    Ids(Vec<(u32, Written)>),
}

impl Entries {
    /// Whether every term is a whole number in digits, as ids are written, and there is one: such keys may be ids that
    /// nobody has declared.
    pub fn are_named_by_numbers(&self) -> bool {
        match self {
            Entries::Terms(terms) => !terms.is_empty() && terms.iter().all(|(term, _)| is_number(term)),
            Entries::Ids(_) => false,
        }
    }
}

/// Whether a term is a whole number in digits, as ids are written.
pub fn is_number(term: &str) -> bool {
    !term.is_empty() && term.bytes().all(|byte| byte.is_ascii_digit())
}

/// A number as it was written, finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Written {
    /// Its value.
    pub value: f32,
    /// How far the number that was rounded to it may be away: half a unit of the last decimal.
    ///
    /// 0 where no decimals are written, and where a single 0 is: `1` and `1.0` are how programs print a 1 that
    /// is exact, as most weights of a query table are.
    pub rounding: f32,
}

/// What the keys of an object of weights are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Terms, by the vocabulary's own strings.
    #[default]
    Terms,
    /// Vocabulary ids in decimal.
    Ids,
}

/// One entry as text-embeddings-inference writes it.
#[derive(Deserialize)]
struct IndexValue<'a> {
    #[serde(borrow)]
    index: &'a RawValue,
    #[serde(borrow)]
    value: &'a RawValue,
}

/// Reads a vector: an object of weights, or of the lists `indices` and `values`, or a list of `{"index", "value"}`.
///
/// `place` is what messages call it.
pub(crate) fn vector(place: &str, value: &RawValue, keys: Keys) -> Result<Entries, RowError> {
    match value.get().as_bytes().first() {
        Some(b'[') => index_values(place, value),
        Some(b'{') => object(place, value, keys),
        _ => Err(RowError::new(format!(
            "{place} is {}, expected {{\"term\": weight, …}}, [{{\"index\": id, \"value\": weight}}, …] or \
             {{\"indices\": […], \"values\": […]}}",
            kind(value)
        ))),
    }
}

/// Reads a vector from its lists of ids and weights.
pub(crate) fn lists(place: &str, indices: &RawValue, values: &RawValue) -> Result<Entries, RowError> {
    let indices = list(&format!("`indices` of {place}"), indices)?;
    let values = list(&format!("`values` of {place}"), values)?;
    if indices.len() != values.len() {
        let (ids, weights) = (indices.len(), values.len());
        return Err(RowError::new(format!("{place} has {ids} `indices` and {weights} `values`")));
    }
    let pairs = indices.into_iter().zip(values);
    ids(place, pairs.map(|(index, weight)| Ok((id(place, index.get())?, weight))))
}

/// The elements of a list, unread.
pub(crate) fn list<'a>(place: &str, value: &'a RawValue) -> Result<Vec<&'a RawValue>, RowError> {
    if !value.get().starts_with('[') {
        return Err(RowError::new(format!("{place} is {}, not a list", kind(value))));
    }
    serde_json::from_str(value.get()).map_err(|error| not_json(&error))
}

/// A finite number, and what rounding may have taken from it; the error is what to say after its name.
pub(crate) fn number(value: &RawValue) -> Result<Written, String> {
    let digits = value.get();
    if !digits.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return Err(format!("is {}, not a number", kind(value)));
    }
    match digits.parse::<f32>() {
        Ok(value) if value.is_finite() => Ok(Written { value, rounding: rounding(digits) }),
        _ => Err(format!("is {digits}, not a finite 32-bit float")),
    }
}

fn index_values(place: &str, value: &RawValue) -> Result<Entries, RowError> {
    let entries = list(place, value)?.into_iter().map(|entry| {
        let IndexValue { index, value } = serde_json::from_str(entry.get()).map_err(|error| {
            let what = message(&error);
            RowError::new(format!("{place}: {what}, expected {{\"index\": id, \"value\": weight}}"))
        })?;
        Ok((id(place, index.get())?, value))
    });
    ids(place, entries)
}

fn object(place: &str, value: &RawValue, keys: Keys) -> Result<Entries, RowError> {
    let fields = object::entries(value.get().as_bytes())?;
    // `indices` and `values` are terms of BERT's vocabulary too: those have numbers.
    let is_list = |name| fields.iter().any(|field| field.key == name && field.value.get().starts_with('['));
    if is_list("indices") || is_list("values") {
        let field = |name| object::find(&fields, name)?.ok_or_else(|| missing(place, name));
        return lists(place, field("indices")?, field("values")?);
    }
    if keys == Keys::Ids {
        return ids(place, fields.iter().map(|field| Ok((id(place, &field.key)?, field.value))));
    }
    let entry = |field: Entry| {
        let weight = weight(place, &field.key, field.value)?;
        Ok((field.key, weight))
    };
    let entries = fields.into_iter().map(entry).collect::<Result<Vec<_>, RowError>>()?;
    refuse_repeated(place, entries.iter().map(|(term, _)| term))?;
    Ok(Entries::Terms(entries))
}

fn ids<'a>(
    place: &str,
    entries: impl Iterator<Item = Result<(u32, &'a RawValue), RowError>>,
) -> Result<Entries, RowError> {
    let weighed = entries.map(|entry| {
        let (id, value) = entry?;
        Ok((id, weight(place, id, value)?))
    });
    let weighed = weighed.collect::<Result<Vec<_>, RowError>>()?;
    refuse_repeated(place, weighed.iter().map(|(id, _)| id))?;
    Ok(Entries::Ids(weighed))
}

fn id(place: &str, digits: &str) -> Result<u32, RowError> {
    digits.parse().map_err(|_| {
        RowError::new(format!("{place} has the index {digits}, expected a whole number of 0 to {}", u32::MAX))
    })
}

fn weight(place: &str, key: impl Display, value: &RawValue) -> Result<Written, RowError> {
    let weight = match number(value) {
        Ok(weight) if weight.value < 0.0 => Err(format!("is {}, expected at least 0", value.get())),
        weight => weight,
    };
    weight.map_err(|reason| RowError::new(format!("the weight of `{key}` in {place} {reason}")))
}

fn refuse_repeated<K: Copy + Eq + Hash + Display>(
    place: &str,
    mut keys: impl Iterator<Item = K>,
) -> Result<(), RowError> {
    let mut seen = HashSet::new();
    match keys.find(|key| !seen.insert(*key)) {
        Some(key) => Err(RowError::new(format!("{place} has `{key}` twice"))),
        None => Ok(()),
    }
}

/// See [`Written::rounding`].
fn rounding(number: &str) -> f32 {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let decimals = match digits.split_once('.') {
        Some((_, "0")) | None => 0,
        Some((_, decimals)) => decimals.len() as i32,
    };
    match decimals.saturating_sub(exponent) {
        decimals @ 1.. => 0.5 * 10f32.powi(-decimals),
        _ => 0.0,
    }
}

/// The error of a field that has to be there.
pub(crate) fn missing(place: &str, name: &str) -> RowError {
    RowError::new(format!("{place} has no field `{name}`"))
}
