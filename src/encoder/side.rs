//! One side of a model: turns a text's tokens into its vector, by a table, a transformer, or both.

use std::borrow::Cow;
use std::sync::Arc;

use super::transformer::Transformer;
use crate::error::Error;
use crate::query::QueryTable;
use crate::sparse::SparseVector;
use crate::tokenizer::{TokenIds, Tokenizer};

/// Everything that encodes the texts of one side.
pub(super) struct SideEncoder {
    pub tokenizer: Arc<Tokenizer>,
    /// Put before each text.
    pub prompt: String,
    pub encoding: Encoding,
    /// How many terms of a vector are kept, the heaviest first; all when `None`.
    pub max_active_dims: Option<usize>,
}

/// How tokens become weights.
pub(super) enum Encoding {
    /// Each token has its own weight, from a table.
    Table(QueryTable),
    /// A model computes the weights.
    Model(Arc<Transformer>),
    /// A model computes the weights of the text's own tokens, each multiplied by its weight in a table.
    OwnTokens(Arc<Transformer>, QueryTable),
}

impl Encoding {
    pub fn transformer(&self) -> Option<&Arc<Transformer>> {
        match self {
            Encoding::Table(_) => None,
            Encoding::Model(transformer) | Encoding::OwnTokens(transformer, _) => Some(transformer),
        }
    }
}

impl SideEncoder {
    pub fn prompted<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.prompt.as_str() {
            "" => Cow::Borrowed(text),
            prompt => Cow::Owned(format!("{prompt}{text}")),
        }
    }

    /// The vectors of tokenized texts, in their order. To be called on the encoder's threads.
    pub fn encode(&self, tokens: &[TokenIds]) -> Result<Vec<SparseVector>, Error> {
        let vectors: Vec<SparseVector> = match &self.encoding {
            Encoding::Table(table) => tokens.iter().map(|text| table.encode(&text.ids)).collect(),
            Encoding::Model(transformer) | Encoding::OwnTokens(transformer, _) => {
                transformer.encode(tokens)?
            }
        };
        vectors.into_iter().zip(tokens).map(|(vector, text)| self.postprocess(vector, &text.ids)).collect()
    }

    /// Applies the table of the side's own tokens and the limit on the number of terms, where there is one.
    pub fn postprocess(&self, vector: SparseVector, ids: &[u32]) -> Result<SparseVector, Error> {
        let vector = match &self.encoding {
            Encoding::OwnTokens(_, table) => table.masked(&vector, ids)?,
            Encoding::Table(_) | Encoding::Model(_) => vector,
        };
        Ok(match self.max_active_dims {
            Some(count) => vector.top_k(count),
            None => vector,
        })
    }

    /// The vector of one text, and for each of its terms the position of the token that it comes from.
    pub fn explain(&self, ids: &[u32]) -> Result<(SparseVector, Vec<usize>), Error> {
        let (whole, positions) = match &self.encoding {
            Encoding::Table(table) => {
                let vector = table.encode(ids);
                let first = |term: &u32| ids.iter().position(|id| id == term).unwrap_or_default();
                let positions = vector.indices().iter().map(first).collect();
                (vector, positions)
            }
            Encoding::Model(transformer) | Encoding::OwnTokens(transformer, _) => transformer.explain(ids)?,
        };
        let place = |id: &u32| whole.indices().binary_search(id).ok().map(|place| positions[place]);
        let kept = self.postprocess(whole.clone(), ids)?;
        let positions = kept.indices().iter().filter_map(place).collect();
        Ok((kept, positions))
    }
}
