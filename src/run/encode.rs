//! Texts in, vectors out.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;

use super::error::{JobError, WriteError};
use super::job::Job;
use super::line::InputLine;
use super::shape::Shape;
use super::tally::Tally;
use crate::encoder::{Encoded, Side, SparseEncoder};
use crate::error::Error;
use crate::format::{id_text, Content, Document, Format, Terms};
use crate::input::{Row, RowError};
use crate::pooling::screening::ScreenCount;

/// What happens to a text of more tokens than the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LongTexts {
    /// It is cut at its end, and counted.
    #[default]
    Truncate,
    /// Its row cannot be used.
    Refuse,
    /// It is encoded in windows that overlap by so many tokens, and each term gets its largest weight in any of them.
    Chunk(usize),
    /// The same, and each window is a row.
    ChunkRows(usize),
}

/// Tokens that windows share unless something else is said.
pub const OVERLAP: usize = 32;

impl FromStr for LongTexts {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        let (rule, overlap) = match value.split_once('=') {
            Some((rule, overlap)) => (rule, Some(overlap)),
            None => (value, None),
        };
        let tokens = || match overlap {
            Some(text) => text.parse().map_err(|_| format!("`{text}` is not a number of tokens")),
            None => Ok(OVERLAP),
        };
        match rule {
            "truncate" if overlap.is_none() => Ok(LongTexts::Truncate),
            "error" if overlap.is_none() => Ok(LongTexts::Refuse),
            "chunk" => Ok(LongTexts::Chunk(tokens()?)),
            "chunk-rows" => Ok(LongTexts::ChunkRows(tokens()?)),
            _ => {
                Err("expected truncate, error, chunk, chunk-rows, chunk=OVERLAP or chunk-rows=OVERLAP".into())
            }
        }
    }
}

impl Display for LongTexts {
    fn fmt(&self, formatter: &mut Formatter) -> fmt::Result {
        match self {
            LongTexts::Truncate => write!(formatter, "truncate"),
            LongTexts::Refuse => write!(formatter, "error"),
            LongTexts::Chunk(overlap) => write!(formatter, "chunk={overlap}"),
            LongTexts::ChunkRows(overlap) => write!(formatter, "chunk-rows={overlap}"),
        }
    }
}

/// Reads the text of a line.
type ParseRow = Box<dyn Fn(&[u8]) -> Result<Row, RowError> + Send + Sync>;

/// Encodes the text of each row, and writes its vector in a format.
pub struct EncodeTexts {
    encoder: SparseEncoder,
    side: Side,
    parse: ParseRow,
    format: Arc<dyn Format>,
    shape: Shape,
    long: LongTexts,
}

impl fmt::Debug for EncodeTexts {
    fn fmt(&self, out: &mut Formatter) -> fmt::Result {
        out.debug_struct("EncodeTexts")
            .field("side", &self.side)
            .field("long", &self.long)
            .finish_non_exhaustive()
    }
}

impl EncodeTexts {
    /// Keeps all of each vector, and cuts long texts.
    ///
    /// * `parse`: reads a line.
    pub fn new(
        encoder: SparseEncoder,
        side: Side,
        parse: impl Fn(&[u8]) -> Result<Row, RowError> + Send + Sync + 'static,
        format: Arc<dyn Format>,
    ) -> Self {
        let (shape, long) = (Shape::default(), LongTexts::Truncate);
        EncodeTexts { encoder, side, parse: Box::new(parse), format, shape, long }
    }

    /// Keeps less of each vector.
    pub fn shape(self, shape: Shape) -> Self {
        EncodeTexts { shape, ..self }
    }

    /// Says what happens to long texts.
    pub fn long_texts(self, long: LongTexts) -> Self {
        EncodeTexts { long, ..self }
    }

    /// The error of a text that was cut where none may be.
    fn refuse_cut(&self, text: &str, encoded: &Encoded) -> Result<(), RowError> {
        if !encoded.is_cut {
            return Ok(());
        }
        let tokens = self.encoder.num_tokens(text, self.side).map_err(refused)?;
        let limit = encoded.num_tokens;
        Err(RowError::new(format!("a text of {tokens} tokens, {limit} are the limit")))
    }
}

/// The error of a row whose text the tokenizer refuses.
pub(super) fn refused(error: Error) -> RowError {
    RowError::new(error.to_string())
}

/// A row whose text has been encoded.
#[derive(Debug)]
pub struct EncodedRow {
    id: Option<String>,
    kept: String,
    /// The whole text, or its windows.
    parts: Vec<Encoded>,
}

impl Job for EncodeTexts {
    type Row = Row;
    type Value = EncodedRow;
    const HAS_IDS: bool = true;

    fn parse(&self, line: &[u8]) -> Result<Row, RowError> {
        (self.parse)(line)
    }

    fn id<'r>(&self, row: &'r Row) -> Option<Cow<'r, str>> {
        row.id.as_deref().map(|id| Cow::Owned(self.format.stored_id(&id_text(id))))
    }

    fn compute(&self, rows: Vec<Row>) -> Result<Vec<Result<EncodedRow, RowError>>, JobError> {
        let texts: Vec<&str> = rows.iter().map(|row| row.text.as_str()).collect();
        let parts: Vec<Result<Vec<Encoded>, Error>> = match self.long {
            LongTexts::Chunk(overlap) | LongTexts::ChunkRows(overlap) => {
                self.encoder.encode_windows_each(&texts, overlap, self.side)?
            }
            LongTexts::Truncate | LongTexts::Refuse => {
                let encoded = self.encoder.encode_each(&texts, self.side)?;
                encoded.into_iter().map(|encoded| encoded.map(|encoded| vec![encoded])).collect()
            }
        };
        let value = |(row, parts): (Row, Result<Vec<Encoded>, Error>)| {
            let parts = parts.map_err(refused)?;
            if self.long == LongTexts::Refuse {
                self.refuse_cut(&row.text, &parts[0])?;
            }
            Ok(EncodedRow { id: row.id, kept: row.kept, parts })
        };
        Ok(rows.into_iter().zip(parts).map(value).collect())
    }

    fn screen_count(&self) -> ScreenCount {
        self.encoder.screen_count()
    }

    fn write(
        &self,
        line: &InputLine,
        row: EncodedRow,
        out: &mut Vec<u8>,
        tally: &mut Tally,
    ) -> Result<(), WriteError> {
        let id = line.id(row.id)?;
        let texts: Vec<(usize, bool)> = row.parts.iter().map(|part| (part.num_tokens, part.is_cut)).collect();
        let vectors = row.parts.into_iter().map(|part| part.vector);
        let content = if let LongTexts::ChunkRows(_) = self.long {
            Content::Windows(vectors.map(|window| self.shape.apply(window)).collect())
        } else {
            let whole = vectors.reduce(|whole, window| whole.maximum(&window)).unwrap_or_default();
            Content::Whole(self.shape.apply(whole))
        };
        let document = Document { id: &id, kept: &row.kept, content };
        let terms = Terms::Vocabulary(self.encoder.tokenizer());
        self.format.write(&document, terms, out, &mut tally.findings)?;
        self.shape.count_normalized(document.content.vectors().len(), &mut tally.findings);
        for (num_tokens, is_cut) in texts {
            tally.count_text(num_tokens, is_cut);
        }
        tally.count_document(&document);
        Ok(())
    }
}
