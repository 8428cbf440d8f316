//! Pinecone: a record a line, `{"id","sparse_values":{"indices","values"},"metadata"}`.
//!
//! Its limits are those of its documentation: 1,000 terms a vector, ids of 512 bytes, metadata that is flat.

use super::{as_object, json, kept_fields, Findings, Format, Keys, Options, Row, Terms};
use crate::jsonl::{kind, RowError};
use crate::sparse::SparseVector;

const MAX_TERMS: usize = 1000;
const MAX_ID_BYTES: usize = 512;
const MAX_METADATA_BYTES: usize = 40 * 1024;

struct Pinecone {
    index_name: String,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, String> {
    if options.vector_field != "vector" {
        return Err("a record has its vector in `sparse_values`: leave out --vector-field".into());
    }
    Ok(Box::new(Pinecone { index_name: json::string(options.index_name.as_deref().unwrap_or("docs")) }))
}

/// Whether a value may stand in metadata: a string, a number, true, false, or a list of strings.
fn is_flat(value: &str) -> bool {
    match value.as_bytes()[0] {
        b'{' | b'n' => false,
        b'[' => serde_json::from_str::<Vec<String>>(value).is_ok(),
        _ => true,
    }
}

impl Format for Pinecone {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [&'static str] {
        &["--index-name", "--chunk-rows"]
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        &[]
    }

    fn write_row(&self, row: &Row, _: Terms, out: &mut Vec<u8>, _: &mut Findings) -> Result<(), RowError> {
        if row.vector.len() > MAX_TERMS {
            return Err(super::too_many_terms(row.vector.len(), MAX_TERMS, "Pinecone"));
        }
        if row.id_text().len() > MAX_ID_BYTES {
            return Err(RowError::new(format!(
                "an id of more than {MAX_ID_BYTES} bytes, which Pinecone takes"
            )));
        }
        let metadata = as_object(&row.fields());
        for field in kept_fields(&metadata) {
            if !is_flat(field.value.get()) {
                let (name, kind) = (&field.key, kind(field.value));
                let reason = format!("the field `{name}` is {kind}: metadata takes strings, numbers, true, false and lists of strings");
                return Err(RowError::new(reason));
            }
        }
        if metadata.len() > MAX_METADATA_BYTES {
            let reason =
                format!("kept fields of {} bytes, and metadata takes {MAX_METADATA_BYTES}", metadata.len());
            return Err(RowError::new(reason));
        }
        out.extend_from_slice(format!("{{\"id\":{},\"sparse_values\":", row.id_string()).as_bytes());
        json::write_arrays(out, row.vector);
        if metadata.len() > 2 {
            out.extend_from_slice(format!(",\"metadata\":{metadata}").as_bytes());
        }
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    fn mapping(&self, _: usize) -> Option<String> {
        Some(json::pretty(&format!(
            "{{\"name\":{},\"vector_type\":\"sparse\",\"metric\":\"dotproduct\",\"spec\":{{\"serverless\":\
             {{\"cloud\":\"aws\",\"region\":\"us-east-1\"}}}}}}",
            self.index_name
        )))
    }

    fn query(
        &self,
        vector: &SparseVector,
        _: Terms,
        k: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        if vector.len() > MAX_TERMS {
            return Err(super::too_many_terms(vector.len(), MAX_TERMS, "Pinecone"));
        }
        Ok(Some(format!(
            "{{\"sparse_vector\":{},\"top_k\":{k},\"include_metadata\":true}}",
            json::arrays(vector)
        )))
    }
}
