//! This program's own inverted index; see [`crate::index`].
//!
//! Rows are collected with the names of their terms: the index numbers the terms that its documents have, by ascending
//! bytes, and needs no vocabulary.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::assembly::{names, Assembly, Collected, CollectedRows};
use super::collection::CollectionTerms;
use super::{as_object, Compression, Findings, Format, FormatOption, Keys, Row, Terms};
use crate::index::{Codec, DocumentId, IndexBuilder, JsonObject};
use crate::input::RowError;
use crate::storage::Storage;

#[derive(Clone)]
struct Index {
    codec: Codec,
    metadata: Arc<dyn Fn() -> io::Result<JsonObject> + Send + Sync>,
}

impl fmt::Debug for Index {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.debug_struct("Index").field("codec", &self.codec).finish_non_exhaustive()
    }
}

/// An index as the output of a run.
pub fn index(codec: Codec, metadata: JsonObject) -> Box<dyn Format> {
    index_described_by(codec, move || Ok(metadata.clone()))
}

/// An index as the output of a run, which says of itself what `metadata` returns once its documents are complete: what
/// takes time to find out, such as the hashes of a model's files, need not be waited for before.
pub fn index_described_by(
    codec: Codec,
    metadata: impl Fn() -> io::Result<JsonObject> + Send + Sync + 'static,
) -> Box<dyn Format> {
    Box::new(Index { codec, metadata: Arc::new(metadata) })
}

impl Format for Index {
    fn keys(&self) -> Keys {
        Keys::Names
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::Windows]
    }

    fn compression(&self) -> Compression {
        Compression::Nothing
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        _: &mut Findings,
    ) -> Result<(), RowError> {
        let id = match row.window {
            Some(_) => row.id_string(),
            None => row.id.to_string(),
        };
        let (names, vector) = (names(row.vector, terms), row.vector.clone());
        Collected { id, names, fields: row.fields(), vector, ..Collected::default() }.write(out);
        Ok(())
    }

    fn assembly(&self) -> Option<Box<dyn Assembly>> {
        Some(Box::new(self.clone()))
    }
}

impl Assembly for Index {
    fn assemble(&self, rows: &CollectedRows, output: &Path) -> io::Result<()> {
        let terms = CollectionTerms::read(rows, |_| ())?;
        let vocabulary = (0..).zip(terms.names().iter().map(String::as_str));
        let mut builder = IndexBuilder::new(output, self.codec, vocabulary)?;
        rows.each(|row| {
            let id = DocumentId::from_checked(row.id.clone());
            let fields = JsonObject::from_checked(as_object(&row.fields));
            Ok(builder.add(&id, &fields, &terms.vector(row))?)
        })?;
        Ok(builder.finish_in(rows.storage(), &(self.metadata)()?)?)
    }

    fn results(&self, output: &Path, _: &dyn Storage) -> Vec<PathBuf> {
        vec![output.to_path_buf()]
    }
}
