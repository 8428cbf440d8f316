//! Rows of a file that has no lines, as lines.

use std::io::{self, BufRead, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// Rows as lines of text.
pub(super) struct RowLines {
    rows: Box<dyn ExactSizeIterator<Item = io::Result<String>> + Send>,
    num_rows: u64,
    /// Bytes of the file, and how many of them the rows so far are taken for.
    size: u64,
    read: Arc<AtomicU64>,
    /// The row that is being read, and how much of it has been.
    line: Vec<u8>,
    num_taken: usize,
}

impl RowLines {
    /// * `size`: bytes of the file; `read`: is told how many of them the rows so far are taken for.
    pub fn new(
        rows: Box<dyn ExactSizeIterator<Item = io::Result<String>> + Send>,
        size: u64,
        read: Arc<AtomicU64>,
    ) -> Self {
        let num_rows = rows.len() as u64;
        RowLines { rows, num_rows, size, read, line: Vec::new(), num_taken: 0 }
    }
}

impl BufRead for RowLines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.num_taken == self.line.len() {
            self.num_taken = 0;
            self.line.clear();
            if let Some(row) = self.rows.next() {
                self.line.extend_from_slice(row?.as_bytes());
                self.line.push(b'\n');
                let done = u128::from(self.num_rows - self.rows.len() as u64);
                let read = u128::from(self.size) * done / u128::from(self.num_rows);
                self.read.store(read as u64, Ordering::Relaxed);
            }
        }
        Ok(&self.line[self.num_taken..])
    }

    fn consume(&mut self, count: usize) {
        self.num_taken += count;
    }
}

impl Read for RowLines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
