//! What a store keeps only roughly, counted.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What was noticed in what was written, with how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings(BTreeMap<Cow<'static, str>, u64>);

impl Findings {
    /// Counts `count` more of what a sentence says after a number.
    pub fn add(&mut self, what: &'static str, count: usize) {
        if count > 0 {
            *self.0.entry(Cow::Borrowed(what)).or_default() += count as u64;
        }
    }

    /// What was found, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(what, count)| (what.as_ref(), *count))
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
