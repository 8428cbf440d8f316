//! Pinecone: a record a line, `{"id","sparse_values":{"indices","values"},"metadata"}`.
//!
//! Rows and queries are in the form that its Python client takes. The limits are those of its documentation: a vector of
//! 1 to 1,000 terms, ids of 512 characters of ASCII, flat metadata.

use super::{
    as_object, json, kept_fields, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms,
};
use crate::input::json::kind;
use crate::input::RowError;
use crate::sparse::SparseVector;

const MAX_TERMS: usize = 1000;
const MAX_ID_BYTES: usize = 512;
const MAX_METADATA_BYTES: usize = 40 * 1024;
const MAX_NAME_BYTES: usize = 45;
const MAX_HITS: usize = 10_000;

#[derive(Debug)]
struct Pinecone {
    index_name: String,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    if options.vector_field != "vector" {
        let reason = "a record has its vector in `sparse_values`";
        return Err(FormatError::fixed(FormatOption::VectorField, reason));
    }
    let name = options.index_name.as_deref().unwrap_or("docs");
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.bytes().all(is_part) || !(1..=MAX_NAME_BYTES).contains(&name.len()) {
        let reason = "a name of Pinecone's is 1 to 45 of a to z, 0 to 9 and `-`";
        return Err(FormatError::value(FormatOption::IndexName, name, reason));
    }
    Ok(Box::new(Pinecone { index_name: json::string(name) }))
}

/// An error where a vector has too many terms, or none.
fn check_terms(vector: &SparseVector) -> Result<(), RowError> {
    match vector.len() {
        0 => Err(RowError::new("no terms, and Pinecone takes no vector without any")),
        1..=MAX_TERMS => Ok(()),
        count => Err(super::too_many_terms(count, MAX_TERMS, "Pinecone")),
    }
}

/// The kept fields as metadata: strings, numbers, true, false and lists of strings. What is null is left out.
fn metadata(fields: &str) -> Result<String, RowError> {
    let mut metadata = Vec::new();
    for field in kept_fields(&as_object(fields)) {
        let (name, value) = (&field.key, field.value.get());
        if name.starts_with('$') {
            let reason =
                format!("the field `{name}` cannot be kept: Pinecone has names with `$` for its filters");
            return Err(RowError::new(reason));
        }
        match value.as_bytes()[0] {
            b'n' => continue,
            b'[' if serde_json::from_str::<Vec<String>>(value).is_ok() => {}
            b'[' | b'{' => {
                let kind = kind(field.value);
                let takes = "metadata takes strings, numbers, true, false and lists of strings";
                return Err(RowError::new(format!("the field `{name}` is {kind}: {takes}")));
            }
            _ => {}
        }
        metadata.push(format!("{}:{value}", json::string(name)));
    }
    let metadata = format!("{{{}}}", metadata.join(","));
    if metadata.len() > MAX_METADATA_BYTES {
        let count = metadata.len();
        return Err(RowError::new(format!(
            "kept fields of {count} bytes, and metadata takes {MAX_METADATA_BYTES}"
        )));
    }
    Ok(metadata)
}

impl Format for Pinecone {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::IndexName, FormatOption::Windows]
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        &[]
    }

    fn write_row(&self, row: &Row, _: Terms, out: &mut Vec<u8>, _: &mut Findings) -> Result<(), RowError> {
        check_terms(row.vector)?;
        let id = row.id_text();
        if id.len() > MAX_ID_BYTES || !id.bytes().all(|byte| byte.is_ascii() && byte != 0) {
            return Err(RowError::new(format!(
                "an id that is not 1 to {MAX_ID_BYTES} characters of ASCII, as Pinecone's are"
            )));
        }
        let metadata = metadata(&row.fields())?;
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
        check_terms(vector)?;
        if k > MAX_HITS {
            return Err(RowError::new(format!("{k} documents, and a query gives {MAX_HITS} at most")));
        }
        Ok(Some(format!(
            "{{\"sparse_vector\":{},\"top_k\":{k},\"include_metadata\":true}}",
            json::arrays(vector)
        )))
    }
}
