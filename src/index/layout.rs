//! The file, byte by byte.
//!
//! All numbers are little-endian. The file is a header of 256 bytes and sections behind it, each at a multiple of 64
//! bytes, in the order of [`Section`], with zeros between them.
//!
//! # Header
//!
//! | bytes | what |
//! | --- | --- |
//! | 0 … 7 | `NSINDEX` and a line feed |
//! | 8 … 11 | u32: version of this specification, 1 |
//! | 12 … 15 | u32: how weights are written, [`Codec::code`](super::Codec) |
//! | 16 … 23 | u64: N, documents; at most 2³² - 1 |
//! | 24 … 31 | u64: V, terms; at most 2³² - 1 |
//! | 32 … 39 | u64: P, postings of all lists |
//! | 40 … 47 | u64: S, segments of all lists |
//! | 48 … 55 | u64: bytes of the file |
//! | 56 … 59 | u32: CRC-32 of the section of checksums |
//! | 64 … 255 | for each section u64: its first byte, u64: its bytes; then zeros |
//! | 252 … 255 | u32: CRC-32 of the 252 bytes before |
//!
//! # Sections
//!
//! | section | what |
//! | --- | --- |
//! | metadata | an object of JSON: who made the index, of what |
//! | term places | u64 (V + 1): where each term begins among the term bytes, and where the last one ends |
//! | term bytes | the terms in UTF-8, ascending |
//! | id places, id bytes | the same for the ids of the documents, each a string or a number of JSON |
//! | field places, field bytes | the same for their fields, each an object of JSON |
//! | lists | for each term 32 bytes: u64: its first segment, u64: its first posting, u32: its segments, u32: its postings, f32: its largest weight, f32: the unit of its weights |
//! | documents | u16 (P): the document of each posting, counted from the first document of its segment's window |
//! | weights | (P): the weight of each posting, as the codec writes it |
//! | segments | for each 12 bytes: u32: its window, u32: postings of its list up to its end, f32: its largest weight |
//! | checksums | u32: the CRC-32 of each 65,536 bytes of the file between the header and this section, the last ones fewer |
//!
//! A list is the documents that have a term, ascending. Documents are divided into windows of [`WINDOW`]; the postings of
//! a list that lie in one window are a segment, and a window in which the term does not occur has none.

/// Documents of a window.
pub(super) const WINDOW: usize = 1 << 12;

pub(super) const MAGIC: &[u8; 8] = b"NSINDEX\n";
/// The version of the file that this program writes and reads.
pub const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 256;

/// Bytes of a checksum.
pub(super) const BLOCK_BYTES: usize = 1 << 16;

/// Where sections begin.
pub(super) const ALIGNMENT: u64 = 64;

const NUM_SECTIONS: usize = 11;

/// Bytes of a list's and of a segment's entry.
pub(super) const LIST_BYTES: usize = 32;
pub(super) const SEGMENT_BYTES: usize = 12;

/// A section, by its place in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Metadata,
    TermPlaces,
    TermBytes,
    IdPlaces,
    IdBytes,
    FieldPlaces,
    FieldBytes,
    Lists,
    Documents,
    Weights,
    Segments,
}

/// What the header says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub codec: u32,
    pub num_documents: u64,
    pub num_terms: u64,
    pub num_postings: u64,
    pub num_segments: u64,
    pub file_bytes: u64,
    pub checksums_crc: u32,
    /// First byte and bytes of each section; the checksums stand behind the last one.
    pub sections: [(u64, u64); NUM_SECTIONS],
}

impl Header {
    pub fn section(&self, section: Section) -> (u64, u64) {
        self.sections[section as usize]
    }

    /// Where the section of checksums begins.
    pub fn checksums_start(&self) -> u64 {
        let (start, bytes) = self.section(Section::Segments);
        (start.saturating_add(bytes)).next_multiple_of(ALIGNMENT)
    }

    pub fn to_bytes(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.codec.to_le_bytes());
        let numbers =
            [self.num_documents, self.num_terms, self.num_postings, self.num_segments, self.file_bytes];
        for (place, number) in bytes[16..56].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(&self.checksums_crc.to_le_bytes());
        let numbers = self.sections.iter().flat_map(|&(start, length)| [start, length]);
        for (place, number) in bytes[64..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header; the error is what is wrong with it, and whether the file is damaged or no index at all.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Err(HeaderFault::Foreign("it is shorter than the header of an index".into()));
        };
        if bytes[..8] != *MAGIC {
            return Err(HeaderFault::Foreign("it does not begin as an index does".into()));
        }
        let word = |place: usize| {
            u32::from_le_bytes([bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]])
        };
        let number = |place: usize| u64::from(word(place)) | u64::from(word(place + 4)) << 32;
        // Before the checksum: another version may have it elsewhere.
        if word(8) != VERSION {
            let found = word(8);
            return Err(HeaderFault::Foreign(format!("its version is {found}, this program's is {VERSION}")));
        }
        if crc32fast::hash(&bytes[..HEADER_BYTES - 4]) != word(HEADER_BYTES - 4) {
            return Err(HeaderFault::Damaged("the checksum of its header does not match".into()));
        }
        let mut sections = [(0, 0); NUM_SECTIONS];
        for (index, section) in sections.iter_mut().enumerate() {
            *section = (number(64 + 16 * index), number(72 + 16 * index));
        }
        Ok(Header {
            codec: word(12),
            num_documents: number(16),
            num_terms: number(24),
            num_postings: number(32),
            num_segments: number(40),
            file_bytes: number(48),
            checksums_crc: word(56),
            sections,
        })
    }
}

/// What is wrong with a header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Foreign(String),
    Damaged(String),
}

/// What is known of a list without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct ListEntry {
    pub first_segment: u64,
    pub first_posting: u64,
    pub num_segments: u32,
    pub num_postings: u32,
    pub max_weight: f32,
    /// What stored weights are multiples of, for codecs that have such a unit.
    pub unit: f32,
}

impl ListEntry {
    pub fn to_bytes(self) -> [u8; LIST_BYTES] {
        let mut bytes = [0; LIST_BYTES];
        bytes[..8].copy_from_slice(&self.first_segment.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first_posting.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.num_segments.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.num_postings.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.max_weight.to_le_bytes());
        bytes[28..].copy_from_slice(&self.unit.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8; LIST_BYTES]) -> Self {
        let word = |place: usize| {
            u32::from_le_bytes([bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]])
        };
        let number = |place: usize| u64::from(word(place)) | u64::from(word(place + 4)) << 32;
        ListEntry {
            first_segment: number(0),
            first_posting: number(8),
            num_segments: word(16),
            num_postings: word(20),
            max_weight: f32::from_bits(word(24)),
            unit: f32::from_bits(word(28)),
        }
    }
}

/// The postings of a list that lie in one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SegmentEntry {
    pub window: u32,
    /// Postings of the list up to the end of the segment.
    pub end: u32,
    pub max_weight: f32,
}

impl SegmentEntry {
    pub fn to_bytes(self) -> [u8; SEGMENT_BYTES] {
        let mut bytes = [0; SEGMENT_BYTES];
        bytes[..4].copy_from_slice(&self.window.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.end.to_le_bytes());
        bytes[8..].copy_from_slice(&self.max_weight.to_le_bytes());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        let word = |place: usize| {
            u32::from_le_bytes([bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]])
        };
        SegmentEntry { window: word(0), end: word(4), max_weight: f32::from_bits(word(8)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_any_changed_bit_is_noticed() {
        let mut header = Header { codec: 1, num_documents: 5, file_bytes: 1 << 40, ..Header::default() };
        header.sections[10] = (u64::MAX, 7);
        let bytes = header.to_bytes();
        assert_eq!(Header::from_bytes(&bytes), Ok(header));
        for bit in 0..HEADER_BYTES * 8 {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::from_bytes(&damaged).is_err(), "bit {bit}");
        }
        assert!(Header::from_bytes(&bytes[..HEADER_BYTES - 1]).is_err());
    }
}
