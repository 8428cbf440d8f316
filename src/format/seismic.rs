//! Seismic: `{"id","content","vector"}` a line, ids that are integers, as every version takes them. It reads files whose
//! names end in `.jsonl`, and numbers the terms of a collection with 16 bits.

use super::{
    as_object, json, kept_fields, Compression, Findings, Format, FormatError, FormatOption, Keys, Options,
    Row, Terms,
};
use crate::input::RowError;
use crate::sparse::SparseVector;

/// Distinct terms of a collection.
const MAX_TERMS: usize = 65_535;

#[derive(Debug)]
struct Seismic;

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    if options.vector_field != "vector" {
        return Err(FormatError::fixed(FormatOption::VectorField, "Seismic reads the field `vector`"));
    }
    if options.has_windows {
        let reason = "Seismic's ids are numbers, which windows of a document cannot share";
        return Err(FormatError::fixed(FormatOption::Windows, reason));
    }
    Ok(Box::new(Seismic))
}

impl Format for Seismic {
    fn keys(&self) -> Keys {
        Keys::NamesOfVocabulary
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[]
    }

    fn compression(&self) -> Compression {
        Compression::Nothing
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let id = row.id_text();
        let number = id.parse::<u64>().ok().filter(|number| number.to_string() == id);
        let number = number.ok_or_else(|| {
            RowError::new(format!("the id `{id}` is not an integer: Seismic takes no other; number the rows"))
        })?;
        let fields = row.fields();
        let has_content = kept_fields(&as_object(&fields)).iter().any(|field| field.key == "content");
        let content = if has_content { "" } else { "\"content\":\"\"," };
        out.extend_from_slice(format!("{{\"id\":{number},{content}{fields}\"vector\":").as_bytes());
        json::write_by_name(out, row.vector, terms);
        out.extend_from_slice(b"}\n");
        let far = row.vector.indices().iter().filter(|&&index| index as usize >= MAX_TERMS).count();
        findings.add(
            "terms beyond a vocabulary of 65,535: of more distinct ones only SeismicIndexLV makes an index",
            far,
        );
        Ok(())
    }

    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        _: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        let query = json::by_name(vector, terms);
        Ok(Some(format!("{{\"id\":0,\"content\":\"\",\"vector\":{query}}}")))
    }
}
