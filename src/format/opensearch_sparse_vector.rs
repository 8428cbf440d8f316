//! OpenSearch: `_bulk` requests for a field of type `sparse_vector`, whose keys are token ids.
//!
//! The field, of OpenSearch 3.3 and newer, keeps a weight in 8 bits below a ceiling. Of ids it keeps 15 bits: of two
//! terms of a document that fold into one the heavier counts, and up to OpenSearch 3.8.0 a segment of the index breaks
//! at ids whose lower 16 bits are 32,768 or more.

use super::bulk::{self, Bulk};
use super::opensearch::check_weights;
use super::{json, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms};
use crate::input::RowError;
use crate::sparse::SparseVector;

/// Weights of documents above this are cut to it: the field's own default, which normalised vectors never reach.
const INGEST_CEILING: f32 = 3.0;

/// Ids from here on are folded into those below.
const FOLD: u32 = 1 << 15;

#[derive(Debug)]
struct SparseVectorField {
    bulk: Bulk,
    vector_field: String,
    /// What the index body says of weights of documents.
    ingest_ceiling: f32,
    /// Weights of queries above this are cut to it.
    search_ceiling: f32,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    if options.has_windows {
        let reason = "a sparse_vector field is one vector a document";
        return Err(FormatError::fixed(FormatOption::Windows, reason));
    }
    Ok(Box::new(SparseVectorField {
        bulk: Bulk::new(options),
        vector_field: options.vector_field.clone(),
        ingest_ceiling: options.ingest_ceiling,
        search_ceiling: options.search_ceiling,
    }))
}

impl Format for SparseVectorField {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [FormatOption] {
        bulk::OPTIONS
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        bulk::METADATA
    }

    fn write_row(
        &self,
        row: &Row,
        _: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        if row.window.is_some() {
            return Err(RowError::new(
                "a window of a text, and a sparse_vector field is one vector a document",
            ));
        }
        let above = row.vector.weights().iter().filter(|&&weight| weight > INGEST_CEILING).count();
        findings.add("weights above 3, which the field's `quantization_ceiling_ingest` cuts to 3", above);
        let high = row.vector.indices().iter().filter(|&&index| index >= FOLD).count();
        findings.add(
            "terms with an id above 32,767: kept modulo 32,768, and OpenSearch up to 3.8.0 loses the shard that has one",
            high,
        );
        // A document without terms has no such field: one that is empty has others of its segment refused.
        let vector = (!row.vector.is_empty()).then(|| json::by_id(row.vector));
        self.bulk.write(row.id, row.kept, vector, out)
    }

    fn lines_of_a_request(&self) -> Option<usize> {
        Some(bulk::LINES)
    }

    fn mapping(&self, _: usize) -> Option<String> {
        let name = json::string(&self.vector_field);
        let (ingest_ceiling, search_ceiling) = (self.ingest_ceiling, self.search_ceiling);
        Some(json::pretty(&format!(
            "{{\"settings\":{{\"index\":{{\"sparse\":true}}}},\"mappings\":{{\"properties\":{{{name}:{{\"type\":\
             \"sparse_vector\",\"method\":{{\"name\":\"seismic\",\"parameters\":{{\"quantization_ceiling_ingest\":\
             {ingest_ceiling:?},\"quantization_ceiling_search\":{search_ceiling:?}}}}}}}}}}}}}"
        )))
    }

    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        k: usize,
        findings: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        check_weights(vector, terms)?;
        bulk::check_hits(k)?;
        let above = vector.weights().iter().filter(|&&weight| weight > self.search_ceiling).count();
        findings.add("weights of queries above the field's `quantization_ceiling_search`, cut to it", above);
        let (name, tokens) = (json::string(&self.vector_field), json::by_id(vector));
        Ok(Some(format!(
            "{{\"size\":{k},\"query\":{{\"neural_sparse\":{{{name}:{{\"query_tokens\":{tokens},\"method_parameters\":\
             {{\"k\":{k},\"top_n\":10,\"heap_factor\":1.0}}}}}}}}}}"
        )))
    }
}
