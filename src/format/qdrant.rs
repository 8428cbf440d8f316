//! Qdrant: a point a line, `{"id","vector":{FIELD:{"indices","values"}},"payload"}`.
//!
//! A point's id is an unsigned number of 64 bits or a UUID. Digits become the number that they are, a UUID is written
//! with hyphens and in lower case however Qdrant would take it, and any other id becomes the UUID of version 5 in the namespace for object identifiers: in Python,
//! `uuid.uuid5(uuid.NAMESPACE_OID, id)`. What the document is called stands in the payload as `_id`.

use uuid::Uuid;

use super::{as_object, json, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms};
use crate::input::RowError;
use crate::sparse::SparseVector;

#[derive(Debug)]
struct Qdrant {
    vector_field: String,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    Ok(Box::new(Qdrant { vector_field: json::string(&options.vector_field) }))
}

/// The id of a point, as JSON.
fn point_id(id: &str) -> String {
    let number = id.parse::<u64>().ok().filter(|number| number.to_string() == id);
    match (number, Uuid::try_parse(id)) {
        (Some(number), _) => number.to_string(),
        (None, Ok(uuid)) => json::string(&uuid.hyphenated().to_string()),
        (None, _) => json::string(&Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()).to_string()),
    }
}

impl Format for Qdrant {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::Windows]
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        &["_id"]
    }

    fn stored_id(&self, id: &str) -> String {
        point_id(id)
    }

    fn write_row(&self, row: &Row, _: Terms, out: &mut Vec<u8>, _: &mut Findings) -> Result<(), RowError> {
        let fields = row.fields();
        let id = point_id(&row.id_text());
        out.extend_from_slice(format!("{{\"id\":{id},\"vector\":{{{}:", self.vector_field).as_bytes());
        json::write_arrays(out, row.vector);
        let payload = as_object(&format!("\"_id\":{},{fields}", row.id));
        out.extend_from_slice(format!("}},\"payload\":{payload}}}\n").as_bytes());
        Ok(())
    }

    fn mapping(&self, _: usize) -> Option<String> {
        Some(json::pretty(&format!("{{\"sparse_vectors\":{{{}:{{}}}}}}", self.vector_field)))
    }

    fn query(
        &self,
        vector: &SparseVector,
        _: Terms,
        k: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        let (name, arrays) = (&self.vector_field, json::arrays(vector));
        Ok(Some(format!("{{\"query\":{arrays},\"using\":{name},\"limit\":{k},\"with_payload\":true}}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The UUIDs are Python's: uuid.uuid5(uuid.NAMESPACE_OID, "MED-1").
    #[test]
    fn digits_are_numbers_and_other_ids_uuids() {
        assert_eq!(point_id("42"), "42");
        assert_eq!(point_id("18446744073709551615"), "18446744073709551615");
        let uuid = "\"0a0cb5a9-8d3f-5f7b-9d0e-000000000000\"";
        assert_eq!(point_id(&uuid[1..37]), uuid, "a UUID stays");
        // Qdrant reads ids with `Uuid::parse_str`, which takes them all.
        for spelling in [
            "0A0CB5A9-8D3F-5F7B-9D0E-000000000000",
            "0a0cb5a98d3f5f7b9d0e000000000000",
            "{0a0cb5a9-8D3F-5f7b-9d0e-000000000000}",
            "urn:uuid:0a0cb5a9-8d3f-5f7b-9d0e-000000000000",
        ] {
            assert_eq!(point_id(spelling), uuid, "{spelling}");
        }
        for other in ["18446744073709551616", "042", "-1", "1.0", "MED-1", "urn:uuid:0a0cb5a9"] {
            assert_eq!(point_id(other).len(), 38, "{other}");
            assert_ne!(point_id(other)[1..37], *other);
        }
        assert_eq!(point_id("MED-1"), "\"809ec0f7-56f8-5ae8-9ba1-5f0a76d620ea\"");
    }
}
