//! Milvus: a row a line, `{"id","vector":{"indices","values"}}`, for a field of type `SPARSE_FLOAT_VECTOR`.
//!
//! Ids are always strings, as the collection's primary key; kept fields are dynamic fields.

use super::{as_object, json, kept_fields, Findings, Format, Keys, Options, Row, Terms};
use crate::jsonl::RowError;
use crate::sparse::SparseVector;

/// Bytes of an id, by the collection's own body.
const MAX_ID_BYTES: usize = 512;

struct Milvus {
    vector_field: String,
    collection: String,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, String> {
    if options.vector_field == "id" {
        return Err("a row has the field `id` already".into());
    }
    let collection = options.index_name.as_deref().unwrap_or("docs");
    Ok(Box::new(Milvus {
        vector_field: json::string(&options.vector_field),
        collection: json::string(collection),
    }))
}

impl Format for Milvus {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [&'static str] {
        &["--index-name", "--chunk-rows"]
    }

    fn write_row(&self, row: &Row, _: Terms, out: &mut Vec<u8>, _: &mut Findings) -> Result<(), RowError> {
        let fields = row.fields();
        if let Some(field) = kept_fields(&as_object(&fields)).iter().find(|field| field.key.starts_with('$'))
        {
            let reason =
                format!("the field `{}` cannot be kept: Milvus has names with `$` for itself", field.key);
            return Err(RowError::new(reason));
        }
        if row.id_text().len() > MAX_ID_BYTES {
            return Err(RowError::new(format!(
                "an id of more than {MAX_ID_BYTES} bytes, which Milvus takes"
            )));
        }
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
