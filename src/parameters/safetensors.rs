//! The header of a safetensors file, checked against the file before anything is made of it.
//!
//! Source: the format section of safetensors' README. 8 bytes with the length of the header, a JSON object that gives
//! each tensor's dtype, shape and range of bytes, then the bytes of all tensors without a hole.

use std::collections::btree_map::{BTreeMap, Entry as Slot};
use std::fmt;

use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::Deserialize;

use super::stored::{Dtype, StoredTensor, MAX_DIMENSIONS, MAX_TENSORS};

/// The longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// The tensors that a file holds, by name.
///
/// * `bytes`: the whole file, the checkpoint's `file`-th.
///
/// # Errors
///
/// What is wrong in it, in words.
pub(super) fn read_header(bytes: &[u8], file: usize) -> Result<BTreeMap<String, StoredTensor>, String> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or("the file is shorter than 8 bytes")?;
    let length = u64::from_le_bytes(*length);
    if length > MAX_HEADER_BYTES || length > rest.len() as u64 {
        return Err(format!("a header of {length} bytes in a file of {}", bytes.len()));
    }
    let (header, data) = rest.split_at(length as usize);
    let Header(entries) =
        serde_json::from_slice(header).map_err(|error| format!("the header cannot be read: {error}"))?;
    let start = bytes.len() - data.len();
    let mut tensors = BTreeMap::new();
    for (name, entry) in entries {
        let tensor = entry
            .checked(data.len(), start, file)
            .map_err(|reason| format!("`{}` {reason}", name.escape_debug()))?;
        tensors.insert(name, tensor);
    }
    insist_on_no_hole(&tensors, start, bytes.len())?;
    Ok(tensors)
}

/// Every byte belongs to one tensor, as the format wants it.
fn insist_on_no_hole(
    tensors: &BTreeMap<String, StoredTensor>,
    start: usize,
    end: usize,
) -> Result<(), String> {
    let mut in_order: Vec<(&String, &StoredTensor)> = tensors.iter().collect();
    in_order.sort_by_key(|(_, tensor)| (tensor.bytes.start, tensor.bytes.end));
    let mut at = start;
    for (name, tensor) in in_order {
        if tensor.bytes.start != at {
            let what =
                if tensor.bytes.start < at { "overlaps another tensor" } else { "begins after a hole" };
            return Err(format!("`{}` {what}", name.escape_debug()));
        }
        at = tensor.bytes.end;
    }
    match at == end {
        true => Ok(()),
        false => Err(format!("{} bytes belong to no tensor", end - at)),
    }
}

/// Each tensor's entry.
struct Header(BTreeMap<String, Entry>);

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl Entry {
    fn checked(&self, data_len: usize, start: usize, file: usize) -> Result<StoredTensor, String> {
        let dtype = dtype(&self.dtype).ok_or_else(|| format!("has the unknown dtype `{}`", self.dtype))?;
        if self.shape.len() > MAX_DIMENSIONS {
            return Err(format!("has {} dimensions", self.shape.len()));
        }
        let (from, to) = self.data_offsets;
        if from > to || to > data_len as u64 {
            return Err(format!("lies at {from}..{to} of {data_len} bytes"));
        }
        let elements = self.shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size));
        let bits = elements.and_then(|elements| elements.checked_mul(dtype.bits()));
        // `to - from` is at most the length of the file, so eight times that fits a u64.
        if bits != (to - from).checked_mul(8) {
            let (shape, name, bytes) = (&self.shape, dtype.name(), to - from);
            return Err(format!("has the shape {shape:?} of {name}, but {bytes} bytes"));
        }
        // Elements of no bytes may still be many along one dimension.
        let shape: Result<Vec<usize>, _> = self.shape.iter().map(|&size| usize::try_from(size)).collect();
        Ok(StoredTensor {
            dtype,
            shape: shape.map_err(|_| format!("has the shape {:?}", self.shape))?,
            strides: None,
            file,
            bytes: start + from as usize..start + to as usize,
        })
    }
}

/// The dtypes of safetensors 0.8.
fn dtype(name: &str) -> Option<Dtype> {
    const OTHER: [Dtype; 19] = [
        Dtype::Other("BOOL", 8),
        Dtype::Other("U8", 8),
        Dtype::Other("I8", 8),
        Dtype::Other("U16", 16),
        Dtype::Other("I16", 16),
        Dtype::Other("U32", 32),
        Dtype::Other("I32", 32),
        Dtype::Other("U64", 64),
        Dtype::Other("I64", 64),
        Dtype::Other("C64", 64),
        Dtype::Other("F8_E5M2", 8),
        Dtype::Other("F8_E4M3", 8),
        Dtype::Other("F8_E8M0", 8),
        Dtype::Other("F8_E4M3FNUZ", 8),
        Dtype::Other("F8_E5M2FNUZ", 8),
        Dtype::Other("F6_E2M3", 6),
        Dtype::Other("F6_E3M2", 6),
        Dtype::Other("F4", 4),
        Dtype::Other("F4_E2M1", 4),
    ];
    match name {
        "F64" => Some(Dtype::F64),
        "F32" => Some(Dtype::F32),
        "F16" => Some(Dtype::F16),
        "BF16" => Some(Dtype::Bf16),
        other => OTHER.into_iter().find(|dtype| dtype.name() == other),
    }
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if entries.len() == MAX_TENSORS {
                return Err(A::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            }
            match entries.entry(name) {
                Slot::Vacant(slot) => slot.insert(map.next_value()?),
                Slot::Occupied(slot) => {
                    let name = slot.key().escape_debug();
                    return Err(A::Error::custom(format_args!("two tensors are called `{name}`")));
                }
            };
        }
        Ok(Header(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: usize) -> Vec<u8> {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend(std::iter::repeat_n(0, data));
        bytes
    }

    #[test]
    fn a_header_gives_every_tensor_its_bytes() {
        let header = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,3],"data_offsets":[8,20]},
            "a":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}"#;
        let bytes = file(header, 20);
        let tensors = read_header(&bytes, 3).expect("a sound file");
        let end = bytes.len();
        assert_eq!(tensors["b"].bytes, end - 12..end);
        assert_eq!((tensors["b"].dtype, tensors["b"].shape.as_slice()), (Dtype::F16, [2, 3].as_slice()));
        assert_eq!((tensors["a"].dtype, tensors["a"].file), (Dtype::Other("I64", 64), 3));
    }

    #[test]
    fn what_does_not_fit_the_file_is_refused_in_one_line() {
        let one = |entry: &str| format!(r#"{{"t":{entry}}}"#);
        for (header, data, says) in [
            (
                one(r#"{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}"#),
                8,
                "but 8 bytes",
            ),
            (one(r#"{"dtype":"F32","shape":[1073741824],"data_offsets":[0,4294967296]}"#), 8, "of 8 bytes"),
            (one(r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#), 8, "lies at 8..0"),
            (one(r#"{"dtype":"F32","shape":[3],"data_offsets":[0,8]}"#), 8, "has the shape [3] of f32"),
            (one(r#"{"dtype":"F32","shape":[-1],"data_offsets":[0,8]}"#), 8, "invalid value"),
            (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#), 8, "begins after a hole"),
            (one(r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#), 8, "4 bytes belong to no tensor"),
            (one(r#"{"dtype":"F33","shape":[1],"data_offsets":[0,4]}"#), 4, "unknown dtype `F33`"),
            (one(r#"{"dtype":"F4","shape":[3],"data_offsets":[0,2]}"#), 2, "has the shape [3] of F4"),
            (one(r#"{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}"#), 1, "9 dimensions"),
            (
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                    "b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#
                    .into(),
                3,
                "`b` overlaps",
            ),
            (
                r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},
                    "a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#
                    .into(),
                2,
                "two tensors are called `a`",
            ),
            ("[1]".into(), 0, "cannot be read"),
            ("".into(), 0, "cannot be read"),
        ] {
            let error = read_header(&file(&header, data), 0).expect_err(&header);
            assert!(error.contains(says) && !error.contains('\n'), "{header}: {error}");
        }
        let sound = file(r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}"#, 2);
        for (at, value) in (0..sound.len()).flat_map(|at| (0..=255).map(move |value| (at, value))) {
            let mut bytes = sound.clone();
            bytes[at] = value;
            // An answer, and no panic.
            let _ = read_header(&bytes, 0);
            let _ = read_header(&sound[..at], 0);
        }
        let mut bytes = file("{}", 0);
        bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(read_header(&bytes, 0).expect_err("too long").contains("a header of 18446744073709551615"));
        assert!(read_header(&bytes[..7], 0).expect_err("too short").contains("shorter than 8"));
    }
}
