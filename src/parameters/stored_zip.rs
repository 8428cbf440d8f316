//! The entries of a zip archive that stores them as they are, which is how PyTorch saves a checkpoint.
//!
//! Only what such an archive needs: the central directory, with the 64-bit extension, and entries without compression.
//! Source: PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.

use std::collections::BTreeMap;
use std::ops::Range;

/// More entries than any checkpoint has.
const MAX_ENTRIES: u64 = 1 << 17;

const END_OF_DIRECTORY: u32 = 0x0605_4b50;
const END_OF_DIRECTORY_64: u32 = 0x0606_4b50;
const LOCATOR_64: u32 = 0x0706_4b50;
const DIRECTORY_ENTRY: u32 = 0x0201_4b50;
const LOCAL_HEADER: u32 = 0x0403_4b50;

/// Where the bytes of each entry lie in the file, by the entry's name.
///
/// # Errors
///
/// What is wrong in the archive, in words: compressed or encrypted entries as well.
pub(super) fn stored_entries(file: &[u8]) -> Result<BTreeMap<String, Range<usize>>, String> {
    let end = find_end(file).ok_or("no zip archive, or one that was cut off")?;
    let (count, start) = directory(file, end)?;
    if count > MAX_ENTRIES {
        return Err(format!("a zip archive of {count} entries; {MAX_ENTRIES} at most are read"));
    }
    let mut entries = BTreeMap::new();
    let mut at = start;
    for _ in 0..count {
        let (name, bytes, next) = entry(file, at).ok_or("the directory of the zip archive is damaged")??;
        if let Some(_earlier) = entries.insert(name.clone(), bytes) {
            return Err(format!("two entries of the zip archive are called `{}`", name.escape_debug()));
        }
        at = next;
    }
    Ok(entries)
}

/// The record that every zip archive ends with, before a comment of at most 65,535 bytes.
fn find_end(file: &[u8]) -> Option<usize> {
    let last = file.len().checked_sub(22)?;
    (last.saturating_sub(0xffff)..=last)
        .rev()
        .find(|&at| number::<4>(file, at) == Some(END_OF_DIRECTORY.into()))
}

/// The number of entries, and where their directory begins.
fn directory(file: &[u8], end: usize) -> Result<(u64, usize), String> {
    let damaged = "the end of the zip archive is damaged";
    let locator = end.checked_sub(20).filter(|&at| number::<4>(file, at) == Some(LOCATOR_64.into()));
    let found = match locator {
        Some(locator) => number::<8>(file, locator + 8)
            .and_then(|at| usize::try_from(at).ok())
            .filter(|&at| number::<4>(file, at) == Some(END_OF_DIRECTORY_64.into()))
            .and_then(|at| {
                Some((number::<8>(file, at.checked_add(32)?)?, number::<8>(file, at.checked_add(48)?)?))
            }),
        None => number::<2>(file, end + 10).zip(number::<4>(file, end + 16)),
    };
    let (count, start) = found.ok_or(damaged)?;
    Ok((count, usize::try_from(start).map_err(|_| damaged)?))
}

/// The name and the bytes of the entry whose record in the directory begins at `at`, and where the next record begins.
///
/// `None` where a record does not fit the file.
#[allow(clippy::type_complexity)]
fn entry(file: &[u8], at: usize) -> Option<Result<(String, Range<usize>, usize), String>> {
    let field = |offset: usize| at.checked_add(offset);
    if number::<4>(file, at)? != u64::from(DIRECTORY_ENTRY) {
        return None;
    }
    let flags = number::<2>(file, field(8)?)?;
    let method = number::<2>(file, field(10)?)?;
    let [compressed, size] = [number::<4>(file, field(20)?)?, number::<4>(file, field(24)?)?];
    let [name_len, extra_len, comment_len] =
        [28, 30, 32].map(|offset| field(offset).and_then(|at| number::<2>(file, at)));
    let (name_len, extra_len) = (name_len? as usize, extra_len? as usize);
    let offset = number::<4>(file, field(42)?)?;
    let name_at = field(46)?;
    let extra_at = name_at.checked_add(name_len)?;
    let name = std::str::from_utf8(file.get(name_at..extra_at)?).ok()?.to_string();
    let extra = file.get(extra_at..extra_at.checked_add(extra_len)?)?;
    let next = extra_at + extra_len + comment_len? as usize;
    let [size, compressed, offset] = widened(extra, [size, compressed, offset])?;
    let shown = name.escape_debug();
    if flags & 1 != 0 {
        return Some(Err(format!("`{shown}` of the zip archive is encrypted")));
    }
    if method != 0 || compressed != size {
        return Some(Err(format!("`{shown}` of the zip archive is compressed, which PyTorch never does")));
    }
    // The local header repeats the name, with extra fields of its own: PyTorch pads there.
    let local = usize::try_from(offset).ok()?;
    if number::<4>(file, local)? != u64::from(LOCAL_HEADER) {
        return None;
    }
    let lengths = [number::<2>(file, local.checked_add(26)?)?, number::<2>(file, local.checked_add(28)?)?];
    let start = local.checked_add(30 + lengths[0] as usize + lengths[1] as usize)?;
    let end = start.checked_add(usize::try_from(size).ok()?)?;
    if end > file.len() {
        return Some(Err(format!("`{shown}` of the zip archive goes beyond the end of the file")));
    }
    Some(Ok((name, start..end, next)))
}

/// Replaces each value that says "see the 64-bit extension" by what that holds, in its order.
fn widened(mut extra: &[u8], mut values: [u64; 3]) -> Option<[u64; 3]> {
    if values.iter().all(|value| *value != u64::from(u32::MAX)) {
        return Some(values);
    }
    while !extra.is_empty() {
        let (id, size) = (number::<2>(extra, 0)?, number::<2>(extra, 2)? as usize);
        let field = extra.get(4..4 + size)?;
        if id == 1 {
            let mut at = 0;
            for value in values.iter_mut().filter(|value| **value == u64::from(u32::MAX)) {
                *value = number::<8>(field, at)?;
                at += 8;
            }
            return Some(values);
        }
        extra = &extra[4 + size..];
    }
    None
}

/// A number of N bytes, the lowest first.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(N)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A zip archive that stores these entries, as `zip -0` writes it.
    pub fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut file, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in entries {
            let offset = file.len() as u32;
            let size = (bytes.len() as u32).to_le_bytes();
            let shared = |record: &mut Vec<u8>| {
                record.extend([20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                record.extend(size);
                record.extend(size);
                record.extend((name.len() as u16).to_le_bytes());
                record.extend([0, 0]);
            };
            file.extend(LOCAL_HEADER.to_le_bytes());
            shared(&mut file);
            file.extend(name.as_bytes());
            file.extend(*bytes);
            directory.extend(DIRECTORY_ENTRY.to_le_bytes());
            directory.extend([20, 0]);
            shared(&mut directory);
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let start = file.len() as u32;
        file.extend(&directory);
        file.extend(END_OF_DIRECTORY.to_le_bytes());
        file.extend([0; 4]);
        file.extend([(entries.len() as u16).to_le_bytes(); 2].concat());
        file.extend((directory.len() as u32).to_le_bytes());
        file.extend(start.to_le_bytes());
        file.extend([0, 0]);
        file
    }

    #[test]
    fn entries_lie_where_the_directory_says() {
        let file = archive(&[("a/data.pkl", b"pickle"), ("a/data/0", b"\x01\x02"), ("a/empty", b"")]);
        let entries = stored_entries(&file).expect("a sound archive");
        assert_eq!(&file[entries["a/data.pkl"].clone()], b"pickle");
        assert_eq!(&file[entries["a/data/0"].clone()], b"\x01\x02");
        assert_eq!(entries["a/empty"].len(), 0);
    }

    #[test]
    fn what_is_no_plain_archive_is_refused() {
        let sound = archive(&[("a", b"12345678")]);
        let directory = sound.len() - 22 - 47;
        let with = |at: usize, value: u8| {
            let mut file = sound.clone();
            file[at] = value;
            stored_entries(&file).expect_err("not a sound archive")
        };
        assert!(with(directory + 10, 8).contains("compressed"));
        assert!(with(directory + 8, 1).contains("encrypted"));
        assert!(with(directory + 27, 0x7f).contains("compressed"), "sizes that differ");
        assert!(with(directory, 0).contains("damaged"));
        assert!(with(0, 0).contains("damaged"));
        assert!(stored_entries(&archive(&[("a", b"1"), ("a", b"2")]))
            .expect_err("twice")
            .contains("two entries"));
        // Every cut and every changed byte: an answer, and no panic.
        for length in 0..sound.len() {
            assert!(stored_entries(&sound[..length]).is_err());
        }
        for at in 0..sound.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut file = sound.clone();
                file[at] = value;
                let _ = stored_entries(&file);
            }
        }
    }
}
