//! Opens an index and reads what stands in it. Nothing is used before its checksum was seen to match.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use bytemuck::Pod;
use memmap2::Mmap;

use super::codec::Codec;
use super::document::{id_json, object_json, DocumentId, JsonObject};
use super::layout::{
    Header, HeaderFault, Section, ALIGNMENT, BLOCK_BYTES, HEADER_BYTES, LIST_BYTES, SEGMENT_BYTES,
};
use super::IndexError;
use crate::source::mmap::map_file;
use crate::sparse::SparseVector;

/// An index that is open for reading, by any number of threads.
#[derive(Debug)]
pub struct InvertedIndex {
    file: String,
    bytes: Mmap,
    pub(super) header: Header,
    pub(super) codec: Codec,
    /// For each block of the file, whether its checksum was seen to match.
    checked: Vec<AtomicU8>,
    /// For each term, whether its list was seen to be one that a builder writes.
    pub(super) checked_lists: Vec<AtomicU8>,
}

/// An index in figures.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexInfo {
    /// Bytes of the file.
    pub bytes: u64,
    /// Documents.
    pub documents: u64,
    /// Terms that any document has.
    pub terms: u64,
    /// Terms of all documents.
    pub postings: u64,
    /// How weights are kept.
    pub codec: Codec,
    /// Bytes of documents and weights in all lists, and of what leads to them.
    pub list_bytes: u64,
    /// Bytes of ids and fields.
    pub document_bytes: u64,
}

/// The name of an index in a folder of its own.
pub const FILE_NAME: &str = "index.nsi";

impl InvertedIndex {
    /// [`InvertedIndex::open`] of the index in a folder, which has the name [`FILE_NAME`].
    ///
    /// # Errors
    ///
    /// Those of [`InvertedIndex::open`].
    pub fn open_folder(folder: &Path) -> Result<Self, IndexError> {
        InvertedIndex::open(&folder.join(FILE_NAME))
    }

    /// Opens the file; its header is checked now, everything else when it is first needed.
    ///
    /// # Errors
    ///
    /// An [`IndexError`] that says whether the file cannot be read, is no index, or is a damaged one.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let file = path.display().to_string();
        let read = |source| IndexError::Read { file: file.clone(), source };
        let opened = File::open(path).map_err(read)?;
        if !opened.metadata().map_err(read)?.is_file() {
            return Err(IndexError::Foreign { file, reason: "it is not a regular file".into() });
        }
        let bytes = map_file(&opened).map_err(read)?;
        let header = Header::from_bytes(&bytes).map_err(|fault| match fault {
            HeaderFault::Foreign(reason) => IndexError::Foreign { file: file.clone(), reason },
            HeaderFault::Damaged(reason) => IndexError::Damaged { file: file.clone(), reason },
        })?;
        let Some(codec) = Codec::of_code(header.codec) else {
            let reason =
                format!("its weights are written with codec {}, which it does not know", header.codec);
            return Err(IndexError::Foreign { file, reason });
        };
        let mut index =
            InvertedIndex { file, bytes, header, codec, checked: Vec::new(), checked_lists: Vec::new() };
        index.check_sections().map_err(|reason| index.damaged(reason))?;
        let checksums = index.checksums();
        if crc32fast::hash(checksums) != index.header.checksums_crc {
            return Err(index.damaged("the checksum of its checksums does not match".into()));
        }
        index.checked = (0..checksums.len() / 4).map(|_| AtomicU8::new(0)).collect();
        index.checked_lists = (0..index.num_terms()).map(|_| AtomicU8::new(0)).collect();
        Ok(index)
    }

    /// That every section lies within the file and is as large as what it holds.
    fn check_sections(&self) -> Result<(), String> {
        let (header, length) = (&self.header, self.bytes.len() as u64);
        if length != header.file_bytes {
            return Err(format!("it has {length} bytes, {} were written", header.file_bytes));
        }
        let times = |count: u64, bytes: u64| count.checked_mul(bytes).ok_or("a section larger than any file");
        let places = |count: u64| times(count.checked_add(1).ok_or("too many texts")?, 8);
        let weight_bytes = self.codec.weight_bytes() as u64;
        let sized = [
            (Section::TermPlaces, places(header.num_terms)?),
            (Section::IdPlaces, places(header.num_documents)?),
            (Section::FieldPlaces, places(header.num_documents)?),
            (Section::Lists, times(header.num_terms, LIST_BYTES as u64)?),
            (Section::Documents, times(header.num_postings, 2)?),
            (Section::Weights, times(header.num_postings, weight_bytes)?),
            (Section::Segments, times(header.num_segments, SEGMENT_BYTES as u64)?),
        ];
        if sized.into_iter().any(|(section, bytes)| header.section(section).1 != bytes) {
            return Err("a section is not as large as what it holds".into());
        }
        let mut end = HEADER_BYTES as u64;
        for &(start, bytes) in &header.sections {
            let is_next = start == end.next_multiple_of(ALIGNMENT);
            end = start
                .checked_add(bytes)
                .filter(|end| is_next && *end <= length)
                .ok_or("its sections are not in order")?;
        }
        let num_blocks = (header.checksums_start() - HEADER_BYTES as u64).div_ceil(BLOCK_BYTES as u64);
        match header.checksums_start() + 4 * num_blocks == length {
            true => Ok(()),
            false => Err("it has not as many checksums as blocks".into()),
        }
    }

    fn checksums(&self) -> &[u8] {
        &self.bytes[self.header.checksums_start() as usize..]
    }

    pub(super) fn foreign(&self, reason: String) -> IndexError {
        IndexError::Foreign { file: self.file.clone(), reason }
    }

    pub(crate) fn damaged(&self, reason: String) -> IndexError {
        IndexError::Damaged { file: self.file.clone(), reason }
    }

    /// Checks the blocks that hold these bytes of the file, unless they were checked before.
    fn check(&self, start: usize, end: usize) -> Result<(), IndexError> {
        if start >= end {
            return Ok(());
        }
        for block in (start - HEADER_BYTES) / BLOCK_BYTES..=(end - 1 - HEADER_BYTES) / BLOCK_BYTES {
            // The mark guards no other memory: a thread that does not see it checks once more.
            if self.checked[block].load(Ordering::Relaxed) == 0 {
                self.check_block(block)?;
                self.checked[block].store(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn check_block(&self, block: usize) -> Result<(), IndexError> {
        let start = HEADER_BYTES + block * BLOCK_BYTES;
        let end = (start + BLOCK_BYTES).min(self.header.checksums_start() as usize);
        let stored = &self.checksums()[4 * block..4 * block + 4];
        if crc32fast::hash(&self.bytes[start..end]).to_le_bytes() == *stored {
            return Ok(());
        }
        Err(self.damaged(format!("the checksum of its bytes {start} to {} does not match", end - 1)))
    }

    /// Some bytes of a section, checked.
    pub(super) fn part(&self, section: Section, start: u64, length: u64) -> Result<&[u8], IndexError> {
        let (first, bytes) = self.header.section(section);
        let end = start.checked_add(length).filter(|end| *end <= bytes);
        let Some(end) = end else {
            return Err(self.damaged(format!("something is said to lie outside the section {section:?}")));
        };
        let (start, end) = ((first + start) as usize, (first + end) as usize);
        self.check(start, end)?;
        Ok(&self.bytes[start..end])
    }

    /// Numbers of a section, checked; they lie where numbers may, since sections do.
    pub(super) fn numbers<T: Pod>(
        &self,
        section: Section,
        first: u64,
        count: u64,
    ) -> Result<&[T], IndexError> {
        let size = size_of::<T>() as u64;
        let bytes = self.part(section, first.saturating_mul(size), count.saturating_mul(size))?;
        bytemuck::try_cast_slice(bytes).map_err(|error| self.damaged(error.to_string()))
    }

    /// The text number `index` of those that begin at `places`.
    fn text(&self, places: Section, bytes: Section, index: u64) -> Result<&str, IndexError> {
        let [start, end] = *self.numbers::<u64>(places, index, 2)? else {
            return Err(self.damaged("a place is missing".into()));
        };
        let Some(length) = end.checked_sub(start) else {
            return Err(self.damaged("a text ends before it begins".into()));
        };
        std::str::from_utf8(self.part(bytes, start, length)?).map_err(|error| self.damaged(error.to_string()))
    }

    /// Checks everything: every checksum, and that texts and lists are what a builder writes.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`] that names the first bytes whose checksum does not match, or the first thing that no
    /// builder writes.
    pub fn verify(&self) -> Result<(), IndexError> {
        (0..self.checked.len()).try_for_each(|block| self.check_block(block))?;
        self.metadata()?;
        (0..self.num_documents()).try_for_each(|document| {
            self.id_json(document)?;
            self.fields_json(document).map(drop)
        })?;
        let mut earlier: Option<&str> = None;
        for number in 0..self.num_terms() {
            let term = self.term(number)?;
            if earlier.is_some_and(|earlier| earlier.as_bytes() >= term.as_bytes()) {
                return Err(self.damaged(format!("term {number} does not come after the one before")));
            }
            earlier = Some(term);
            self.list(number)?;
        }
        Ok(())
    }

    /// The index in figures.
    pub fn info(&self) -> IndexInfo {
        let bytes =
            |sections: &[Section]| sections.iter().map(|&section| self.header.section(section).1).sum();
        IndexInfo {
            bytes: self.header.file_bytes,
            documents: self.header.num_documents,
            terms: self.header.num_terms,
            postings: self.header.num_postings,
            codec: self.codec,
            list_bytes: bytes(&[Section::Lists, Section::Documents, Section::Weights, Section::Segments]),
            document_bytes: bytes(&[
                Section::IdPlaces,
                Section::IdBytes,
                Section::FieldPlaces,
                Section::FieldBytes,
            ]),
        }
    }

    /// Documents.
    pub fn num_documents(&self) -> u32 {
        // No builder writes more.
        self.header.num_documents.min(u32::MAX.into()) as u32
    }

    /// V.
    pub fn num_terms(&self) -> u32 {
        self.header.num_terms.min(u32::MAX.into()) as u32
    }

    /// How weights are kept.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The metadata that the builder was given.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`], as for everything that is read.
    pub fn metadata(&self) -> Result<JsonObject, IndexError> {
        let bytes = self.part(Section::Metadata, 0, self.header.section(Section::Metadata).1)?;
        let text = std::str::from_utf8(bytes).map_err(|error| self.damaged(error.to_string()))?;
        JsonObject::from_json(text).ok_or_else(|| self.damaged("its metadata is no object".into()))
    }

    /// The id of a document.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn id(&self, document: u32) -> Result<DocumentId, IndexError> {
        Ok(DocumentId::from_checked(self.id_json(document)?.to_string()))
    }

    /// [`InvertedIndex::id`] as JSON, as it was written.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn id_json(&self, document: u32) -> Result<&str, IndexError> {
        let json = self.text(Section::IdPlaces, Section::IdBytes, document.into())?;
        id_json(json)
            .ok_or_else(|| self.damaged(format!("the id of document {document} is neither text nor number")))
    }

    /// The fields of a document.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn fields(&self, document: u32) -> Result<JsonObject, IndexError> {
        Ok(JsonObject::from_checked(self.fields_json(document)?.to_string()))
    }

    /// [`InvertedIndex::fields`] as JSON, as they were written.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn fields_json(&self, document: u32) -> Result<&str, IndexError> {
        let json = self.text(Section::FieldPlaces, Section::FieldBytes, document.into())?;
        object_json(json)
            .ok_or_else(|| self.damaged(format!("the fields of document {document} are no object")))
    }

    /// The name of a term.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn term(&self, number: u32) -> Result<&str, IndexError> {
        self.text(Section::TermPlaces, Section::TermBytes, number.into())
    }

    /// The number of a term, if any document has it.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn number(&self, term: &str) -> Result<Option<u32>, IndexError> {
        let (mut low, mut high) = (0, self.num_terms());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.term(middle)?.as_bytes().cmp(term.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Ok(Some(middle)),
            }
        }
        Ok(None)
    }

    /// A vector over the terms of the index; terms that no document has are left out.
    ///
    /// # Errors
    ///
    /// [`IndexError::Damaged`].
    pub fn vector<'t>(
        &self,
        terms: impl IntoIterator<Item = (&'t str, f32)>,
    ) -> Result<SparseVector, IndexError> {
        let mut pairs = Vec::new();
        for (term, weight) in terms {
            if let Some(number) = self.number(term)? {
                pairs.push((number, weight));
            }
        }
        SparseVector::from_pairs(pairs).ok_or_else(|| self.damaged("two terms have one name".into()))
    }
}
