//! Weight matrices in the two layouts that products accept: rows, and packed panels.

use std::ops::Range;

use super::products::{self, Source, PANEL_COLUMNS};
use super::tile::Tiled;
use super::{InstructionSet, MatRef, Operation};

/// A weight matrix that was packed into panels once, for one kernel.
#[derive(Debug)]
pub struct Panels {
    /// Panels of (K, W), the last padded with zeros.
    memory: Vec<f32>,
    num_rows: usize,
    num_columns: usize,
    kernel: InstructionSet,
}

impl Panels {
    /// Packs all of `rows`, (N, K).
    pub fn new(kernel: InstructionSet, rows: MatRef) -> Self {
        let (num_rows, num_columns) = (rows.num_rows(), rows.num_columns());
        let mut panels = Panels { memory: Vec::new(), num_rows, num_columns, kernel };
        let count = num_rows.next_multiple_of(PANEL_COLUMNS) * num_columns;
        kernel.run(Pack { rows, panels: products::aligned(&mut panels.memory, count) });
        panels
    }
}

struct Pack<'a> {
    rows: MatRef<'a>,
    panels: &'a mut [f32],
}

impl Operation for Pack<'_> {
    #[inline(always)]
    unsafe fn run<L: Tiled>(self) {
        let width = L::COLUMNS;
        let k = self.rows.num_columns();
        for (first, panel) in
            (0..self.rows.num_rows()).step_by(width).zip(self.panels.chunks_exact_mut(width * k))
        {
            let rows = RowPointers::new(self.rows, first..self.rows.num_rows().min(first + width));
            // SAFETY: the instruction set is the caller's obligation; the rows have K elements.
            unsafe { products::pack::<L>(rows.as_slice(), 0, k, panel) };
        }
    }
}

/// Pointers to the first elements of up to [`PANEL_COLUMNS`] rows of a matrix.
pub(super) struct RowPointers {
    pointers: [*const f32; PANEL_COLUMNS],
    count: usize,
}

impl RowPointers {
    /// Points to the rows of `range`.
    #[inline(always)]
    pub fn new(matrix: MatRef, range: Range<usize>) -> Self {
        let mut pointers = [std::ptr::null(); PANEL_COLUMNS];
        let count = range.len();
        for (pointer, row) in pointers[..count].iter_mut().zip(range) {
            *pointer = matrix.row(row).as_ptr();
        }
        RowPointers { pointers, count }
    }

    #[inline(always)]
    pub fn as_slice(&self) -> &[*const f32] {
        &self.pointers[..self.count]
    }
}

/// A weight matrix, or some of its rows: (N, K).
#[derive(Clone, Copy, Debug)]
pub enum GemmWeight<'a> {
    /// In rows, as a checkpoint stores it.
    Rows(MatRef<'a>),
    /// Packed.
    Panels {
        /// The whole matrix.
        panels: &'a Panels,
        /// The first of the selected rows; it starts on a panel boundary of every kernel.
        first: usize,
        /// The end of the selected rows.
        last: usize,
    },
}

impl<'a> GemmWeight<'a> {
    /// Every row of `panels`.
    pub fn panels(panels: &'a Panels) -> Self {
        GemmWeight::Panels { panels, first: 0, last: panels.num_rows }
    }

    /// N, the number of outputs.
    pub fn num_rows(&self) -> usize {
        match *self {
            GemmWeight::Rows(rows) => rows.num_rows(),
            GemmWeight::Panels { first, last, .. } => last - first,
        }
    }

    /// K, the length of the dot products.
    pub fn num_columns(&self) -> usize {
        match *self {
            GemmWeight::Rows(rows) => rows.num_columns(),
            GemmWeight::Panels { panels, .. } => panels.num_columns,
        }
    }

    /// The rows of `range`.
    ///
    /// # Panics
    ///
    /// When it does not fit; for panels, when it does not begin at a multiple of [`PANEL_COLUMNS`].
    pub fn rows(&self, range: Range<usize>) -> Self {
        match *self {
            GemmWeight::Rows(rows) => GemmWeight::Rows(rows.rows(range)),
            GemmWeight::Panels { panels, first, last } => {
                let (start, end) = (first + range.start, first + range.end);
                assert!(start <= end && end <= last && start.is_multiple_of(PANEL_COLUMNS), "rows {range:?}");
                GemmWeight::Panels { panels, first: start, last: end }
            }
        }
    }

    /// Panics if the matrix was packed for another kernel.
    pub(super) fn check(&self, kernel: InstructionSet) {
        if let GemmWeight::Panels { panels, .. } = self {
            assert_eq!(panels.kernel, kernel, "the kernel of the panels");
        }
    }

    /// The rows of this matrix that give some columns of a product: at most W = `width`, starting on a panel boundary.
    #[inline(always)]
    pub(super) fn source<'b>(
        &'b self,
        columns: Range<usize>,
        width: usize,
        pointers: &'b mut Option<RowPointers>,
    ) -> Source<'b> {
        match *self {
            GemmWeight::Rows(rows) => Source::Rows {
                rows: pointers.insert(RowPointers::new(rows, columns.clone())).as_slice(),
                next: rows.as_ptr().wrapping_add((columns.start + width) * rows.stride()),
                stride: rows.stride(),
            },
            GemmWeight::Panels { panels, first, .. } => {
                let k = panels.num_columns;
                let start = products::line_start(&panels.memory) + (first + columns.start) * k;
                Source::Packed { panel: &panels.memory[start..start + width * k], columns: columns.len() }
            }
        }
    }
}
