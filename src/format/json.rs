//! The pieces of JSON that most stores share.

use serde_json::Value;

use super::Terms;
use crate::sparse::SparseVector;

/// A string of JSON.
pub(super) fn string(text: &str) -> String {
    Value::from(text).to_string()
}

/// Appends the shortest decimal that reads back to the same f32.
pub(super) fn write_f32(out: &mut Vec<u8>, value: f32) {
    serde_json::to_writer(out, &value).expect("memory takes everything");
}

/// Appends `{"term":weight,…}`, heaviest first, ties by ascending id.
pub fn write_by_name(out: &mut Vec<u8>, vector: &SparseVector, terms: Terms) {
    write_object(out, vector, |out, index| {
        serde_json::to_writer(out, terms.name(index)).expect("memory takes everything");
    });
}

/// Appends `{"id":weight,…}`, heaviest first, ties by ascending id.
pub(super) fn write_by_id(out: &mut Vec<u8>, vector: &SparseVector) {
    write_object(out, vector, |out, index| out.extend_from_slice(format!("\"{index}\"").as_bytes()));
}

fn write_object(out: &mut Vec<u8>, vector: &SparseVector, mut write_key: impl FnMut(&mut Vec<u8>, u32)) {
    out.push(b'{');
    for (count, (index, weight)) in vector.heaviest_first().into_iter().enumerate() {
        if count > 0 {
            out.push(b',');
        }
        write_key(out, index);
        out.push(b':');
        write_f32(out, weight);
    }
    out.push(b'}');
}

/// Appends `{"indices":[…],"values":[…]}`, by ascending id.
pub(super) fn write_arrays(out: &mut Vec<u8>, vector: &SparseVector) {
    out.extend_from_slice(b"{\"indices\":");
    serde_json::to_writer(&mut *out, vector.indices()).expect("memory takes everything");
    out.extend_from_slice(b",\"values\":");
    serde_json::to_writer(&mut *out, vector.weights()).expect("memory takes everything");
    out.push(b'}');
}

/// [`write_by_name`] as text.
pub(super) fn by_name(vector: &SparseVector, terms: Terms) -> String {
    text(|out| write_by_name(out, vector, terms))
}

/// [`write_by_id`] as text.
pub(super) fn by_id(vector: &SparseVector) -> String {
    text(|out| write_by_id(out, vector))
}

/// [`write_arrays`] as text.
pub(super) fn arrays(vector: &SparseVector) -> String {
    text(|out| write_arrays(out, vector))
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).expect("JSON, anything else is a bug")
}

/// A body as a person reads it, and a client sends it.
pub(super) fn pretty(body: &str) -> String {
    let value: Value = serde_json::from_str(body).expect("JSON, anything else is a bug");
    serde_json::to_string_pretty(&value).expect("JSON, anything else is a bug")
}
