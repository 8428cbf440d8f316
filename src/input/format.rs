//! The formats of input.

use std::path::Path;

use super::row_files::RowFile;
use super::source::Container;

/// What a file of rows is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InputFormat {
    /// An object of JSON a line.
    #[default]
    Jsonl,
    /// An id, a tab and a text a line, as in MS MARCO's collections.
    Tsv,
    /// Comma-separated values; the first record names the fields.
    Csv,
    /// A text a line.
    Lines,
    /// Parquet, whose columns are fields.
    Parquet,
    /// A matrix of scipy.sparse.save_npz, its ids in a file beside it.
    CsrNpz,
    /// Anserini's JsonVectorCollection: JSON with whole numbers for weights.
    Anserini,
}

impl InputFormat {
    /// Every format.
    pub const ALL: [Self; 7] = [
        InputFormat::Jsonl,
        InputFormat::Tsv,
        InputFormat::Csv,
        InputFormat::Lines,
        InputFormat::Parquet,
        InputFormat::CsrNpz,
        InputFormat::Anserini,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            InputFormat::Jsonl => "jsonl",
            InputFormat::Tsv => "tsv",
            InputFormat::Csv => "csv",
            InputFormat::Lines => "lines",
            InputFormat::Parquet => "parquet",
            InputFormat::CsrNpz => "csr-npz",
            InputFormat::Anserini => "anserini",
        }
    }

    /// What a file of the format is, in a line.
    pub fn description(self) -> &'static str {
        match self {
            InputFormat::Jsonl => "An object of JSON a line",
            InputFormat::Tsv => "An id, a tab and a text a line, as in MS MARCO's collections",
            InputFormat::Csv => "Comma-separated values; the first line names the fields",
            InputFormat::Lines => "A text a line; its id is the line's number",
            InputFormat::Parquet => {
                "Parquet files, whose columns are fields; vectors are `indices` and `values`; in builds with the \
                 feature `parquet`"
            }
            InputFormat::CsrNpz => {
                "Matrices of scipy.sparse.save_npz, or of lsr-benchmark; ids in FILE.ids or NAME-ids.txt, else the \
                 rows' numbers"
            }
            InputFormat::Anserini => "Anserini's JsonVectorCollection, whose weights are whole numbers",
        }
    }

    /// Whether a row has fields by name, beside which others may stand.
    pub fn has_fields(self) -> bool {
        !matches!(self, InputFormat::Tsv | InputFormat::Lines | InputFormat::CsrNpz)
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// The format that a file's name says, with or without `.gz` or `.zst` behind it; JSON where it says none.
    pub fn of_path(path: &Path) -> Self {
        let compressed = path.extension().is_some_and(|suffix| suffix == "gz" || suffix == "zst");
        let plain = if compressed { path.with_extension("") } else { path.to_path_buf() };
        match plain.extension().and_then(|suffix| suffix.to_str()) {
            Some("tsv") => InputFormat::Tsv,
            Some("csv") => InputFormat::Csv,
            Some("parquet") => InputFormat::Parquet,
            Some("npz") => InputFormat::CsrNpz,
            _ => InputFormat::Jsonl,
        }
    }

    /// Whether its rows can have texts.
    pub fn has_texts(self) -> bool {
        !matches!(self, InputFormat::CsrNpz | InputFormat::Anserini)
    }

    /// Whether its rows can have vectors.
    pub fn has_vectors(self) -> bool {
        !matches!(self, InputFormat::Tsv | InputFormat::Csv | InputFormat::Lines)
    }

    /// What its files are made of.
    pub fn container(self) -> Container {
        match self {
            InputFormat::Jsonl | InputFormat::Tsv | InputFormat::Lines | InputFormat::Anserini => {
                Container::Lines
            }
            InputFormat::Csv => Container::Csv,
            InputFormat::Parquet => Container::Rows(RowFile::Parquet),
            InputFormat::CsrNpz => Container::Rows(RowFile::Matrix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_a_format() {
        for format in InputFormat::ALL {
            assert_eq!(InputFormat::named(format.name()), Some(format));
        }
        assert_eq!(InputFormat::named("JSONL"), None);
        for (path, format) in [
            ("a/queries.tsv", InputFormat::Tsv),
            ("queries.tsv.gz", InputFormat::Tsv),
            ("queries.csv.zst", InputFormat::Csv),
            ("queries.jsonl.gz", InputFormat::Jsonl),
            ("tsv", InputFormat::Jsonl),
            ("-", InputFormat::Jsonl),
        ] {
            assert_eq!(InputFormat::of_path(Path::new(path)), format, "{path}");
        }
    }
}
