//! Reads a matrix of scipy a row at a time: its three arrays are read side by side, none is held.
//!
//! scipy's file has the arrays `format`, `shape`, `indptr`, `indices` and `data`. Those of lsr-benchmark have the last
//! three only, which `numpy.savez_compressed` wrote: rows are as many as `indptr` says, and V is not known. Source: the
//! function `embeddings` in lsr-benchmark's `lsr_benchmark/irds.py`, and what its embedding systems write.

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Lines};
use std::path::Path;

use serde_json::Value;
use zip::ZipArchive;

use super::decompress::decompressed;
use super::ids::find_ids;
use super::json::write_f32;
use super::npy::Array;
use crate::one_line::one_line;

/// The rows of a matrix as lines of JSON: `{"id":"…","indices":[…],"values":[…]}`, without the id where no file of ids
/// stands beside the matrix. It is one of scipy's or of lsr-benchmark's.
pub struct MatrixRows {
    num_rows: usize,
    num_columns: Option<usize>,
    indptr: Array,
    indices: Array,
    data: Array,
    ids: Option<Ids>,
    next_row: usize,
    /// Where the next row begins.
    place: u64,
    /// Whether an error has ended the rows.
    is_over: bool,
}

impl MatrixRows {
    /// Opens a matrix that scipy, lsr-benchmark or this program wrote. Its ids are in `FILE.ids`, or beside
    /// `NAME-embeddings.npz` in `NAME-ids.txt`, if that is there.
    ///
    /// # Errors
    ///
    /// Those of the files, and one that says what is missing or wrong in the matrix.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut zip = ZipArchive::new(BufReader::new(File::open(path)?))
            .map_err(|error| invalid(format!("not an .npz file: {error}")))?;
        let is_described = ["format.npy", "shape.npy"].iter().any(|name| zip.index_for_name(name).is_some());
        let mut array = |name: &'static str| Array::open(&mut zip, path, name);
        let shape = match is_described {
            true => Some(shape(array("format")?, array("shape")?)?),
            false => None,
        };
        // All of it before the first row: rows that were written already could not be taken back.
        for name in ["indptr", "indices", "data"] {
            array(name)?.check()?;
        }
        let (mut indptr, indices, data) = (array("indptr")?, array("indices")?, array("data")?);
        let places = indptr.length().checked_sub(1).and_then(|rows| usize::try_from(rows).ok());
        let (num_rows, num_columns) = match shape {
            Some((rows, columns)) => (Some(rows), Some(columns)),
            None => (places, None),
        };
        let Some(num_rows) = num_rows.filter(|_| num_rows == places && indices.length() == data.length())
        else {
            return Err(invalid("arrays whose lengths do not go together".into()));
        };
        let first = indptr.integer()?;
        if first != 0 {
            return Err(invalid(format!("`indptr` begins with {first}, not 0")));
        }
        let ids = Ids::beside(path)?;
        let mut rows = MatrixRows {
            num_rows,
            num_columns,
            indptr,
            indices,
            data,
            ids,
            next_row: 0,
            place: 0,
            is_over: false,
        };
        if num_rows == 0 {
            rows.finish()?;
        }
        Ok(rows)
    }

    /// V, where the file says it.
    pub fn num_columns(&self) -> Option<usize> {
        self.num_columns
    }

    fn row(&mut self) -> io::Result<String> {
        let id = match &mut self.ids {
            Some(ids) => {
                let id = ids.next_id()?;
                let id = id
                    .ok_or_else(|| invalid(format!("the file of ids has no id for row {}", self.next_row)))?;
                format!("\"id\":{},", Value::from(id))
            }
            None => String::new(),
        };
        let end = self.indptr.integer()?;
        let place = u64::try_from(end).ok().filter(|end| (self.place..=self.indices.length()).contains(end));
        let place = place.ok_or_else(|| invalid(format!("`indptr` has {end} after {}", self.place)))?;
        let (indices, values) = self.entries(place - self.place)?;
        self.place = place;
        self.next_row += 1;
        // Before the last row is handed out: an error of the whole file is one of this row.
        if self.next_row == self.num_rows {
            self.finish()?;
        }
        Ok(format!("{{{id}\"indices\":[{}],\"values\":[{}]}}", indices.join(","), values.join(",")))
    }

    /// The columns and weights of a row of `count` entries, up to the first column that stands there twice: whoever
    /// reads the row refuses it for that one, and a hostile row of many does not fill the memory.
    fn entries(&mut self, count: u64) -> io::Result<(Vec<String>, Vec<String>)> {
        let (mut indices, mut values) = (Vec::new(), Vec::new());
        let mut last = -1;
        // Only of a row whose columns do not ascend.
        let mut seen: HashSet<i64> = HashSet::new();
        let mut is_repeated = false;
        for _ in 0..count {
            let (column, weight) = (self.indices.integer()?, self.data.weight()?);
            let columns = self.num_columns.unwrap_or(u32::MAX as usize);
            if !(0..columns as i64).contains(&column) {
                let row = self.next_row;
                return Err(invalid(match self.num_columns {
                    Some(_) => format!("row {row} has the column {column}, and the matrix has {columns}"),
                    None => format!(
                        "row {row} has the column {column}, expected a number of 0 to {}",
                        columns - 1
                    ),
                }));
            }
            if is_repeated {
                continue;
            }
            if column <= last || !seen.is_empty() {
                if seen.is_empty() {
                    seen = indices.iter().filter_map(|index: &String| index.parse().ok()).collect();
                }
                is_repeated = !seen.insert(column);
            }
            last = column;
            indices.push(column.to_string());
            values.push(json_number(weight));
        }
        Ok((indices, values))
    }

    /// Checks that nothing is left over, and the sums of the arrays.
    fn finish(&mut self) -> io::Result<()> {
        if self.place != self.indices.length() {
            let (place, length) = (self.place, self.indices.length());
            return Err(invalid(format!("`indptr` ends with {place}, and the matrix has {length} entries")));
        }
        if let Some(ids) = &mut self.ids {
            // Blank lines at the end are no ids.
            let mut more = std::iter::from_fn(|| ids.next_id().transpose());
            if more.any(|id| id.is_err() || id.is_ok_and(|id| !id.trim().is_empty())) {
                return Err(invalid(format!("the file of ids has more ids than the {} rows", self.num_rows)));
            }
        }
        [&mut self.indptr, &mut self.indices, &mut self.data].into_iter().try_for_each(Array::finish)
    }
}

/// Rows and columns of a matrix in scipy's form.
fn shape(format: Array, mut shape: Array) -> io::Result<(usize, usize)> {
    let name = format.text()?;
    if name != "csr" {
        return Err(invalid(format!(
            "a matrix in the format `{name}`, expected `csr`: matrix.tocsr() makes one"
        )));
    }
    if shape.length() != 2 {
        return Err(invalid(format!("a shape of {} numbers, expected 2", shape.length())));
    }
    let size = |number: i64| usize::try_from(number).map_err(|_| invalid("a negative shape".into()));
    let (num_rows, num_columns) = (size(shape.integer()?)?, size(shape.integer()?)?);
    shape.finish()?;
    if num_columns as u64 > u64::from(u32::MAX) {
        return Err(invalid(format!("a matrix of {num_columns} columns, more than 32 bits number")));
    }
    Ok((num_rows, num_columns))
}

/// The ids of rows in their order.
struct Ids {
    lines: Lines<Box<dyn BufRead + Send>>,
    is_first: bool,
}

impl Ids {
    /// The file beside `rows`, plain or compressed; `None` where none is there.
    fn beside(rows: &Path) -> io::Result<Option<Self>> {
        let Some(path) = find_ids(rows) else { return Ok(None) };
        Ok(Some(Ids { lines: decompressed(File::open(path)?)?.0.lines(), is_first: true }))
    }

    /// The next id; `None` at the end.
    fn next_id(&mut self) -> io::Result<Option<String>> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("the file of ids: {error}"));
        let id = self.lines.next().transpose().map_err(named)?;
        let is_first = std::mem::take(&mut self.is_first);
        Ok(id.map(|id| match id.strip_prefix('\u{feff}') {
            Some(rest) if is_first => rest.to_string(),
            _ => id,
        }))
    }
}

/// A weight as JSON. What is not finite stays in sight, where JSON has no number for it.
fn json_number(weight: f32) -> String {
    if !weight.is_finite() {
        return format!("\"{weight}\"");
    }
    let mut text = Vec::new();
    write_f32(&mut text, weight).expect("memory takes everything");
    String::from_utf8_lossy(&text).into_owned()
}

impl Iterator for MatrixRows {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over || self.next_row == self.num_rows {
            return None;
        }
        let row = self.row();
        self.is_over = row.is_err();
        Some(row)
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

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, one_line(&reason).into_owned())
}
