//! OpenSearch: `_bulk` requests for a field of type `sparse_vector`, whose keys are token ids.
//!
//! The field, of OpenSearch 3.3 and newer, keeps a weight in 8 bits below a ceiling, and an id modulo 32,768: of two
//! terms of a document that fold into one the heavier counts.

use super::bulk::{self, Bulk};
use super::{json, Findings, Format, Keys, Options, Row, Terms};
use crate::jsonl::RowError;
use crate::sparse::SparseVector;

/// Weights of documents above this are cut to it: the field's own default.
const INGEST_CEILING: f32 = 3.0;

/// Ids from here on are folded.
const FOLD: u32 = 1 << 15;

struct SparseVectorField {
    bulk: Bulk,
    vector_field: String,
    /// Weights of queries above this are cut to it.
    search_ceiling: f32,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, String> {
    if options.has_windows {
        return Err("a sparse_vector field is one vector a document: leave out --chunk-rows".into());
    }
    Ok(Box::new(SparseVectorField {
        bulk: Bulk::new(options),
        vector_field: options.vector_field.clone(),
        search_ceiling: options.search_ceiling,
    }))
}

impl Format for SparseVectorField {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [&'static str] {
        bulk::FLAGS
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
        bulk::refuse_window(row)?;
        let above = row.vector.weights().iter().filter(|&&weight| weight > INGEST_CEILING).count();
        findings.add("weights above 3, which the field's `quantization_ceiling_ingest` cuts to 3", above);
        let folded = row.vector.indices().iter().filter(|&&index| {
            index >= FOLD
                && row.vector.indices().iter().any(|&other| other < index && other % FOLD == index % FOLD)
        });
        findings.add(
            "terms that share a place with another of their document: ids are kept modulo 32,768",
            folded.count(),
        );
        self.bulk.write(row.id, row.kept, out, |out| json::write_by_id(out, row.vector));
        Ok(())
    }

    fn lines_of_a_request(&self) -> Option<usize> {
        Some(bulk::LINES)
    }

    fn mapping(&self, _: usize) -> Option<String> {
        let (name, search_ceiling) = (json::string(&self.vector_field), self.search_ceiling);
        Some(json::pretty(&format!(
            "{{\"settings\":{{\"index\":{{\"sparse\":true}}}},\"mappings\":{{\"properties\":{{{name}:{{\"type\":\
             \"sparse_vector\",\"method\":{{\"name\":\"seismic\",\"parameters\":{{\"quantization_ceiling_ingest\":\
             {INGEST_CEILING:?},\"quantization_ceiling_search\":{search_ceiling:?}}}}}}}}}}}}}"
        )))
    }

    fn query(
        &self,
        vector: &SparseVector,
        _: Terms,
        k: usize,
        findings: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        let above = vector.weights().iter().filter(|&&weight| weight > self.search_ceiling).count();
        findings.add("weights of queries above the field's `quantization_ceiling_search`, cut to it", above);
        let (name, tokens) = (json::string(&self.vector_field), json::by_id(vector));
        Ok(Some(format!(
            "{{\"size\":{k},\"query\":{{\"neural_sparse\":{{{name}:{{\"query_tokens\":{tokens},\"method_parameters\":\
             {{\"k\":{k},\"top_n\":10,\"heap_factor\":1.0}}}}}}}}}}"
        )))
    }
}
