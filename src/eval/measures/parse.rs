//! Measures as ir_measures writes them: `Name(option=value,…)@cutoff`.

use std::num::NonZeroUsize;
use std::str::FromStr;

use super::{Measure, Relevant};

/// Why text is no measure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// No measure has this name.
    #[error("no measure is called `{0}`; the measures are nDCG, AP, RR, R, P, Success and Judged")]
    Unknown(String),
    /// It is not written as measures are.
    #[error("`{0}` is not written as a measure is: Name, Name@cutoff or Name(rel=2)@cutoff")]
    Form(String),
    /// The measure has no such option.
    #[error("{measure} has no option `{option}`, only {known}")]
    Option {
        /// The measure's name.
        measure: &'static str,
        /// The option.
        option: String,
        /// Those that it has.
        known: &'static str,
    },
    /// An option cannot have this value.
    #[error("`{option}={value}`: expected {expected}")]
    Value {
        /// The option.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it could be.
        expected: &'static str,
    },
    /// A cutoff is given twice, or an option.
    #[error("`{0}` gives `{1}` twice")]
    Twice(String, &'static str),
    /// The measure is nothing without a cutoff.
    #[error("{0} needs a cutoff, as in {0}@10")]
    NoCutoff(&'static str),
}

/// Reads a list of measures with commas between them; one that is named twice counts once.
///
/// # Errors
///
/// That of the first that is none.
pub fn parse_measures(list: &str) -> Result<Vec<Measure>, MeasureError> {
    let mut depth = 0i32;
    // A comma between two options is none between two measures.
    let parts = list.split(|character| {
        depth += i32::from(character == '(') - i32::from(character == ')');
        character == ',' && depth <= 0
    });
    let mut measures = Vec::new();
    for part in parts {
        let measure = part.parse()?;
        if !measures.contains(&measure) {
            measures.push(measure);
        }
    }
    Ok(measures)
}

/// The options of a measure, as far as they are given.
#[derive(Default)]
struct Options {
    cutoff: Option<NonZeroUsize>,
    rel: Option<i64>,
    judged_only: Option<bool>,
}

const NAMES: [(&str, &str); 12] = [
    ("nDCG", "nDCG"),
    ("NDCG", "nDCG"),
    ("AP", "AP"),
    ("MAP", "AP"),
    ("RR", "RR"),
    ("MRR", "RR"),
    ("R", "R"),
    ("Recall", "R"),
    ("P", "P"),
    ("Precision", "P"),
    ("Success", "Success"),
    ("Judged", "Judged"),
];

impl FromStr for Measure {
    type Err = MeasureError;

    fn from_str(text: &str) -> Result<Self, MeasureError> {
        let text = text.trim();
        let wrong_form = || MeasureError::Form(text.to_string());
        let (before, cutoff) = match text.rsplit_once('@') {
            Some((before, cutoff)) => (before.trim_end(), Some(cutoff.trim())),
            None => (text, None),
        };
        let (name, inside) = match before.split_once('(') {
            Some((name, rest)) => (name.trim_end(), Some(rest.strip_suffix(')').ok_or_else(wrong_form)?)),
            None => (before, None),
        };
        if name.is_empty() || !name.chars().all(|character| character.is_alphanumeric() || character == '_') {
            return Err(wrong_form());
        }
        let known = NAMES.iter().find(|(written, _)| *written == name);
        let &(_, name) = known.ok_or_else(|| MeasureError::Unknown(name.to_string()))?;
        let mut options = Options::default();
        for option in
            inside.into_iter().filter(|inside| !inside.trim().is_empty()).flat_map(|inside| inside.split(','))
        {
            let (key, value) = option.split_once('=').ok_or_else(wrong_form)?;
            options.set(text, name, key.trim(), value.trim())?;
        }
        if let Some(cutoff) = cutoff {
            options.set(text, name, "cutoff", cutoff)?;
        }
        options.measure(name)
    }
}

impl Options {
    fn set(
        &mut self,
        text: &str,
        measure: &'static str,
        option: &str,
        value: &str,
    ) -> Result<(), MeasureError> {
        let wrong = |option, expected| MeasureError::Value { option, value: value.to_string(), expected };
        let known = match measure {
            "nDCG" => "cutoff and judged_only",
            "Judged" => "cutoff",
            _ => "cutoff, rel and judged_only",
        };
        // Each option's name ends at a comma, a space or the end.
        let is_known = known.split([',', ' ']).any(|name| name == option) && option != "and";
        let twice = match option {
            "cutoff" if is_known => {
                let number = value.parse().map_err(|_| wrong("cutoff", "a whole number above 0"))?;
                self.cutoff.replace(number).map(|_| "cutoff")
            }
            "rel" if is_known => {
                let grade = value.parse().ok().filter(|grade| *grade >= 1);
                let grade = grade.ok_or_else(|| wrong("rel", "a whole number above 0"))?;
                self.rel.replace(grade).map(|_| "rel")
            }
            "judged_only" if is_known => {
                let only = match value {
                    "True" => true,
                    "False" => false,
                    _ => return Err(wrong("judged_only", "True or False")),
                };
                self.judged_only.replace(only).map(|_| "judged_only")
            }
            _ => return Err(MeasureError::Option { measure, option: option.to_string(), known }),
        };
        twice.map_or(Ok(()), |option| Err(MeasureError::Twice(text.to_string(), option)))
    }

    fn measure(self, name: &'static str) -> Result<Measure, MeasureError> {
        let cutoff = self.cutoff;
        let judged_only = self.judged_only.unwrap_or(false);
        let relevant = Relevant { grade: self.rel.unwrap_or(1), judged_only };
        let needed = || cutoff.ok_or(MeasureError::NoCutoff(name));
        Ok(match name {
            "nDCG" => Measure::Ndcg { cutoff, judged_only },
            "AP" => Measure::Ap { cutoff, relevant },
            "RR" => Measure::Rr { cutoff, relevant },
            "R" => Measure::Recall { cutoff: needed()?, relevant },
            "P" => Measure::Precision { cutoff: needed()?, relevant },
            "Success" => Measure::Success { cutoff: needed()?, relevant },
            _ => Measure::Judged { cutoff },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What ir_measures 0.4.3 makes of each: `str(parse_measure(text))` after `validate_params()`.
    #[test]
    fn measures_are_written_as_ir_measures_writes_them() {
        for (text, expected) in [
            ("nDCG@10", "nDCG@10"),
            ("nDCG", "nDCG"),
            ("NDCG@10", "nDCG@10"),
            ("nDCG(judged_only=True)@10", "nDCG(judged_only=True)@10"),
            ("AP", "AP"),
            ("MAP", "AP"),
            ("AP@100", "AP@100"),
            ("AP(rel=2)", "AP(rel=2)"),
            ("AP(judged_only=False)", "AP"),
            ("RR", "RR"),
            ("MRR@10", "RR@10"),
            ("RR(rel=2)@10", "RR(rel=2)@10"),
            ("RR(rel=1)@10", "RR@10"),
            ("R(rel=2)@1000", "R(rel=2)@1000"),
            ("Recall@5", "R@5"),
            ("P( rel = 2 )@20", "P(rel=2)@20"),
            ("P(cutoff=5)", "P@5"),
            ("Precision@5", "P@5"),
            ("Success@5", "Success@5"),
            ("Judged", "Judged"),
            ("Judged@10", "Judged@10"),
            ("P(rel=2,judged_only=True)@5", "P(rel=2,judged_only=True)@5"),
        ] {
            assert_eq!(
                text.parse::<Measure>().map(|measure| measure.to_string()),
                Ok(expected.into()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_measure_is_refused() {
        for text in [
            "ndcg@10",
            "Foo@3",
            "P",
            "R",
            "Success",
            "P@0",
            "P@-1",
            "nDCG@1e3",
            "RR@10(rel=2)",
            "AP@10@5",
            "nDCG(rel=2)@10",
            "Judged(rel=2)@10",
            "AP(rel=0)",
            "AP(rel=x)",
            "AP(2)",
            "AP(rel=2",
            "",
            "@10",
            "P(cutoff=5)@5",
            "AP(rel=1,rel=2)",
            "AP(judged_only=1)",
            "AP(and=1)",
            "nDCG(dcg='exp-log2')@10",
        ] {
            assert!(text.parse::<Measure>().is_err(), "{text}");
        }
        let unknown = "ndcg@10".parse::<Measure>().expect_err("not its name").to_string();
        assert!(
            unknown.contains("`ndcg`") && unknown.contains("nDCG, AP, RR, R, P, Success and Judged"),
            "{unknown}"
        );
    }

    #[test]
    fn a_list_has_commas_between_measures_and_within_them() {
        let list = parse_measures("nDCG@10, P(rel=2,judged_only=True)@5,MRR@10,RR@10").expect("measures");
        let written: Vec<String> = list.iter().map(Measure::to_string).collect();
        assert_eq!(written, ["nDCG@10", "P(rel=2,judged_only=True)@5", "RR@10"]);
        assert!(parse_measures("nDCG@10,,AP").is_err());
        assert!(parse_measures("").is_err());
    }
}
