//! The Common Index File Format, which PISA, BMP, Terrier and others read: an inverted index whose weights are integers.
//!
//! A file of protobuf messages, each behind its length: a `Header`, a `PostingsList` for each term by ascending bytes,
//! a `DocRecord` for each document. A posting holds the gap to the document before it. Source: `CommonIndexFileFormat.proto`
//! of osirrc/ciff.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::anserini::repeated;
use super::assembly::{names, Assembly, Collected, CollectedRows};
use super::collection::CollectionTerms;
use super::csr::refuse_fields;
use super::scaled::Scale;
use super::{Compression, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms};
use crate::input::RowError;
use crate::postings::Inverter;
use crate::sparse::SparseVector;
use crate::storage::{OutputFile, Storage};

/// Weights up to 5.1 fit into the 8 bits of BMP.
const DEFAULT_SCALE: f32 = 50.0;

/// The largest weight of BMP.
const MAX_BYTE: f32 = 255.0;

#[derive(Debug)]
struct Ciff {
    scale: Scale,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    refuse_fields(options)?;
    Ok(Box::new(Ciff { scale: Scale(options.scale.unwrap_or(DEFAULT_SCALE)) }))
}

impl Format for Ciff {
    fn keys(&self) -> Keys {
        Keys::Names
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::Scale, FormatOption::Windows]
    }

    fn compression(&self) -> Compression {
        Compression::Nothing
    }

    /// Collects the integers, and with them the names of their terms, with NUL behind each.
    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        findings: &mut Findings,
    ) -> Result<(), RowError> {
        let id = row.id_text();
        if id.contains(['\n', '\r']) {
            return Err(RowError::new(
                "an id with a line break: engines keep the ids of a CIFF file one a line",
            ));
        }
        let mut integers = Vec::new();
        for (index, weight) in row.vector.iter() {
            integers.push((index, self.scale.integer(weight)? as f32));
        }
        let large = integers.iter().filter(|(_, integer)| *integer > MAX_BYTE).count();
        findings.add("weights above 255, which BMP does not hold; a smaller scale makes them fit", large);
        let vector = SparseVector::from_pairs(integers).expect("the ids of a vector, anything else is a bug");
        let names = names(&vector, terms);
        Collected { id, names, vector, ..Collected::default() }.write(out);
        Ok(())
    }

    fn assembly(&self) -> Option<Box<dyn Assembly>> {
        Some(Box::new(CiffFile))
    }

    /// Terms with spaces between them, each repeated as often as its weight says.
    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        _: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        repeated(vector, terms, self.scale).map(Some)
    }
}

#[derive(Debug)]
struct CiffFile;

impl Assembly for CiffFile {
    fn assemble(&self, rows: &CollectedRows, output: &Path) -> io::Result<()> {
        let collection = Collection::measure(rows)?;
        let folder =
            output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut inverter = Inverter::new(folder);
        let mut document = 0;
        rows.each(|row| {
            inverter.add(document, &collection.terms.vector(row))?;
            document += 1;
            Ok(())
        })?;
        rows.write_file(output, |file| {
            collection.write_header(file)?;
            collection.write_postings(inverter, file)?;
            write_documents(rows, file)
        })
    }

    fn results(&self, output: &Path, _: &dyn Storage) -> Vec<PathBuf> {
        vec![output.to_path_buf()]
    }
}

/// What has to be known of a collection before its first list.
#[derive(Default)]
struct Collection {
    num_documents: u64,
    /// The sum of all weights.
    total: u64,
    terms: CollectionTerms,
}

impl Collection {
    fn measure(rows: &CollectedRows) -> io::Result<Self> {
        let (mut num_documents, mut total) = (0, 0);
        let terms = CollectionTerms::read(rows, |row| {
            num_documents += 1;
            total += length(row);
        })?;
        Ok(Collection { num_documents, total, terms })
    }

    fn write_header(&self, file: &mut OutputFile) -> io::Result<()> {
        let (num_terms, num_documents) = (self.terms.names().len() as u64, self.num_documents);
        let mut message = Message::default();
        message.number(1, 1);
        message.number(2, num_terms);
        message.number(3, num_documents);
        message.number(4, num_terms);
        message.number(5, num_documents);
        message.number(6, self.total);
        message.double(7, self.total as f64 / num_documents.max(1) as f64);
        message.text(8, "learned sparse vectors, weights as integers");
        message.write(file)
    }

    fn write_postings(&self, inverter: Inverter, file: &mut OutputFile) -> io::Result<()> {
        let mut lists = inverter.finish()?;
        let mut names = self.terms.names().iter();
        let (mut postings, mut posting) = (Vec::new(), Message::default());
        while lists.next(&mut postings)?.is_some() {
            // Every term is in some document, so lists and names go side by side.
            let name = names.next().expect("a name for each list, anything else is a bug");
            let mut message = Message::default();
            message.text(1, name);
            message.number(2, postings.len() as u64);
            message.number(3, postings.iter().map(|posting| posting.weight as u64).sum());
            let mut before = 0;
            for found in &postings {
                posting.bytes.clear();
                posting.number(1, u64::from(found.document - before));
                posting.number(2, found.weight as u64);
                message.message(4, &posting);
                before = found.document;
            }
            message.write(file)?;
        }
        Ok(())
    }
}

fn write_documents(rows: &CollectedRows, file: &mut OutputFile) -> io::Result<()> {
    let mut document = 0;
    rows.each(|row| {
        let mut message = Message::default();
        message.number(1, document);
        message.text(2, &row.id);
        message.number(3, length(row));
        document += 1;
        message.write(file)
    })
}

/// The sum of a row's weights.
fn length(row: &Collected) -> u64 {
    row.vector.weights().iter().map(|&integer| integer as u64).sum()
}

/// A message of protobuf. What is 0 is left out, as proto3 does.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn number(&mut self, field: u8, number: u64) {
        if number != 0 {
            self.bytes.push(field << 3);
            write_varint(&mut self.bytes, number);
        }
    }

    fn double(&mut self, field: u8, number: f64) {
        self.bytes.push(field << 3 | 1);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn text(&mut self, field: u8, text: &str) {
        self.delimited(field, text.as_bytes());
    }

    fn message(&mut self, field: u8, message: &Message) {
        self.delimited(field, &message.bytes);
    }

    fn delimited(&mut self, field: u8, bytes: &[u8]) {
        self.bytes.push(field << 3 | 2);
        write_varint(&mut self.bytes, bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
    }

    fn write(&self, file: &mut OutputFile) -> io::Result<()> {
        let mut length = Vec::new();
        write_varint(&mut length, self.bytes.len() as u64);
        file.write_all(&length)?;
        file.write_all(&self.bytes)
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    // The examples of protobuf's own description of its encoding.
    #[test]
    fn messages_are_encoded_as_protobuf_says() {
        let mut message = Message::default();
        message.number(1, 150);
        assert_eq!(message.bytes, [0x08, 0x96, 0x01]);
        let mut outer = Message::default();
        outer.text(2, "testing");
        assert_eq!(outer.bytes, [0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67]);
        let mut nested = Message::default();
        nested.message(3, &message);
        nested.number(1, 0);
        assert_eq!(nested.bytes, [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }
}
