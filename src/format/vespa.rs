//! Vespa: a `put` a line, for a field of type `tensor<float>(t{})` whose labels are terms.

use super::{
    as_object, json, kept_fields, Findings, Format, FormatError, FormatOption, Keys, Options, Row, Terms,
};
use crate::input::{Keep, RowError};
use crate::sparse::SparseVector;

/// How things are called.
const NAMES: &str = "a name of Vespa's is letters, digits and `_`, a letter first";

#[derive(Debug)]
struct Vespa {
    vector_field: String,
    document_type: String,
    /// The fields that documents come with, as far as they are named.
    kept: Vec<String>,
}

pub(super) fn new(options: &Options) -> Result<Box<dyn Format>, FormatError> {
    let document_type = options.index_name.clone().unwrap_or_else(|| "doc".into());
    let names =
        [(FormatOption::IndexName, &document_type), (FormatOption::VectorField, &options.vector_field)];
    for (option, name) in names {
        if !is_field_name(name) {
            return Err(FormatError::value(option, name, NAMES));
        }
    }
    let kept = match &options.keep {
        Keep::Named(names) => names.clone(),
        Keep::Nothing | Keep::All => Vec::new(),
    };
    Ok(Box::new(Vespa { vector_field: options.vector_field.clone(), document_type, kept }))
}

/// Whether a field may have this name.
fn is_field_name(name: &str) -> bool {
    super::is_identifier(name) && !name.starts_with('_')
}

/// Whether Vespa takes a character for text. Source: `com.yahoo.text.Text.isTextCharacter`.
fn is_text(character: char) -> bool {
    match character as u32 {
        0x09 | 0x0a | 0x0d => true,
        0..0x20 | 0xfdd0..=0xfddf => false,
        point => point < 0x1_0000 || point & 0xfffe != 0xfffe,
    }
}

impl Format for Vespa {
    fn keys(&self) -> Keys {
        Keys::Names
    }

    fn takes(&self) -> &'static [FormatOption] {
        &[FormatOption::IndexName, FormatOption::Windows, FormatOption::Keep]
    }

    fn reserved_fields(&self) -> &'static [&'static str] {
        &[]
    }

    fn write_row(
        &self,
        row: &Row,
        terms: Terms,
        out: &mut Vec<u8>,
        _: &mut Findings,
    ) -> Result<(), RowError> {
        let id = row.id_text();
        if !id.chars().all(is_text) {
            return Err(RowError::new("an id with a control character, which Vespa refuses"));
        }
        let fields = row.fields();
        for field in kept_fields(&as_object(&fields)) {
            let name = &field.key;
            if !is_field_name(name) {
                return Err(RowError::new(format!("the field `{name}` cannot be kept: {NAMES}")));
            }
            if !super::all_characters(field.value.get(), is_text) {
                let reason = format!("the field `{name}` has a control character, which Vespa refuses");
                return Err(RowError::new(reason));
            }
        }
        let (name, kind) = (&self.vector_field, &self.document_type);
        let put = json::string(&format!("id:{kind}:{kind}::{id}"));
        out.extend_from_slice(
            format!("{{\"put\":{put},\"fields\":{{{fields}\"{name}\":{{\"cells\":").as_bytes(),
        );
        json::write_by_name(out, row.vector, terms);
        out.extend_from_slice(b"}}}\n");
        Ok(())
    }

    /// A schema; kept fields are strings in it. Matching is left to the query; the profile `sparse` ranks by the dot product.
    fn mapping(&self, _: usize) -> Option<String> {
        let (name, kind) = (&self.vector_field, &self.document_type);
        let field = |name: &String| {
            format!("        field {name} type string {{\n            indexing: summary\n        }}\n")
        };
        let kept: String = self.kept.iter().map(field).collect();
        Some(format!(
            "schema {kind} {{\n    document {kind} {{\n{kept}        field {name} type tensor<float>(t{{}}) {{\n            \
             indexing: attribute | summary\n        }}\n    }}\n    rank-profile sparse {{\n        inputs {{\n            \
             query(q) tensor<float>(t{{}})\n        }}\n        first-phase {{\n            \
             expression: sum(query(q) * attribute({name}))\n        }}\n    }}\n}}"
        ))
    }

    fn query(
        &self,
        vector: &SparseVector,
        terms: Terms,
        k: usize,
        _: &mut Findings,
    ) -> Result<Option<String>, RowError> {
        let (kind, cells) = (&self.document_type, json::by_name(vector, terms));
        Ok(Some(format!(
            "{{\"yql\":\"select * from {kind} where true\",\"ranking\":\"sparse\",\"hits\":{k},\
             \"input.query(q)\":{{\"cells\":{cells}}}}}"
        )))
    }
}
