//! Anserini and Pyserini: a `JsonVectorCollection`, whose weights are integers.
//!
//! `IndexCollection --impact --pretokenized` repeats each term as often as its weight says, so a scale is a choice
//! between precision and the time and space of the index.

use super::scaled::Scale;
use super::{
    as_object, json, kept_fields, Compression, Findings, Format, FormatError, FormatOption, Keys, Options,
    Row, Terms,
};
use crate::input::RowError;
use crate::sparse::SparseVector;

/// As in the experiments of SPLADE's authors: two decimals.
const DEFAULT_SCALE: f32 = 100.0;

/// Terms of a query: Lucene gives no documents for one that has more.
const MAX_CLAUSES: usize = 1024;

#[derive(Debug)]
struct Anserini {
    scale: Scale,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    if options.vector_field != "vector" {
        return Err(FormatError::fixed(FormatOption::VectorField, "Anserini reads the field `vector`"));
    }
    Ok(Box::new(Anserini { scale: Scale(options.scale.unwrap_or(DEFAULT_SCALE)) }))
}

impl Format for Anserini {
    fn keys(&self) -> Keys {
        Keys::Names
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::Scale, FormatOption::Windows]
    }

    fn compression(&self) -> Compression {
        Compression::Gzip
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let fields = row.fields();
        let has_contents = kept_fields(&as_object(&fields)).iter().any(|field| field.key == "contents");
        let contents = if has_contents { "" } else { "\"contents\":\"\"," };
        let id = row.id_string();
        out.extend_from_slice(format!("{{\"id\":{id},{contents}{fields}\"vector\":{{").as_bytes());
        for (count, (index, weight)) in row.vector.heaviest_first().into_iter().enumerate() {
            let comma = if count > 0 { "," } else { "" };
            let (name, integer) = (json::string(terms.name(index)), self.scale.integer(weight)?);
            out.extend_from_slice(format!("{comma}{name}:{integer}").as_bytes());
        }
        out.extend_from_slice(b"}}\n");
        findings.add("documents without a term, which the index leaves out", row.vector.is_empty().into());
        let has_space = |index: &&u32| terms.name(**index).contains(char::is_whitespace);
        findings.add(
            "terms with white space, where the index takes them apart",
            row.vector.indices().iter().filter(has_space).count(),
        );
        Ok(())
    }

    /// Terms with spaces between them, each repeated as often as its weight says.
    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        _: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        if vector.len() > MAX_CLAUSES {
            return Err(super::too_many_terms(vector.len(), MAX_CLAUSES, "a query"));
        }
        repeated(vector, terms, self.scale).map(Some)
    }
}

/// Terms with spaces between them, heaviest first, each as often as its scaled weight says.
pub(super) fn repeated(vector: &SparseVector, terms: Terms, scale: Scale) -> Result<String, RowError> {
    let mut words = Vec::new();
    for (index, weight) in vector.heaviest_first() {
        words.extend(std::iter::repeat_n(terms.name(index), scale.integer(weight)? as usize));
    }
    Ok(words.join(" "))
}
