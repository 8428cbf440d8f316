//! `pytorch_model.bin`: a zip archive with a pickled state dict and the bytes of each storage.
//!
//! Source: torch/serialization.py, `_save` and `_load`.

use std::collections::BTreeMap;
use std::ops::Range;

use super::pickle::{read_state_dict, PickledTensor};
use super::stored::StoredTensor;
use super::stored_zip::stored_entries;

/// What files begin with that PyTorch wrote before version 1.6: a pickled number, not an archive.
const LEGACY_START: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

/// The tensors that a file holds, by name.
///
/// * `bytes`: the whole file, the checkpoint's `file`-th.
///
/// # Errors
///
/// What is wrong in it, in words.
pub(super) fn read_tensors(bytes: &[u8], file: usize) -> Result<BTreeMap<String, StoredTensor>, String> {
    if bytes.starts_with(LEGACY_START) {
        return Err(
            "is no zip file, but in the format of PyTorch before 1.6: load it with PyTorch and save it as safetensors".into(),
        );
    }
    let entries = stored_entries(bytes)?;
    // All entries lie below one name, which is that of the file when it was saved.
    let mut pickles = entries.keys().filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = match (pickles.next(), pickles.next()) {
        (Some(folder), None) if folder.ends_with('/') => folder,
        (Some(_), _) => return Err("has several pickles".into()),
        (None, _) => return Err("is a zip archive without `data.pkl`: PyTorch did not write it".into()),
    };
    if entries.contains_key(&format!("{folder}constants.pkl")) {
        return Err("is a TorchScript program, whose weights only PyTorch can take out".into());
    }
    match entries.get(&format!("{folder}byteorder")).map(|range| &bytes[range.clone()]) {
        None | Some(b"little") => {}
        Some(b"big") => return Err("has its numbers in big-endian byte order, which is not read".into()),
        Some(_) => return Err("has its numbers in an unknown byte order".into()),
    }
    let pickle = &bytes[entries[&format!("{folder}data.pkl")].clone()];
    let mut tensors = BTreeMap::new();
    for (name, tensor) in read_state_dict(pickle)? {
        let storage = entries.get(&format!("{folder}data/{}", tensor.storage));
        let stored = match storage {
            Some(storage) => placed(&tensor, storage, file),
            None => {
                Err(format!("refers to the storage `{}`, which is not there", tensor.storage.escape_debug()))
            }
        };
        let stored =
            stored.map_err(|reason| format!("has a tensor `{}` that {reason}", name.escape_debug()))?;
        tensors.insert(name, stored);
    }
    Ok(tensors)
}

/// Where a tensor's elements lie in the file, all of them inside its storage.
fn placed(tensor: &PickledTensor, storage: &Range<usize>, file: usize) -> Result<StoredTensor, String> {
    let PickledTensor { dtype, shape, strides, .. } = tensor;
    if tensor.storage_bytes > storage.len() as u64 {
        let (says, has) = (tensor.storage_bytes, storage.len());
        return Err(format!("has a storage of {says} bytes, of which {has} are there"));
    }
    let size = dtype.bits() / 8;
    let elements = shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size as u64));
    // From the first element to the last, in elements.
    let span = match elements {
        Some(0) => Some(0),
        _ => shape.iter().zip(strides).try_fold(1_u64, |span, (&size, &stride)| {
            span.checked_add((size as u64 - 1).checked_mul(stride as u64)?)
        }),
    };
    let range = span.and_then(|span| {
        let start = tensor.offset.checked_mul(size)?;
        Some(start..start.checked_add(span.checked_mul(size)?)?)
    });
    let (Some(elements), Some(range)) = (elements, range.filter(|range| range.end <= tensor.storage_bytes))
    else {
        let (offset, bytes) = (tensor.offset, tensor.storage_bytes);
        return Err(format!(
            "has the shape {shape:?}, the strides {strides:?} and the offset {offset}, but a storage of {bytes} bytes"
        ));
    };
    // An expanded view may be larger than any file; a state dict has no reason to hold one.
    if elements.checked_mul(size).is_none_or(|bytes| bytes > tensor.storage_bytes) {
        return Err(format!("repeats its storage to the shape {shape:?}"));
    }
    Ok(StoredTensor {
        dtype: *dtype,
        strides: (!is_row_major(shape, strides)).then(|| strides.clone()),
        shape: shape.clone(),
        file,
        bytes: storage.start + range.start as usize..storage.start + range.end as usize,
    })
}

/// Whether the elements lie one after the other in row-major order; a dimension of one element may have any stride.
fn is_row_major(shape: &[usize], strides: &[usize]) -> bool {
    if shape.contains(&0) {
        return true;
    }
    let mut step = 1_u64;
    shape.iter().zip(strides).rev().all(|(&size, &stride)| {
        let is_next = size == 1 || stride as u64 == step;
        step = step.saturating_mul(size as u64);
        is_next
    })
}

#[cfg(test)]
mod tests {
    use super::super::pickle::tests::pickled;
    use super::super::stored_zip::tests::archive;
    use super::*;

    fn values(bytes: &[u8], tensors: &BTreeMap<String, StoredTensor>, name: &str) -> Vec<f32> {
        tensors[name].to_f32(bytes).expect("floats")
    }

    #[test]
    fn views_into_one_storage_give_their_own_elements() {
        let pickle = pickled(&[
            ("whole", "FloatStorage", "0", 12, 0, &[3, 4], &[4, 1]),
            ("tied", "FloatStorage", "0", 12, 0, &[3, 4], &[4, 1]),
            ("row", "FloatStorage", "0", 12, 4, &[4], &[1]),
            ("transposed", "FloatStorage", "0", 12, 0, &[4, 3], &[1, 4]),
            ("column", "FloatStorage", "0", 12, 1, &[3, 1], &[4, 7]),
            ("nothing", "FloatStorage", "0", 12, 12, &[0, 4], &[4, 1]),
        ]);
        let storage: Vec<u8> = (0..12).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let bytes = archive(&[("m/data.pkl", &pickle), ("m/byteorder", b"little"), ("m/data/0", &storage)]);
        let tensors = read_tensors(&bytes, 0).expect("a sound file");
        assert_eq!(tensors["tied"], tensors["whole"]);
        assert_eq!(values(&bytes, &tensors, "row"), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(tensors["row"].strides, None);
        let transposed: Vec<f32> = (0..12).map(|i| (i % 3 * 4 + i / 3) as f32).collect();
        assert_eq!(values(&bytes, &tensors, "transposed"), transposed);
        assert_eq!(values(&bytes, &tensors, "column"), [1.0, 5.0, 9.0]);
        assert_eq!(values(&bytes, &tensors, "nothing"), [0.0; 0]);
    }

    #[test]
    fn a_tensor_outside_of_its_storage_is_refused_by_name() {
        let file = |offset: i32, shape: &[i32], strides: &[i32], elements: i32| {
            let pickle = pickled(&[("w", "FloatStorage", "0", elements, offset, shape, strides)]);
            read_tensors(&archive(&[("m/data.pkl", &pickle), ("m/data/0", &[0; 48])]), 0)
        };
        assert!(file(0, &[3, 4], &[4, 1], 12).is_ok());
        for (offset, shape, strides, elements, says) in [
            (1, [3, 4], [4, 1], 12, "the offset 1"),
            (0, [3, 4], [5, 1], 12, "the strides [5, 1]"),
            (0, [4, 4], [4, 1], 12, "the shape [4, 4]"),
            (0, [i32::MAX, i32::MAX], [i32::MAX, i32::MAX], 12, "a storage of 48 bytes"),
            (0, [i32::MAX, 1], [0, 1], 12, "repeats its storage"),
            (0, [3, 4], [4, 1], 13, "52 bytes, of which 48"),
            (-1, [3, 4], [4, 1], 12, "without a sound shape"),
            (0, [3, -4], [4, 1], 12, "without a sound shape"),
        ] {
            let error = file(offset, &shape, &strides, elements).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn other_files_are_refused_for_what_they_are() {
        let pickle = pickled(&[("w", "FloatStorage", "0", 1, 0, &[1], &[1])]);
        for (bytes, says) in [
            (LEGACY_START.to_vec(), "before 1.6"),
            (b"\x80\x02}.".to_vec(), "no zip archive"),
            (archive(&[("m/weights", &[0; 4])]), "without `data.pkl`"),
            (
                archive(&[("m/data.pkl", &pickle), ("m/constants.pkl", b""), ("m/data/0", &[0; 4])]),
                "TorchScript",
            ),
            (
                archive(&[("m/data.pkl", &pickle), ("m/byteorder", b"big"), ("m/data/0", &[0; 4])]),
                "big-endian",
            ),
            (
                archive(&[("m/data.pkl", &pickle), ("m/data/1", &[0; 4])]),
                "`w` that refers to the storage `0`",
            ),
            (archive(&[("m/data.pkl", &pickle), ("n/data.pkl", &pickle)]), "several pickles"),
        ] {
            let error = read_tensors(&bytes, 0).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }
}
