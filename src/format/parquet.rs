//! Parquet: columns `id` (string), `indices` (list of int32) and `values` (list of float), and one a kept field.
//!
//! Ids ascend within a row. A kept field's column has the type that all its values share: strings, integers, numbers
//! or truth values; any other mixture is JSON as a string. Pages are compressed with zstd.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression as Codec, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::Type;
use serde_json::Value;

use super::assembly::{Assembly, Collected, CollectedRows};
use super::{
    as_object, kept_fields, Compression, Findings, Format, FormatError, FormatOption, Keys, Options, Row,
    Terms,
};
use crate::input::RowError;
use crate::storage::{OutputFile, Storage};

/// Terms, and bytes of kept fields, after which a row group ends.
const GROUP_TERMS: usize = 4 << 20;
const GROUP_BYTES: usize = 32 << 20;

/// Columns of kept fields.
const MAX_COLUMNS: usize = 1000;

#[derive(Debug)]
struct Parquet;

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    if options.vector_field != "vector" {
        let reason = "a vector is the columns `indices` and `values`";
        return Err(FormatError::fixed(FormatOption::VectorField, reason));
    }
    Ok(Box::new(Parquet))
}

impl Format for Parquet {
    fn keys(&self) -> Keys {
        Keys::Ids
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::Windows]
    }

    fn compression(&self) -> Compression {
        Compression::Nothing
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        &["id", "indices", "values"]
    }

    fn write_row(&self, row: &Row, _: Terms, out: &mut Vec<u8>, _: &mut Findings) -> Result<(), RowError> {
        let (id, fields, vector) = (row.id_text(), row.fields(), row.vector.clone());
        Collected { id, fields, vector, ..Collected::default() }.write(out);
        Ok(())
    }

    fn assembly(&self) -> Option<Box<dyn Assembly>> {
        Some(Box::new(Parquet))
    }
}

impl Assembly for Parquet {
    fn assemble(&self, rows: &CollectedRows, output: &Path) -> io::Result<()> {
        let columns = columns(rows)?;
        rows.write_file(output, |file| write_groups(rows, &columns, file))
    }

    fn results(&self, output: &Path, _: &dyn Storage) -> Vec<PathBuf> {
        vec![output.to_path_buf()]
    }
}

/// The column of a kept field.
struct Column {
    name: String,
    kind: Kind,
}

/// What all values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing but null so far.
    Null,
    Bool,
    Integer,
    Number,
    Text,
    /// Anything, as JSON.
    Json,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Number(number) if number.is_i64() => Kind::Integer,
            Value::Number(_) => Kind::Number,
            Value::String(_) => Kind::Text,
            Value::Array(_) | Value::Object(_) => Kind::Json,
        }
    }

    /// What holds values of both.
    fn with(self, other: Self) -> Self {
        match (self, other) {
            (kind, Kind::Null) | (Kind::Null, kind) => kind,
            (a, b) if a == b => a,
            (Kind::Integer, Kind::Number) | (Kind::Number, Kind::Integer) => Kind::Number,
            _ => Kind::Json,
        }
    }

    fn physical(self) -> PhysicalType {
        match self {
            Kind::Bool => PhysicalType::BOOLEAN,
            Kind::Integer => PhysicalType::INT64,
            Kind::Number => PhysicalType::DOUBLE,
            Kind::Null | Kind::Text | Kind::Json => PhysicalType::BYTE_ARRAY,
        }
    }
}

/// The kept fields of all rows, in the order in which they first stand.
fn columns(rows: &CollectedRows) -> io::Result<Vec<Column>> {
    let mut columns: Vec<Column> = Vec::new();
    rows.each(|row| {
        for (place, field) in kept_fields(&as_object(&row.fields)).iter().enumerate() {
            let kind = Kind::of(&parsed(field.value.get()));
            // Rows of one collection mostly have the same fields in the same order.
            let found = match columns.get(place) {
                Some(column) if column.name == field.key => Some(place),
                _ => columns.iter().position(|column| column.name == field.key),
            };
            match found {
                Some(place) => columns[place].kind = columns[place].kind.with(kind),
                None if columns.len() == MAX_COLUMNS => {
                    let message = format!("more than {MAX_COLUMNS} different fields to keep: name fewer");
                    return Err(io::Error::other(message));
                }
                None => columns.push(Column { name: field.key.clone(), kind }),
            }
        }
        Ok(())
    })?;
    Ok(columns)
}

fn parsed(json: &str) -> Value {
    // A number too large for f64 is kept as it is written.
    serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.into()))
}

const VECTOR_SCHEMA: &str = "message vectors {
    required binary id (STRING);
    required group indices (LIST) { repeated group list { required int32 element; } }
    required group values (LIST) { repeated group list { required float element; } }
}";

fn schema(columns: &[Column]) -> Result<Type, ParquetError> {
    let mut fields = parse_message_type(VECTOR_SCHEMA)?.get_fields().to_vec();
    for Column { name, kind } in columns {
        let text = (kind.physical() == PhysicalType::BYTE_ARRAY).then_some(LogicalType::String);
        let column = Type::primitive_type_builder(name, kind.physical())
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(text);
        fields.push(Arc::new(column.build()?));
    }
    Type::group_type_builder("vectors").with_fields(fields).build()
}

fn write_groups(rows: &CollectedRows, columns: &[Column], file: &mut OutputFile) -> io::Result<()> {
    let codec = Codec::ZSTD(ZstdLevel::default());
    // The default names the version of a library, and the bytes of a file are to depend on the rows alone.
    let properties =
        WriterProperties::builder().set_compression(codec).set_created_by("neural-sparse".into());
    let schema = Arc::new(schema(columns)?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build()))?;
    let mut group = Group::new(columns);
    rows.each(|row| {
        group.push(row, columns);
        if group.indices.len() >= GROUP_TERMS || group.num_bytes >= GROUP_BYTES {
            group.write(&mut writer)?;
            group = Group::new(columns);
        }
        Ok(())
    })?;
    if !group.ids.is_empty() {
        group.write(&mut writer)?;
    }
    writer.close()?;
    Ok(())
}

/// Rows that become a row group.
struct Group {
    ids: Vec<ByteArray>,
    indices: Vec<i32>,
    values: Vec<f32>,
    /// Of each element of a list, and of an empty list: whether there is an element, and whether it goes on with the
    /// list of the one before.
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
    kept: Vec<KeptColumn>,
    /// Bytes of kept fields.
    num_bytes: usize,
}

/// Values of a kept field, and for each row whether it has one.
struct KeptColumn {
    definitions: Vec<i16>,
    values: KeptValues,
}

enum KeptValues {
    Bool(Vec<bool>),
    Integer(Vec<i64>),
    Number(Vec<f64>),
    Text(Vec<ByteArray>),
}

impl Group {
    fn new(columns: &[Column]) -> Self {
        let kept = columns.iter().map(|column| KeptColumn {
            definitions: Vec::new(),
            values: match column.kind {
                Kind::Bool => KeptValues::Bool(Vec::new()),
                Kind::Integer => KeptValues::Integer(Vec::new()),
                Kind::Number => KeptValues::Number(Vec::new()),
                Kind::Null | Kind::Text | Kind::Json => KeptValues::Text(Vec::new()),
            },
        });
        Group {
            ids: Vec::new(),
            indices: Vec::new(),
            values: Vec::new(),
            definitions: Vec::new(),
            repetitions: Vec::new(),
            kept: kept.collect(),
            num_bytes: 0,
        }
    }

    fn push(&mut self, row: &Collected, columns: &[Column]) {
        self.ids.push(row.id.as_str().into());
        self.indices.extend(row.vector.indices().iter().map(|&index| index as i32));
        self.values.extend(row.vector.weights());
        let count = row.vector.len();
        self.definitions.extend(std::iter::repeat_n(i16::from(count > 0), count.max(1)));
        self.repetitions.push(0);
        self.repetitions.extend(std::iter::repeat_n(1, count.saturating_sub(1)));
        self.num_bytes += row.fields.len();
        let object = as_object(&row.fields);
        let fields = kept_fields(&object);
        for (place, (column, kept)) in columns.iter().zip(&mut self.kept).enumerate() {
            let field = fields.get(place).filter(|field| field.key == column.name);
            let field = field.or_else(|| fields.iter().find(|field| field.key == column.name));
            let is_there = field.is_some_and(|field| kept.values.push(field.value.get(), column.kind));
            kept.definitions.push(i16::from(is_there));
        }
    }

    fn write<W: io::Write + Send>(&self, writer: &mut SerializedFileWriter<W>) -> Result<(), ParquetError> {
        let mut group = writer.next_row_group()?;
        let lists = (Some(&self.definitions[..]), Some(&self.repetitions[..]));
        next_column(&mut group, |column| match column {
            ColumnWriter::ByteArrayColumnWriter(column) => column.write_batch(&self.ids, None, None),
            _ => Err(misplaced()),
        })?;
        next_column(&mut group, |column| match column {
            ColumnWriter::Int32ColumnWriter(column) => column.write_batch(&self.indices, lists.0, lists.1),
            _ => Err(misplaced()),
        })?;
        next_column(&mut group, |column| match column {
            ColumnWriter::FloatColumnWriter(column) => column.write_batch(&self.values, lists.0, lists.1),
            _ => Err(misplaced()),
        })?;
        for KeptColumn { definitions, values } in &self.kept {
            let levels = Some(&definitions[..]);
            next_column(&mut group, |column| match (column, values) {
                (ColumnWriter::BoolColumnWriter(column), KeptValues::Bool(values)) => {
                    column.write_batch(values, levels, None)
                }
                (ColumnWriter::Int64ColumnWriter(column), KeptValues::Integer(values)) => {
                    column.write_batch(values, levels, None)
                }
                (ColumnWriter::DoubleColumnWriter(column), KeptValues::Number(values)) => {
                    column.write_batch(values, levels, None)
                }
                (ColumnWriter::ByteArrayColumnWriter(column), KeptValues::Text(values)) => {
                    column.write_batch(values, levels, None)
                }
                _ => Err(misplaced()),
            })?;
        }
        group.close()?;
        Ok(())
    }
}

impl KeptValues {
    /// Adds a value as a column of this kind has it; false for null.
    fn push(&mut self, json: &str, kind: Kind) -> bool {
        let value = parsed(json);
        if value.is_null() {
            return false;
        }
        match self {
            KeptValues::Bool(values) => values.push(value == Value::Bool(true)),
            KeptValues::Integer(values) => values.push(value.as_i64().unwrap_or_default()),
            KeptValues::Number(values) => values.push(value.as_f64().unwrap_or_default()),
            KeptValues::Text(values) => values.push(match value {
                Value::String(text) if kind == Kind::Text => text.as_str().into(),
                _ => json.into(),
            }),
        }
        true
    }
}

/// Writes the next column of a row group.
fn next_column<W: io::Write + Send>(
    group: &mut SerializedRowGroupWriter<W>,
    write: impl FnOnce(&mut ColumnWriter) -> Result<usize, ParquetError>,
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.ok_or_else(misplaced)?;
    write(column.untyped())?;
    column.close()
}

fn misplaced() -> ParquetError {
    ParquetError::General("columns that do not follow their schema: this is a bug".into())
}
