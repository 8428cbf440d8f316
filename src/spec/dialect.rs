//! Dialects: what different programs make of the same weights, each by its name.
//!
//! | | card | ml-commons | sentence-transformers |
//! |---|---|---|---|
//! | special tokens in the vector | 0 | 0 | kept |
//! | around a query of a table | \[CLS\] and \[SEP\], which weigh 0 | nothing | nothing |
//! | a token that the table's JSON lacks | 0 | 1 | 0 |
//! | a query of a table that is too long | cut | whole | cut |
//! | `max_ratio` pruning keeps | w ≥ r·max | w > r·max | w ≥ r·max |
//!
//! Sources: the model cards of the opensearch-project models; `HFModelTokenizer` of ml-commons and the models that
//! opensearch-py-ml traces for it; `SpladePooling` and `SparseStaticEmbedding` of sentence-transformers.

use std::fmt;
use std::str::FromStr;

/// Whose reading of a model is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// That of the OpenSearch model cards, applied to every model.
    #[default]
    Card,
    /// That of an OpenSearch cluster, which runs models in ml-commons.
    MlCommons,
    /// That of sentence-transformers' `SparseEncoder`.
    SentenceTransformers,
}

impl Dialect {
    /// Every one of them.
    pub const ALL: [Dialect; 3] = [Dialect::Card, Dialect::MlCommons, Dialect::SentenceTransformers];

    /// Its name, as the command line takes it.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::Card => "card",
            Dialect::MlCommons => "ml-commons",
            Dialect::SentenceTransformers => "sentence-transformers",
        }
    }

    /// Whether special tokens keep their weights.
    pub fn keeps_special_tokens(self) -> bool {
        self == Dialect::SentenceTransformers
    }

    /// Whether special tokens stand around a query that is looked up in a table.
    pub(crate) fn surrounds_table_queries(self) -> bool {
        self == Dialect::Card
    }

    /// Whether a query that is looked up in a table is cut at the model's limit.
    pub(crate) fn cuts_table_queries(self) -> bool {
        self != Dialect::MlCommons
    }

    /// The weight of a token that a table in JSON lacks.
    pub(crate) fn absent_weight(self) -> f32 {
        match self {
            Dialect::MlCommons => 1.0,
            Dialect::Card | Dialect::SentenceTransformers => 0.0,
        }
    }

    /// Whether a weight that is exactly on the line of `max_ratio` pruning is dropped.
    pub fn drops_equal_ratio(self) -> bool {
        self == Dialect::MlCommons
    }

    pub(crate) fn special_token_rule(self) -> &'static str {
        if self.keeps_special_tokens() {
            "kept"
        } else {
            "weight 0"
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = || Dialect::ALL.map(Dialect::name).join(", ");
        let found = Dialect::ALL.into_iter().find(|dialect| dialect.name() == name);
        found.ok_or_else(|| format!("no dialect `{name}`; there are {}", names()))
    }
}
