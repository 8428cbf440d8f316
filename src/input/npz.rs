//! Reads a matrix of scipy a row at a time: its three arrays are read side by side, none is held.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Lines, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;
use serde_json::Value;
use zip::{CompressionMethod, ZipArchive};

use super::ids::ids_path;
use super::json::write_f32;

/// The rows of a matrix as lines of JSON: `{"id":"…","indices":[…],"values":[…]}`, without the id where no file of ids
/// stands beside the matrix.
pub struct MatrixRows {
    num_rows: usize,
    num_columns: usize,
    indptr: Array,
    indices: Array,
    data: Array,
    ids: Option<Lines<BufReader<File>>>,
    next_row: usize,
    /// Where the next row begins.
    place: i64,
}

impl MatrixRows {
    /// Opens a matrix that scipy or this program wrote; its ids are in `FILE.ids`, if that is there.
    ///
    /// # Errors
    ///
    /// Those of the files, and one that says what is missing or wrong in the matrix.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut zip = ZipArchive::new(BufReader::new(File::open(path)?))
            .map_err(|error| invalid(format!("not an .npz file: {error}")))?;
        let mut array = |name: &str| Array::open(&mut zip, path, name);
        let (mut format, mut shape) = (array("format")?, array("shape")?);
        let name = format.text()?;
        if name != "csr" {
            return Err(invalid(format!(
                "a matrix in the format `{name}`, expected `csr`: matrix.tocsr() makes one"
            )));
        }
        let size = |number: i64| usize::try_from(number).map_err(|_| invalid("a negative shape".into()));
        let (num_rows, num_columns) = (size(shape.integer()?)?, size(shape.integer()?)?);
        let (mut indptr, indices, data) = (array("indptr")?, array("indices")?, array("data")?);
        if indptr.length != num_rows + 1 || indices.length != data.length {
            return Err(invalid("arrays whose lengths do not go together".into()));
        }
        let place = indptr.integer()?;
        if place != 0 {
            return Err(invalid(format!("`indptr` begins with {place}, not 0")));
        }
        let ids = match File::open(ids_path(path)) {
            Ok(file) => Some(BufReader::new(file).lines()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        Ok(MatrixRows { num_rows, num_columns, indptr, indices, data, ids, next_row: 0, place })
    }

    /// V.
    pub fn num_columns(&self) -> usize {
        self.num_columns
    }

    fn row(&mut self) -> io::Result<String> {
        let id = match &mut self.ids {
            Some(ids) => {
                let id = ids.next().transpose()?;
                let id = id
                    .ok_or_else(|| invalid(format!("the file of ids has no id for row {}", self.next_row)))?;
                format!("\"id\":{},", Value::from(id))
            }
            None => String::new(),
        };
        let end = self.indptr.integer()?;
        let count = usize::try_from(end - self.place).ok().filter(|_| end <= self.indices.length as i64);
        let count = count.ok_or_else(|| invalid(format!("`indptr` has {end} after {}", self.place)))?;
        self.place = end;
        self.next_row += 1;
        let list = |numbers: Vec<String>| numbers.join(",");
        let indices =
            list((0..count).map(|_| Ok(self.indices.integer()?.to_string())).collect::<io::Result<_>>()?);
        let values = list((0..count).map(|_| self.data.weight()).collect::<io::Result<_>>()?);
        Ok(format!("{{{id}\"indices\":[{indices}],\"values\":[{values}]}}"))
    }
}

impl Iterator for MatrixRows {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.next_row < self.num_rows).then(|| self.row())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.num_rows - self.next_row;
        (left, Some(left))
    }
}

impl ExactSizeIterator for MatrixRows {}

impl fmt::Debug for MatrixRows {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.debug_struct("MatrixRows")
            .field("num_rows", &self.num_rows)
            .field("num_columns", &self.num_columns)
            .field("next_row", &self.next_row)
            .finish_non_exhaustive()
    }
}

/// One array that is being read.
struct Array {
    /// Elements.
    length: usize,
    /// numpy's name of their type, without the byte order.
    kind: String,
    bytes: Box<dyn Read + Send>,
}

impl Array {
    fn open(zip: &mut ZipArchive<BufReader<File>>, path: &Path, name: &str) -> io::Result<Self> {
        let entry = zip
            .by_name(&format!("{name}.npy"))
            .map_err(|error| invalid(format!("no array `{name}`: {error}")))?;
        let start =
            entry.data_start().ok_or_else(|| invalid(format!("`{name}` has no place in the file")))?;
        // A file handle of its own: the arrays are read side by side.
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let packed = BufReader::with_capacity(1 << 17, file).take(entry.compressed_size());
        let mut bytes: Box<dyn Read + Send> = match entry.compression() {
            CompressionMethod::Stored => Box::new(packed),
            CompressionMethod::Deflated => Box::new(BufReader::new(DeflateDecoder::new(packed))),
            other => return Err(invalid(format!("`{name}` is compressed with {other}"))),
        };
        let header = npy_header(&mut bytes).map_err(|error| invalid(format!("`{name}`: {error}")))?;
        let field = |key: &str| {
            let rest = header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
            rest.ok_or_else(|| invalid(format!("`{name}`: no `{key}` in its header")))
        };
        let kind = field("descr")?.trim_start_matches('\'').split('\'').next().unwrap_or_default();
        if kind.starts_with('>') {
            return Err(invalid(format!("`{name}` is big-endian")));
        }
        let shape = field("shape")?.trim_start_matches('(').split(')').next().unwrap_or_default();
        let length = match shape.trim_end_matches(',').trim() {
            "" => 1,
            one => one
                .parse()
                .map_err(|_| invalid(format!("`{name}` has the shape ({shape}), not one dimension")))?,
        };
        Ok(Array { length, kind: kind.trim_start_matches(['<', '|', '=']).to_string(), bytes })
    }

    fn element<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut element = [0; N];
        self.bytes.read_exact(&mut element)?;
        Ok(element)
    }

    fn integer(&mut self) -> io::Result<i64> {
        match self.kind.as_str() {
            "i4" => Ok(i32::from_le_bytes(self.element()?).into()),
            "i8" => Ok(i64::from_le_bytes(self.element()?)),
            "u2" => Ok(u16::from_le_bytes(self.element()?).into()),
            "u4" => Ok(u32::from_le_bytes(self.element()?).into()),
            other => Err(invalid(format!("places of the type {other}, expected i4 or i8"))),
        }
    }

    /// The next weight as JSON, in f32.
    fn weight(&mut self) -> io::Result<String> {
        let weight = match self.kind.as_str() {
            "f4" => f32::from_le_bytes(self.element()?),
            "f8" => f64::from_le_bytes(self.element()?) as f32,
            _ => self.integer()? as f32,
        };
        let mut text = Vec::new();
        write_f32(&mut text, weight)?;
        // What is not finite stays in sight, where JSON has no number for it.
        if weight.is_finite() {
            Ok(String::from_utf8_lossy(&text).into_owned())
        } else {
            Ok(format!("\"{weight}\""))
        }
    }

    fn text(&mut self) -> io::Result<String> {
        let mut text = String::new();
        self.bytes.read_to_string(&mut text)?;
        // numpy writes text of its own kind with four bytes a character.
        Ok(text.replace('\0', ""))
    }
}

/// The dictionary of an array's header.
fn npy_header(bytes: &mut impl Read) -> io::Result<String> {
    let mut magic = [0; 8];
    bytes.read_exact(&mut magic)?;
    if magic[..6] != *b"\x93NUMPY" {
        return Err(invalid("not an array of numpy's".into()));
    }
    let length = if magic[6] == 1 {
        let mut length = [0; 2];
        bytes.read_exact(&mut length)?;
        u16::from_le_bytes(length).into()
    } else {
        let mut length = [0; 4];
        bytes.read_exact(&mut length)?;
        u32::from_le_bytes(length)
    };
    let mut header = String::new();
    bytes.take(length.into()).read_to_string(&mut header)?;
    Ok(header)
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
