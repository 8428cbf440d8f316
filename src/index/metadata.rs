//! What an index says of how it was made, and whether a query is made in the same way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::document::JsonObject;
use super::open::InvertedIndex;
use super::IndexError;
use crate::similarity::Similarity;

/// How an index was made: who made it, of what, and what a query's vector has to share with those in it.
///
/// What an index of an earlier version does not say is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexMetadata {
    /// The program and its version.
    pub made_by: Option<String>,
    /// The model by the name that its user gave it; `None` for vectors whose model was not named.
    pub model: Option<String>,
    /// The hub id of the model, where it is a known one.
    pub known_model: Option<String>,
    /// The revision of the model that was asked for.
    pub revision: Option<String>,
    /// The SHA-256 of the list of `model_files`, as `sha256sum` would print it; `None` where those are not all files of
    /// the model.
    pub model_sha256: Option<String>,
    /// The SHA-256 of the model's files, by name.
    pub model_files: BTreeMap<String, String>,
    /// Whose reading of the model its vectors follow.
    pub dialect: Option<String>,
    /// Which matrix projects on the vocabulary, where the user has said it.
    pub decoder: Option<String>,
    /// The tokens that texts were cut to, where the user has said it.
    pub max_length: Option<usize>,
    /// How documents are compared with queries.
    pub similarity: Option<String>,
    /// What was done to the vectors on their way.
    pub settings: Map<String, Value>,
}

/// Something in which a query is made otherwise than the vectors of an index.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Difference {
    /// A file of the model.
    #[error("its file `{file}` is not the one that the index was made with")]
    File {
        /// Its name.
        file: String,
    },
    /// There are no hashes of files to compare, and the models have different names.
    #[error("the index was made with `{model}`, and hashes do not tell whether that is the same model")]
    Name {
        /// The name of the index's model.
        model: String,
    },
    /// The dialect.
    #[error("the dialect is {found}, the index's is {expected}")]
    Dialect {
        /// That of the index.
        expected: String,
        /// That of the query.
        found: String,
    },
    /// The decoder.
    #[error("the decoder is {found}, the index's is {expected}")]
    Decoder {
        /// That of the index.
        expected: String,
        /// That of the query.
        found: String,
    },
}

impl IndexMetadata {
    /// As an index keeps it.
    pub fn to_json(&self) -> JsonObject {
        let json = serde_json::to_string(self).expect("strings and numbers, anything else is a bug");
        JsonObject::from_checked(json)
    }

    /// Whether the index says which model its vectors are of.
    pub fn names_model(&self) -> bool {
        self.model.is_some()
    }

    /// Where queries that are made as `query` says would not fit the index; nothing where they do, or where the index
    /// says nothing of its model.
    ///
    /// The files of the query's model are compared by their hashes, wherever they lie. What texts were cut to, and what
    /// was done to the documents' vectors, need not be the same.
    pub fn difference(&self, query: &IndexMetadata) -> Option<Difference> {
        let model = self.model.as_ref()?;
        if self.model_files.is_empty() || query.model_files.is_empty() {
            let is_same = match (&self.known_model, &query.known_model) {
                (Some(own), Some(other)) => own == other,
                _ => query.model.as_ref() == Some(model),
            };
            if !is_same {
                return Some(Difference::Name { model: model.clone() });
            }
        }
        // A query may take fewer files than the documents did, never others.
        let is_whole = self.model_sha256.is_some();
        let is_other = |(file, hash): &(&String, &String)| match self.model_files.get(*file) {
            Some(expected) => expected != *hash,
            None => is_whole,
        };
        let files = query.model_files.iter().filter(|_| !self.model_files.is_empty());
        if let Some((file, _)) = { files }.find(is_other) {
            return Some(Difference::File { file: file.clone() });
        }
        let said = |what: &Option<String>| what.clone().unwrap_or_else(|| "the model's own".into());
        if self.dialect.is_some() && self.dialect != query.dialect {
            return Some(Difference::Dialect { expected: said(&self.dialect), found: said(&query.dialect) });
        }
        // Earlier versions did not say.
        if !self.model_files.is_empty() && self.decoder != query.decoder {
            return Some(Difference::Decoder { expected: said(&self.decoder), found: said(&query.decoder) });
        }
        None
    }
}

impl InvertedIndex {
    /// [`InvertedIndex::metadata`] of an index that this program made.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`], also where it says something in another way than this program does.
    pub fn made(&self) -> Result<IndexMetadata, IndexError> {
        let json = self.metadata()?;
        serde_json::from_str(json.as_json()).map_err(|error| self.damaged(format!("its metadata: {error}")))
    }

    /// How the documents are compared with queries. An index that does not say so has raw vectors, as all of them had
    /// once.
    ///
    /// # Errors
    ///
    /// Those of [`InvertedIndex::made`], and [`IndexError::Foreign`] where it names a similarity that is not known here.
    pub fn similarity(&self) -> Result<Similarity, IndexError> {
        let Some(name) = self.made()?.similarity else { return Ok(Similarity::Dot) };
        Similarity::named(&name).ok_or_else(|| {
            self.foreign(format!("it was made for the similarity {name:?}, which is not known here"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(files: &[(&str, &str)]) -> BTreeMap<String, String> {
        files.iter().map(|(name, hash)| (name.to_string(), hash.to_string())).collect()
    }

    fn of_texts() -> IndexMetadata {
        IndexMetadata {
            model: Some("folder".into()),
            model_sha256: Some("whole".into()),
            model_files: files(&[("config.json", "c"), ("idf.json", "i"), ("model.safetensors", "m")]),
            dialect: Some("card".into()),
            ..IndexMetadata::default()
        }
    }

    #[test]
    fn a_model_is_the_same_by_its_files_wherever_they_lie() {
        let index = of_texts();
        let moved = IndexMetadata { model: Some("elsewhere/moved".into()), ..index.clone() };
        assert_eq!(index.difference(&moved), None);
        let query_side = files(&[("config.json", "c"), ("idf.json", "i")]);
        assert_eq!(index.difference(&IndexMetadata { model_files: query_side, ..moved.clone() }), None);
        for other in [
            [("config.json", "c"), ("model.safetensors", "other")],
            // Its parameters are in a file that the index's model does not have.
            [("config.json", "c"), ("pytorch_model.bin", "m")],
        ] {
            let query = IndexMetadata { model_files: files(&other), ..index.clone() };
            let file = other[1].0.to_string();
            assert_eq!(index.difference(&query), Some(Difference::File { file }));
        }
    }

    #[test]
    fn another_dialect_or_decoder_is_a_difference() {
        let index = of_texts();
        let dialect = IndexMetadata { dialect: Some("ml-commons".into()), ..index.clone() };
        assert!(matches!(index.difference(&dialect), Some(Difference::Dialect { .. })));
        let decoder = IndexMetadata { decoder: Some("stored".into()), ..index.clone() };
        assert!(matches!(index.difference(&decoder), Some(Difference::Decoder { .. })));
        let cut = IndexMetadata { max_length: Some(16), ..index.clone() };
        assert_eq!(index.difference(&cut), None);
    }

    #[test]
    fn without_hashes_the_names_decide() {
        let named = |model: &str, known: Option<&str>| IndexMetadata {
            model: Some(model.into()),
            known_model: known.map(str::to_string),
            ..IndexMetadata::default()
        };
        let query =
            |model, known| IndexMetadata { model_files: of_texts().model_files, ..named(model, known) };
        assert_eq!(named("a", None).difference(&query("a", None)), None);
        let other = named("a", None).difference(&query("b", None));
        assert_eq!(other, Some(Difference::Name { model: "a".into() }));
        assert_eq!(named("short", Some("org/long")).difference(&query("org/long", Some("org/long"))), None);
        assert_eq!(IndexMetadata::default().difference(&query("b", None)), None, "it names no model");
    }

    #[test]
    fn it_comes_back_from_its_json() {
        let index = of_texts();
        let json = index.to_json();
        assert_eq!(serde_json::from_str::<IndexMetadata>(json.as_json()).expect("as written"), index);
    }
}
