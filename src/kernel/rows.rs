//! Views of row-major matrices whose stride may exceed the length of a row.
//!
//! The columns of one head, and the columns that one thread writes, are such views.

use std::marker::PhantomData;
use std::ops::Range;

/// A row-major matrix to read.
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a> {
    /// From the first element of the first row to at least the last element of the last.
    data: &'a [f32],
    rows: usize,
    columns: usize,
    /// Floats from the start of a row to the start of the next.
    stride: usize,
}

impl<'a> MatRef<'a> {
    /// All of `data`, in rows of `columns`.
    ///
    /// # Panics
    ///
    /// When `columns` is 0 or `data` is not a whole number of rows.
    pub fn new(data: &'a [f32], columns: usize) -> Self {
        assert!(
            columns > 0 && data.len().is_multiple_of(columns),
            "{} floats in rows of {columns}",
            data.len()
        );
        MatRef { data, rows: data.len() / columns, columns, stride: columns }
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.rows
    }

    /// The number of columns, at least 1.
    pub fn num_columns(&self) -> usize {
        self.columns
    }

    /// Floats from the start of a row to the start of the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The first element; valid for reads at `row * stride + column` for every row and column.
    pub(super) fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr()
    }

    /// One row.
    pub fn row(&self, row: usize) -> &'a [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        &self.data[row * self.stride..][..self.columns]
    }

    /// The rows of `range`.
    pub fn rows(&self, range: Range<usize>) -> Self {
        assert!(range.start <= range.end && range.end <= self.rows, "rows {range:?} of {}", self.rows);
        let data = if range.is_empty() { &[] } else { &self.data[range.start * self.stride..] };
        MatRef { data, rows: range.len(), ..*self }
    }

    /// The columns of `range`, at least one.
    pub fn columns(&self, range: Range<usize>) -> Self {
        assert!(
            range.start < range.end && range.end <= self.columns,
            "columns {range:?} of {}",
            self.columns
        );
        let data = if self.rows == 0 { &[] } else { &self.data[range.start..] };
        MatRef { data, columns: range.len(), ..*self }
    }
}

/// An owned row-major matrix. Its stride is an odd number of cache lines, so that the rows of a tile do not evict each other
/// from the first-level cache.
#[derive(Clone, Debug, Default)]
pub struct Matrix {
    data: Vec<f32>,
    rows: usize,
    columns: usize,
    stride: usize,
}

impl Matrix {
    /// Zeros.
    ///
    /// # Panics
    ///
    /// When `columns` is 0.
    pub fn new(rows: usize, columns: usize) -> Self {
        let mut matrix = Matrix::default();
        matrix.resize(rows, columns);
        matrix
    }

    /// Changes the shape and keeps the memory. The elements are unspecified.
    ///
    /// # Panics
    ///
    /// When `columns` is 0.
    pub fn resize(&mut self, rows: usize, columns: usize) {
        assert!(columns > 0, "a row has elements");
        /// Floats in a cache line.
        const LINE: usize = 16;
        let stride = (columns.div_ceil(LINE) | 1) * LINE;
        self.data.resize(rows * stride, 0.0);
        (self.rows, self.columns, self.stride) = (rows, columns, stride);
    }

    /// Copies the shape and the elements of another matrix.
    pub fn copy_from(&mut self, other: &Matrix) {
        self.data.clone_from(&other.data);
        (self.rows, self.columns, self.stride) = (other.rows, other.columns, other.stride);
    }

    /// All of it, to read.
    pub fn rows(&self) -> MatRef<'_> {
        MatRef { data: &self.data, rows: self.rows, columns: self.columns, stride: self.stride }
    }

    /// All of it, to write.
    pub fn rows_mut(&mut self) -> MatMut<'_> {
        let Matrix { rows, columns, stride, .. } = *self;
        MatMut { data: self.data.as_mut_ptr(), rows, columns, stride, borrowed: PhantomData }
    }
}

/// A row-major matrix to write.
///
/// It can be cut into blocks of rows and of columns that different threads fill at the same time.
#[derive(Debug)]
pub struct MatMut<'a> {
    /// Valid for writes at `row * stride + column` for every row and column, and nobody else's for `'a`.
    data: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    borrowed: PhantomData<&'a mut [f32]>,
}

// SAFETY: a view is the only one of its elements, like a `&mut [f32]`, and floats may cross threads.
unsafe impl Send for MatMut<'_> {}
// SAFETY: a shared view gives no access to the elements.
unsafe impl Sync for MatMut<'_> {}

impl<'a> MatMut<'a> {
    /// All of `data`, in rows of `columns`.
    ///
    /// # Panics
    ///
    /// When `columns` is 0 or `data` is not a whole number of rows.
    #[cfg(test)]
    pub fn new(data: &'a mut [f32], columns: usize) -> Self {
        assert!(
            columns > 0 && data.len().is_multiple_of(columns),
            "{} floats in rows of {columns}",
            data.len()
        );
        let rows = data.len() / columns;
        MatMut { data: data.as_mut_ptr(), rows, columns, stride: columns, borrowed: PhantomData }
    }

    /// The number of rows.
    pub fn num_rows(&self) -> usize {
        self.rows
    }

    /// The number of columns, at least 1.
    pub fn num_columns(&self) -> usize {
        self.columns
    }

    /// Floats from the start of a row to the start of the next.
    pub(super) fn stride(&self) -> usize {
        self.stride
    }

    /// The first element; valid for writes at `row * stride + column` for every row and column.
    pub(super) fn as_mut_ptr(&mut self) -> *mut f32 {
        self.data
    }

    /// One row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        // SAFETY: the row is inside the view, whose elements are ours while `self` is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.stride), self.columns) }
    }

    /// The rows before `row`, and those from it on.
    pub fn split_rows(self, row: usize) -> (Self, Self) {
        assert!(row <= self.rows, "row {row} of {}", self.rows);
        // A pointer past the last row may lie outside the matrix: wrapping, as it is never read through.
        let below = self.data.wrapping_add(row * self.stride);
        (MatMut { rows: row, ..self }, MatMut { data: below, rows: self.rows - row, ..self })
    }

    /// The columns before `column`, and those from it on; `column` strictly inside.
    pub fn split_columns(self, column: usize) -> (Self, Self) {
        assert!(0 < column && column < self.columns, "column {column} of {}", self.columns);
        let right = self.data.wrapping_add(column);
        (MatMut { columns: column, ..self }, MatMut { data: right, columns: self.columns - column, ..self })
    }

    /// The rows of `range`.
    pub fn rows(self, range: Range<usize>) -> Self {
        self.split_rows(range.end).0.split_rows(range.start).1
    }

    /// Blocks of `count` rows; the last may be shorter. A matrix without rows has no blocks.
    pub fn row_blocks(self, count: usize) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut rest = self;
        while rest.rows > 0 {
            let (block, below) = {
                let rows = rest.rows.min(count);
                rest.split_rows(rows)
            };
            blocks.push(block);
            rest = below;
        }
        blocks
    }

    /// Blocks of `count` columns; the last may be narrower.
    pub fn column_blocks(self, count: usize) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut rest = self;
        while rest.columns > count {
            let (block, right) = rest.split_columns(count);
            blocks.push(block);
            rest = right;
        }
        blocks.push(rest);
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_cut_into_blocks_is_written_whole() {
        let mut data = vec![0.0; 5 * 7];
        for (i, columns) in MatMut::new(&mut data, 7).column_blocks(3).into_iter().enumerate() {
            for (j, mut block) in columns.row_blocks(2).into_iter().enumerate() {
                for row in 0..block.num_rows() {
                    block.row_mut(row).fill((10 * i + j) as f32);
                }
            }
        }
        let rows = MatRef::new(&data, 7);
        assert_eq!(rows.row(0), [0.0, 0.0, 0.0, 10.0, 10.0, 10.0, 20.0]);
        assert_eq!(rows.rows(2..5).columns(5..7).row(2), [12.0, 22.0]);
        MatMut::new(&mut data, 7).rows(1..3).row_mut(1).fill(5.0);
        assert_eq!((data[13], data[14], data[20], data[21]), (20.0, 5.0, 5.0, 1.0));
    }
}
