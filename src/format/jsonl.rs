//! This program's own rows: `{"id":…,"vector":{"term":weight,…}}`.

use super::{json, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms};
use crate::input::RowError;

#[derive(Debug)]
struct Jsonl {
    vector_field: String,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Ok(Box::new(Jsonl { vector_field: json::string(&options.vector_field) }))
}

impl Format for Jsonl {
    fn keys(&self) -> Keys {
        Keys::Names
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[]
    }

    fn keeps_raw_weights(&self) -> bool {
        true
    }

    /// The id stays as it was written; a window's number stands beside it.
    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        _: &mut Findings,
    ) -> Result<(), RowError> {
        let (id, fields, name) = (row.id, row.fields(), &self.vector_field);
        out.extend_from_slice(format!("{{\"id\":{id},{fields}{name}:").as_bytes());
        json::write_by_name(out, row.vector, terms);
        out.extend_from_slice(b"}\n");
        Ok(())
    }
}
