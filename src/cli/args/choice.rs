//! Arguments that are one of several names.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

/// An argument that is one of these values, each with its name and what it means, which may be empty.
pub(in crate::cli) fn choice<T: Clone + Send + Sync + 'static>(
    values: impl IntoIterator<Item = (T, &'static str, &'static str)>,
) -> impl TypedValueParser<Value = T> {
    let values: Vec<(T, &str, &str)> = values.into_iter().collect();
    let shown = values.iter().map(|(_, name, meaning)| match meaning {
        &"" => PossibleValue::new(*name),
        meaning => PossibleValue::new(*name).help(*meaning),
    });
    let parser = PossibleValuesParser::new(shown.collect::<Vec<_>>());
    parser.map(move |given: String| {
        let found = values.iter().find(|(_, name, _)| *name == given);
        found.expect("one of the names, anything else is a bug").0.clone()
    })
}
