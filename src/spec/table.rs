//! Where the table of a query side is: a weight for each token, no forward pass.

use super::checkpoint::CheckpointSpec;
use super::keys::SettingsFile;
use super::reader::SettingsReader;
use super::tokenizer::TokenizerSpec;
use crate::error::Error;
use crate::source::{path_in, ModelFiles};

/// The folder of the table in repositories of opensearch-project.
pub(crate) const TABLE_FOLDER: &str = "query_0_SparseStaticEmbedding";

const IDF_JSON: &str = "idf.json";
const TOKEN_WEIGHTS_TXT: &str = "query_token_weights.txt";
const TENSORS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];

/// Where a table of token weights is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableSource {
    /// The folder of its module below the model's files, `""` for themselves: its tokenizer may be there too.
    pub folder: String,
    /// The file in that folder; empty where there is none.
    pub name: String,
    pub kind: TableKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TableKind {
    /// An object of terms and weights.
    Json,
    /// `token<TAB>weight` a line: the table without its ones.
    Text,
    /// A tensor (V) by token id.
    Tensor,
    /// There is none: every token weighs 1.
    Ones,
    /// The tensor that is compiled in.
    BuiltIn,
}

/// A table and the tokenizer of the texts that are looked up in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TableSpec {
    pub source: TableSource,
    pub tokenizer: TokenizerSpec,
}

impl TableSource {
    /// The table beside a model's own files, if there is one. The tensor and the JSON list every token; the text file
    /// omits tokens of weight 1.
    pub fn beside(files: &ModelFiles) -> Result<Option<Self>, Error> {
        if files.within(TABLE_FOLDER).contains(TENSORS[0])? {
            return Ok(Some(TableSource::at(TABLE_FOLDER, TENSORS[0], TableKind::Tensor)));
        }
        for (name, kind) in [(IDF_JSON, TableKind::Json), (TOKEN_WEIGHTS_TXT, TableKind::Text)] {
            if files.contains(name)? {
                return Ok(Some(TableSource::at("", name, kind)));
            }
        }
        Ok(None)
    }

    fn at(folder: &str, name: &str, kind: TableKind) -> Self {
        TableSource { folder: folder.to_string(), name: name.to_string(), kind }
    }

    /// No table: the weight 1 for every token.
    pub fn ones() -> Self {
        TableSource::at("", "", TableKind::Ones)
    }

    /// The table that is compiled in, of the model that these files are a copy of.
    pub fn built_in() -> Self {
        TableSource::at(TABLE_FOLDER, TENSORS[0], TableKind::BuiltIn)
    }

    /// The table of a `SparseStaticEmbedding` in `folder`: the JSON that its config names, else its tensor.
    ///
    /// Copies of a model may lack the folder's contents; a table beside the model is then the same one.
    pub fn module(reader: &mut SettingsReader, folder: &str) -> Result<Self, Error> {
        let files = reader.files();
        let inside = files.within(folder);
        let config = reader.module(folder, SettingsFile::SparseStaticEmbedding)?;
        if let Some(path) = config.get("path") {
            let name = path.as_str().filter(|path| path.ends_with(".json"));
            // A path of the machine that saved it: what counts is the file's name, in the folder of the module.
            let name = name.and_then(|path| path.rsplit(['/', '\\']).next()).unwrap_or_default();
            let reason = || format!("`path` is {path}, and no such JSON file is beside it");
            if name.is_empty() {
                return Err(config.invalid(reason()));
            }
            if !inside.contains(name)? {
                return Err(config.lacks(inside.inside(name), reason()));
            }
            return Ok(TableSource::at(folder, name, TableKind::Json));
        }
        for name in TENSORS {
            if inside.contains(name)? {
                return Ok(TableSource::at(folder, name, TableKind::Tensor));
            }
        }
        TableSource::beside(files)?.ok_or_else(|| Error::NoModel {
            place: files.describe(folder),
            reason: "this module's table is not there, and neither `idf.json` nor `query_token_weights.txt` stands \
                     beside the model"
                .into(),
            file: inside.inside(TENSORS[0]),
        })
    }

    /// The checkpoint that holds a table's tensor.
    pub fn checkpoint(&self) -> CheckpointSpec {
        CheckpointSpec::of_file(&self.folder, &self.name)
    }

    /// The file below the model's; `None` where the table is none of them.
    pub fn path(&self) -> Option<String> {
        match self.kind {
            TableKind::Ones | TableKind::BuiltIn => None,
            _ => Some(path_in(&self.folder, &self.name)),
        }
    }
}
