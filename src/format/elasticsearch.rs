//! Elasticsearch: `_bulk` requests for a field of type `sparse_vector`, whose features are terms.
//!
//! A document whose windows are rows gets a list of vectors, of which the field keeps each term's largest weight.

use super::bulk::{self, Bulk};
use super::{json, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms};
use crate::input::RowError;
use crate::sparse::SparseVector;

#[derive(Debug)]
struct Elasticsearch {
    bulk: Bulk,
    vector_field: String,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Ok(Box::new(Elasticsearch { bulk: Bulk::new(options), vector_field: options.vector_field.clone() }))
}

impl Elasticsearch {
    fn features(vector: &SparseVector, terms: Terms, findings: &mut Findings) -> String {
        let vector = bulk::features(vector, findings);
        let dots = vector.indices().iter().filter(|&&index| terms.name(index).contains('.')).count();
        findings.add(
            "terms with a dot: sparse_vector takes them from Elasticsearch 8.16 on, rank_features never",
            dots,
        );
        json::by_name(&vector, terms)
    }
}

impl Format for Elasticsearch {
    fn keys(&self) -> Keys {
        Keys::Names
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::IndexName, FormatOption::Action, FormatOption::RequestBytes, FormatOption::Windows]
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        bulk::METADATA
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let features = Self::features(row.vector, terms, findings);
        self.bulk.write(row.id, row.kept, Some(features), out)
    }

    fn write_windows(
        &self,
        (id, kept): (&str, &str),
        windows: &[SparseVector],
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let windows: Vec<String> =
            windows.iter().map(|vector| Self::features(vector, terms, findings)).collect();
        self.bulk.write(id, kept, Some(format!("[{}]", windows.join(","))), out)
    }

    fn nests_windows(&self) -> bool {
        true
    }

    fn lines_of_a_request(&self) -> Option<usize> {
        Some(bulk::LINES)
    }

    fn mapping(&self, _: usize) -> Option<String> {
        let name = json::string(&self.vector_field);
        Some(json::pretty(&format!(
            "{{\"mappings\":{{\"properties\":{{{name}:{{\"type\":\"sparse_vector\"}}}}}}}}"
        )))
    }

    /// Indexes of Elasticsearch 8.19, 9.1 and newer leave out terms of a query unless they are told not to.
    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        k: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        bulk::check_hits(k)?;
        let (name, query) = (json::string(&self.vector_field), json::by_name(vector, terms));
        Ok(Some(format!(
            "{{\"size\":{k},\"query\":{{\"sparse_vector\":{{\"field\":{name},\"query_vector\":{query},\
             \"prune\":false}}}}}}"
        )))
    }
}
