//! Makes an index of documents, in memory that does not grow with them.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::codec::Codec;
use super::document::{DocumentId, JsonObject};
use super::layout::{
    Header, ListEntry, Section, SegmentEntry, ALIGNMENT, BLOCK_BYTES, HEADER_BYTES, LIST_BYTES, WINDOW,
};
use super::vocabulary::Vocabulary;
use super::BuildError;
use crate::postings::{Inverter, Posting};
use crate::sparse::SparseVector;
use crate::storage::{create_unfinished, folder_of, name_finished, Disk, OutputFile, Storage, BUFFER_BYTES};

/// Builds an index: takes documents in order, and writes the file at the end.
#[derive(Debug)]
pub struct IndexBuilder {
    path: PathBuf,
    folder: PathBuf,
    codec: Codec,
    vocabulary: Vocabulary,
    ids: Texts,
    fields: Texts,
    num_documents: u32,
    num_postings: u64,
    inverter: Inverter,
}

impl IndexBuilder {
    /// Begins an index that will be the file `path`. Until it is complete, only files without a name are in the same
    /// folder.
    ///
    /// * `vocabulary`: the terms of the vectors with their ids, in any order; see [`SparseEncoder::vocabulary`]. The index
    ///   numbers them anew, by ascending bytes, and keeps those that a document has.
    ///
    /// # Errors
    ///
    /// [`BuildError::File`], and [`BuildError::DuplicateTerm`] or [`BuildError::DuplicateId`].
    ///
    /// [`SparseEncoder::vocabulary`]: crate::SparseEncoder::vocabulary
    pub fn new<'a>(
        path: &Path,
        codec: Codec,
        vocabulary: impl IntoIterator<Item = (u32, &'a str)>,
    ) -> Result<Self, BuildError> {
        let folder = folder_of(path);
        Ok(IndexBuilder {
            path: path.to_path_buf(),
            folder: folder.to_path_buf(),
            codec,
            vocabulary: Vocabulary::new(vocabulary)?,
            ids: Texts::new(folder)?,
            fields: Texts::new(folder)?,
            num_documents: 0,
            num_postings: 0,
            inverter: Inverter::new(folder),
        })
    }

    /// Adds the next document.
    ///
    /// * `vector`: over the ids of the vocabulary. A weight that the codec rounds to 0 is left out.
    ///
    /// # Errors
    ///
    /// [`BuildError::UnknownId`] and [`BuildError::TooManyDocuments`], after which the builder is as it was before;
    /// [`BuildError::File`].
    pub fn add(
        &mut self,
        id: &DocumentId,
        fields: &JsonObject,
        vector: &SparseVector,
    ) -> Result<(), BuildError> {
        let document = self.num_documents;
        let num_documents = document.checked_add(1).ok_or(BuildError::TooManyDocuments)?;
        let mut pairs = self.vocabulary.renumber(vector)?;
        self.num_documents = num_documents;
        self.ids.push(id.as_json())?;
        self.fields.push(fields.as_json())?;
        // Every codec can tell what it rounds to 0, although the largest weight of a list is not known yet.
        pairs.retain(|(_, weight)| self.codec.rounded(*weight, *weight) > 0.0);
        let kept = SparseVector::from_pairs(pairs);
        let kept = kept.expect("distinct ids have distinct places, anything else is a bug");
        self.num_postings += kept.len() as u64;
        Ok(self.inverter.add(document, &kept)?)
    }

    /// Writes the file. It appears under its name when it is complete.
    ///
    /// * `metadata`: returned by [`InvertedIndex::metadata`](super::InvertedIndex::metadata).
    ///
    /// # Errors
    ///
    /// [`BuildError::File`]; it says so where another run writes the same file.
    pub fn finish(self, metadata: &JsonObject) -> Result<(), BuildError> {
        self.finish_in(&Disk, metadata)
    }

    /// [`IndexBuilder::finish`] in a storage of the caller's choice.
    pub(crate) fn finish_in(self, storage: &dyn Storage, metadata: &JsonObject) -> Result<(), BuildError> {
        let path = self.path.clone();
        let (unfinished, file) = create_unfinished(storage, &path)?;
        let file = self.write(metadata.as_json(), Sections::create(storage, &unfinished, file)?)?;
        Ok(name_finished(storage, file, &unfinished, &path)?)
    }

    fn write(mut self, metadata: &str, mut file: Sections) -> io::Result<OutputFile> {
        let mut terms = Texts::new(&self.folder)?;
        let mut places = Vec::new();
        for (place, term) in self.vocabulary.used() {
            terms.push(term)?;
            places.push(place);
        }
        let mut header = Header {
            codec: self.codec.code(),
            num_documents: self.num_documents.into(),
            num_terms: places.len() as u64,
            num_postings: self.num_postings,
            ..Header::default()
        };
        file.section(&mut header, Section::Metadata, |out| out.write_all(metadata.as_bytes()))?;
        for (texts, places, bytes) in [
            (&mut terms, Section::TermPlaces, Section::TermBytes),
            (&mut self.ids, Section::IdPlaces, Section::IdBytes),
            (&mut self.fields, Section::FieldPlaces, Section::FieldBytes),
        ] {
            file.section(&mut header, places, |out| copy(texts.ended_places()?, out))?;
            file.section(&mut header, bytes, |out| copy(&mut texts.bytes, out))?;
        }
        // The lists are known when their postings have been written, and those are written side by side.
        let sizes = [
            (Section::Lists, places.len() as u64 * LIST_BYTES as u64),
            (Section::Documents, self.num_postings * 2),
            (Section::Weights, self.num_postings * self.codec.weight_bytes() as u64),
        ];
        for (section, bytes) in sizes {
            file.reserve(&mut header, section, bytes)?;
        }
        let open = |section: Section| file.second_place(header.section(section).0);
        let mut lists = Lists {
            codec: self.codec,
            documents: open(Section::Documents)?,
            weights: open(Section::Weights)?,
            segments: BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(&self.folder)?),
            num_segments: 0,
            num_postings: 0,
        };
        let mut entries = open(Section::Lists)?;
        lists.write(self.inverter, &places, &mut entries)?;
        entries.flush()?;
        lists.documents.flush()?;
        lists.weights.flush()?;
        header.num_segments = lists.num_segments;
        file.section(&mut header, Section::Segments, |out| copy(&mut lists.segments, out))?;
        file.finish(&mut header)
    }
}

/// Texts one after the other, and where each begins.
#[derive(Debug)]
struct Texts {
    places: BufWriter<File>,
    bytes: BufWriter<File>,
    end: u64,
}

impl Texts {
    fn new(folder: &Path) -> io::Result<Self> {
        let file =
            || Ok::<_, io::Error>(BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile_in(folder)?));
        Ok(Texts { places: file()?, bytes: file()?, end: 0 })
    }

    fn push(&mut self, text: &str) -> io::Result<()> {
        self.places.write_all(&self.end.to_le_bytes())?;
        self.bytes.write_all(text.as_bytes())?;
        self.end += text.len() as u64;
        Ok(())
    }

    /// The places, with the end of the last text behind them.
    fn ended_places(&mut self) -> io::Result<&mut BufWriter<File>> {
        self.places.write_all(&self.end.to_le_bytes())?;
        Ok(&mut self.places)
    }
}

/// Copies what has been written to a file, from its beginning.
fn copy(file: &mut BufWriter<File>, out: &mut OutputFile) -> io::Result<()> {
    file.flush()?;
    file.get_mut().rewind()?;
    io::copy(file.get_mut(), out)?;
    Ok(())
}

/// Writes sections one behind the other.
struct Sections<'a> {
    storage: &'a dyn Storage,
    path: &'a Path,
    out: OutputFile,
    end: u64,
}

impl<'a> Sections<'a> {
    /// Begins an empty file, which `path` names in `storage`.
    fn create(storage: &'a dyn Storage, path: &'a Path, mut out: OutputFile) -> io::Result<Self> {
        out.write_all(&[0; HEADER_BYTES])?;
        Ok(Sections { storage, path, out, end: HEADER_BYTES as u64 })
    }

    /// A second place in the file, to write there.
    fn second_place(&self, place: u64) -> io::Result<OutputFile> {
        let mut file = self.storage.reopen(self.path)?;
        file.seek(SeekFrom::Start(place))?;
        Ok(BufWriter::with_capacity(BUFFER_BYTES, file))
    }

    fn section(
        &mut self,
        header: &mut Header,
        section: Section,
        write: impl FnOnce(&mut OutputFile) -> io::Result<()>,
    ) -> io::Result<()> {
        self.align()?;
        write(&mut self.out)?;
        let end = self.out.stream_position()?;
        header.sections[section as usize] = (self.end, end - self.end);
        self.end = end;
        Ok(())
    }

    /// Leaves room for a section that is written otherwise.
    fn reserve(&mut self, header: &mut Header, section: Section, bytes: u64) -> io::Result<()> {
        self.align()?;
        header.sections[section as usize] = (self.end, bytes);
        self.end += bytes;
        self.out.seek(SeekFrom::Start(self.end))?;
        Ok(())
    }

    /// Zeros up to where a section may begin.
    fn align(&mut self) -> io::Result<()> {
        let start = self.end.next_multiple_of(ALIGNMENT);
        self.out.write_all(&[0; ALIGNMENT as usize][..(start - self.end) as usize])?;
        self.end = start;
        Ok(())
    }

    /// Writes the checksums and the header.
    fn finish(mut self, header: &mut Header) -> io::Result<OutputFile> {
        self.align()?;
        self.out.flush()?;
        let mut file = BufReader::with_capacity(BUFFER_BYTES, self.storage.open(self.path)?);
        file.seek(SeekFrom::Start(HEADER_BYTES as u64))?;
        let mut left = self.end - HEADER_BYTES as u64;
        let (mut checksums, mut block) = (Vec::new(), vec![0; BLOCK_BYTES]);
        while left > 0 {
            let length = left.min(BLOCK_BYTES as u64);
            let block = &mut block[..length as usize];
            file.read_exact(block)?;
            checksums.extend_from_slice(&crc32fast::hash(block).to_le_bytes());
            left -= length;
        }
        self.out.write_all(&checksums)?;
        header.checksums_crc = crc32fast::hash(&checksums);
        header.file_bytes = self.end + checksums.len() as u64;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header.to_bytes())?;
        Ok(self.out)
    }
}

/// Where lists are written.
struct Lists {
    codec: Codec,
    documents: OutputFile,
    weights: OutputFile,
    segments: BufWriter<File>,
    num_segments: u64,
    num_postings: u64,
}

impl Lists {
    /// Writes the lists of the terms at `places`, which ascend; a term whose weights all became 0 has an empty list.
    fn write(&mut self, inverter: Inverter, places: &[u32], entries: &mut OutputFile) -> io::Result<()> {
        let mut lists = inverter.finish()?;
        let mut postings = Vec::new();
        let mut next = lists.next(&mut postings)?;
        for &place in places {
            let entry = if next == Some(place) {
                let entry = self.list(&postings)?;
                next = lists.next(&mut postings)?;
                entry
            } else {
                self.list(&[])?
            };
            entries.write_all(&entry.to_bytes())?;
        }
        assert_eq!(next, None, "every posting's term is used, anything else is a bug");
        Ok(())
    }

    fn list(&mut self, postings: &[Posting]) -> io::Result<ListEntry> {
        let largest = postings.iter().map(|posting| posting.weight).fold(0.0, f32::max);
        let unit = self.codec.unit(largest);
        let mut entry = ListEntry {
            first_segment: self.num_segments,
            first_posting: self.num_postings,
            num_postings: postings.len() as u32,
            unit,
            ..ListEntry::default()
        };
        let window = |posting: &Posting| posting.document / WINDOW as u32;
        let mut bytes = Vec::new();
        let mut end = 0;
        for segment in postings.chunk_by(|a, b| window(a) == window(b)) {
            let mut max_weight = 0.0f32;
            bytes.clear();
            for posting in segment {
                let local = posting.document % WINDOW as u32;
                self.documents.write_all(&(local as u16).to_le_bytes())?;
                self.codec.write(posting.weight, unit, &mut bytes);
                max_weight = max_weight.max(self.codec.in_units(posting.weight, unit));
            }
            self.weights.write_all(&bytes)?;
            end += segment.len() as u32;
            let segment = SegmentEntry { window: window(&segment[0]), end, max_weight };
            self.segments.write_all(&segment.to_bytes())?;
            entry.num_segments += 1;
            entry.max_weight = entry.max_weight.max(max_weight);
        }
        self.num_segments += u64::from(entry.num_segments);
        self.num_postings += postings.len() as u64;
        Ok(entry)
    }
}
