//! Reads Parquet files a row at a time, as the JSON that the rest of the program reads.

use std::fs::File;
use std::io;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::Value;

use super::json::write_f32;
use crate::one_line::one_line;

/// The rows of a Parquet file as lines of JSON, an object of its columns each.
pub struct TableRows {
    num_rows: usize,
    num_read: usize,
    rows: RowIter<'static>,
}

impl TableRows {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of the file, and of a file that is not Parquet.
    pub fn open(path: &Path) -> io::Result<Self> {
        let reader = SerializedFileReader::new(File::open(path)?).map_err(invalid)?;
        let num_rows = reader.metadata().file_metadata().num_rows();
        let num_rows = usize::try_from(num_rows).map_err(|_| invalid("a negative number of rows"))?;
        Ok(TableRows { num_rows, num_read: 0, rows: RowIter::from_file_into(Box::new(reader)) })
    }
}

impl Iterator for TableRows {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        self.num_read += 1;
        Some(row.map_err(invalid).map(|row| object(&row)))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.num_rows.saturating_sub(self.num_read);
        (left, Some(left))
    }
}

impl ExactSizeIterator for TableRows {}

fn invalid(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, one_line(&reason.to_string()).into_owned())
}

/// Columns that are null are left out: a row that lacks a field is one that does not have it.
fn object(row: &Row) -> String {
    let there = row.get_column_iter().filter(|(_, field)| !matches!(field, Field::Null));
    let fields: Vec<String> =
        there.map(|(name, field)| format!("{}:{}", string(name), value(field))).collect();
    format!("{{{}}}", fields.join(","))
}

/// A value as JSON. What JSON has no form for is a string, dates and times in the form of ISO 8601.
fn value(field: &Field) -> String {
    match field {
        Field::Null => "null".into(),
        Field::Bool(_)
        | Field::Byte(_)
        | Field::Short(_)
        | Field::Int(_)
        | Field::Long(_)
        | Field::UByte(_)
        | Field::UShort(_)
        | Field::UInt(_)
        | Field::ULong(_) => field.to_string(),
        Field::Float16(number) => float(f32::from(*number)),
        Field::Float(number) => float(*number),
        Field::Double(number) if number.is_finite() => Value::from(*number).to_string(),
        Field::Str(text) => string(text),
        Field::Bytes(bytes) => string(&String::from_utf8_lossy(bytes.data())),
        Field::Group(row) => object(row),
        Field::ListInternal(list) => {
            format!("[{}]", list.elements().iter().map(value).collect::<Vec<_>>().join(","))
        }
        Field::MapInternal(map) => {
            let key = |key: &Field| match key {
                Field::Str(text) => string(text),
                other => string(&other.to_string()),
            };
            let entries = map.entries().iter().map(|(name, field)| format!("{}:{}", key(name), value(field)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        other => string(&other.to_string()),
    }
}

fn float(number: f32) -> String {
    if !number.is_finite() {
        return string(&number.to_string());
    }
    let mut text = Vec::new();
    write_f32(&mut text, number).expect("memory takes everything");
    String::from_utf8_lossy(&text).into_owned()
}

/// A string of JSON.
fn string(text: &str) -> String {
    Value::from(text).to_string()
}
