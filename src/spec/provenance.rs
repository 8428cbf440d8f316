//! Where each setting came from.

use crate::one_line::one_line;

/// One thing that was read from a model's files: what was decided, how, and by which file.
///
/// Each part is one line of bounded length, whatever the files hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// What was decided, in a few words.
    pub what: String,
    /// The decision.
    pub value: String,
    /// The file and key that decided, or the rule that holds without one.
    pub source: String,
}

impl Provenance {
    pub(crate) fn new(what: impl Into<String>, value: impl Into<String>, source: impl Into<String>) -> Self {
        let line = |text: String| one_line(&text).into_owned();
        Provenance { what: line(what.into()), value: line(value.into()), source: line(source.into()) }
    }

    /// The same, said of one side; `""` for both.
    pub(crate) fn of_side(self, side: &str) -> Self {
        if side.is_empty() || self.what.starts_with(side) {
            return self;
        }
        Provenance { what: format!("{side} {}", self.what), ..self }
    }
}
