//! Milvus: a row a line, `{"id","vector":{"indices","values"}}`, for a field of type `SPARSE_FLOAT_VECTOR`.
//!
//! Ids are always strings, as the collection's primary key; kept fields are dynamic fields.

use super::{
    as_object, json, kept_fields, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms,
};
use crate::input::RowError;
use crate::sparse::SparseVector;

/// Bytes of a name.
const MAX_NAME_BYTES: usize = 255;

/// Bytes of an id, by the collection's own body.
const MAX_ID_BYTES: usize = 512;

#[derive(Debug)]
struct Milvus {
    vector_field: String,
    collection: String,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    let collection = options.index_name.as_deref().unwrap_or("docs");
    let names = [(FormatOption::IndexName, collection), (FormatOption::VectorField, &options.vector_field)];
    for (option, name) in names {
        if !super::is_identifier(name) || name.len() > MAX_NAME_BYTES {
            let reason = "a name of Milvus's is letters, digits and `_`, no digit first";
            return Err(FormatError::value(option, name, reason));
        }
    }
    Ok(Box::new(Milvus {
        vector_field: json::string(&options.vector_field),
        collection: json::string(collection),
    }))
}

impl Format for Milvus {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::IndexName, FormatOption::Windows]
    }

    fn write_row(
        &self,
        row: &Row,
        _: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let fields = row.fields();
        if kept_fields(&as_object(&fields)).iter().any(|field| field.key == "$meta") {
            return Err(RowError::new("the field `$meta` cannot be kept: Milvus has its own of that name"));
        }
        if row.id_text().len() > MAX_ID_BYTES {
            return Err(super::long_id(MAX_ID_BYTES, "Milvus"));
        }
        findings.add(
            "vectors without a term, which Milvus takes and Milvus Lite 3 does not",
            row.vector.is_empty().into(),
        );
        let (id, name) = (row.id_string(), &self.vector_field);
        out.extend_from_slice(format!("{{\"id\":{id},{fields}{name}:").as_bytes());
        json::write_arrays(out, row.vector);
        out.extend_from_slice(b"}\n");
        Ok(())
    }

    fn mapping(&self, _: usize) -> Option<String> {
        let (collection, name) = (&self.collection, &self.vector_field);
        Some(json::pretty(&format!(
            "{{\"collectionName\":{collection},\"schema\":{{\"autoId\":false,\"enableDynamicField\":true,\"fields\":[\
             {{\"fieldName\":\"id\",\"dataType\":\"VarChar\",\"isPrimary\":true,\
             \"elementTypeParams\":{{\"max_length\":\"{MAX_ID_BYTES}\"}}}},\
             {{\"fieldName\":{name},\"dataType\":\"SparseFloatVector\"}}]}},\
             \"indexParams\":[{{\"fieldName\":{name},\"indexName\":{name},\"metricType\":\"IP\",\
             \"params\":{{\"index_type\":\"SPARSE_INVERTED_INDEX\"}}}}]}}"
        )))
    }

    fn query(
        &self,
        vector: &SparseVector,
        _: Terms,
        k: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        let (collection, name, query) = (&self.collection, &self.vector_field, json::by_id(vector));
        Ok(Some(format!(
            "{{\"collectionName\":{collection},\"data\":[{query}],\"annsField\":{name},\"limit\":{k},\
             \"outputFields\":[\"id\"],\"searchParams\":{{\"metricType\":\"IP\",\"params\":{{}}}}}}"
        )))
    }
}
