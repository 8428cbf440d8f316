//! What a ranking is measured by, under the names that ir_measures gives.

mod parse;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;

use super::RunHit;

pub use parse::{parse_measures, MeasureError};

/// A measure of one query's ranking. The mean over queries has the same name.
///
/// It is read from and written in the form of ir_measures: a name, options in parentheses, `@` and a cutoff, as in
/// `nDCG@10`, `AP` and `RR(rel=2)@10`. A ranking is sorted as trec_eval sorts it, and only its first `cutoff` documents
/// count, all of them where there is no cutoff. Where no document is relevant, every measure but [`Measure::Judged`] is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// `nDCG`: Σ over ranks of grade / log2(rank + 1), over that sum for the best ranking of all judged documents, both
    /// up to the cutoff; negative grades are 0. trec_eval's `ndcg` and `ndcg_cut` (Järvelin and Kekäläinen 2002, with the
    /// discount of Burges et al. 2005).
    Ndcg {
        /// Ranks that count.
        cutoff: Option<NonZeroUsize>,
        /// See [`Relevant::judged_only`].
        judged_only: bool,
    },
    /// `AP`, average precision: Σ over the ranks of relevant documents of the precision at that rank, over the number of
    /// relevant documents. trec_eval's `map` and `map_cut`.
    Ap {
        /// Ranks that count.
        cutoff: Option<NonZeroUsize>,
        /// What is relevant.
        relevant: Relevant,
    },
    /// `RR`: 1 / rank of the first relevant document. trec_eval's `recip_rank`; with a cutoff as MS MARCO has it, but with
    /// ties in trec_eval's order.
    Rr {
        /// Ranks that count.
        cutoff: Option<NonZeroUsize>,
        /// What is relevant.
        relevant: Relevant,
    },
    /// `R`: share of the relevant documents that are found. trec_eval's `recall`.
    Recall {
        /// Ranks that count.
        cutoff: NonZeroUsize,
        /// What is relevant.
        relevant: Relevant,
    },
    /// `P`: relevant documents over the cutoff, even where fewer are found. trec_eval's `P`.
    Precision {
        /// Ranks that count.
        cutoff: NonZeroUsize,
        /// What is relevant.
        relevant: Relevant,
    },
    /// `Success`: 1 where a relevant document is found. trec_eval's `success`.
    Success {
        /// Ranks that count.
        cutoff: NonZeroUsize,
        /// What is relevant.
        relevant: Relevant,
    },
    /// `Judged`: share of the documents found that are judged, whatever their grade. OpenNIR's, as ir_measures has it, but
    /// with ties in trec_eval's order.
    Judged {
        /// Ranks that count.
        cutoff: Option<NonZeroUsize>,
    },
}

/// Which documents are relevant, and which are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Relevant {
    /// `rel`: the least grade that is relevant, at least 1.
    pub grade: i64,
    /// `judged_only`: documents that are not judged, or judged below 0, are taken out of the ranking first, as trec_eval
    /// does with `-J`.
    pub judged_only: bool,
}

impl Default for Relevant {
    fn default() -> Self {
        Relevant { grade: 1, judged_only: false }
    }
}

const fn ranks(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("more than 0")
}

impl Measure {
    /// What is measured unless something else is asked for: `nDCG@10`, `RR@10`, `R@100` and `AP`.
    pub const DEFAULT: [Measure; 4] = {
        let relevant = Relevant { grade: 1, judged_only: false };
        [
            Measure::Ndcg { cutoff: Some(ranks(10)), judged_only: false },
            Measure::Rr { cutoff: Some(ranks(10)), relevant },
            Measure::Recall { cutoff: ranks(100), relevant },
            Measure::Ap { cutoff: None, relevant },
        ]
    };

    /// What the measures of [`Measure::DEFAULT`] are called where nobody has asked for them by name.
    pub const DEFAULT_NAMES: [&'static str; 4] = ["ndcg@10", "mrr@10", "recall@100", "map"];

    /// The name without options and cutoff.
    pub fn name(&self) -> &'static str {
        match self {
            Measure::Ndcg { .. } => "nDCG",
            Measure::Ap { .. } => "AP",
            Measure::Rr { .. } => "RR",
            Measure::Recall { .. } => "R",
            Measure::Precision { .. } => "P",
            Measure::Success { .. } => "Success",
            Measure::Judged { .. } => "Judged",
        }
    }

    /// How many ranks count; `None` for all.
    pub fn cutoff(&self) -> Option<NonZeroUsize> {
        match *self {
            Measure::Ndcg { cutoff, .. }
            | Measure::Ap { cutoff, .. }
            | Measure::Rr { cutoff, .. }
            | Measure::Judged { cutoff } => cutoff,
            Measure::Recall { cutoff, .. }
            | Measure::Precision { cutoff, .. }
            | Measure::Success { cutoff, .. } => Some(cutoff),
        }
    }

    fn relevant(&self) -> Relevant {
        match *self {
            Measure::Ndcg { judged_only, .. } => Relevant { judged_only, ..Relevant::default() },
            Measure::Ap { relevant, .. }
            | Measure::Rr { relevant, .. }
            | Measure::Recall { relevant, .. }
            | Measure::Precision { relevant, .. }
            | Measure::Success { relevant, .. } => relevant,
            Measure::Judged { .. } => Relevant::default(),
        }
    }

    /// The value for a query's hits, which are sorted, and its judgements; 0 without hits.
    ///
    /// Sums are taken in the order of the ranks, as in trec_eval, so that its figures come out to the last bit.
    pub fn value(&self, hits: &[RunHit], grades: &HashMap<String, i64>) -> f64 {
        let Relevant { grade, judged_only } = self.relevant();
        let cutoff = self.cutoff().map_or(usize::MAX, NonZeroUsize::get);
        let judged = hits.iter().map(|hit| grades.get(&hit.document).copied());
        let found: Vec<Option<i64>> = judged
            .filter(|found| !judged_only || found.is_some_and(|found| found >= 0))
            .take(cutoff)
            .collect();
        let is_relevant = |found: &Option<i64>| found.is_some_and(|found| found >= grade);
        let hit_ranks = || {
            found.iter().zip(1u32..).filter(|(found, _)| is_relevant(found)).map(|(_, rank)| f64::from(rank))
        };
        let num_relevant = grades.values().filter(|&&other| other >= grade).count() as f64;
        match self {
            Measure::Judged { .. } => {
                let count = found.iter().flatten().count();
                count as f64 / found.len().max(1) as f64
            }
            // Nothing below would be a number.
            _ if num_relevant == 0.0 => 0.0,
            Measure::Ndcg { .. } => {
                let mut best: Vec<i64> = grades.values().copied().collect();
                best.sort_unstable_by_key(|&grade| std::cmp::Reverse(grade));
                let found = found.iter().map(|found| found.unwrap_or(0));
                discounted_gain(found) / discounted_gain(best.into_iter().take(cutoff))
            }
            Measure::Ap { .. } => {
                let precisions = hit_ranks().zip(1u32..).map(|(rank, so_far)| f64::from(so_far) / rank);
                precisions.fold(0.0, |sum, precision| sum + precision) / num_relevant
            }
            Measure::Rr { .. } => hit_ranks().next().map_or(0.0, |rank| 1.0 / rank),
            Measure::Recall { .. } => hit_ranks().count() as f64 / num_relevant,
            Measure::Precision { cutoff, .. } => hit_ranks().count() as f64 / cutoff.get() as f64,
            Measure::Success { .. } => f64::from(u8::from(hit_ranks().next().is_some())),
        }
    }
}

/// DCG of grades from the first rank on.
fn discounted_gain(grades: impl Iterator<Item = i64>) -> f64 {
    let gains = grades.enumerate().filter(|(_, grade)| *grade > 0);
    gains.fold(0.0, |sum, (place, grade)| sum + grade as f64 / ((place + 2) as f64).log2())
}

/// As ir_measures writes it.
impl fmt::Display for Measure {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        let Relevant { grade, judged_only } = self.relevant();
        let mut options = Vec::new();
        if grade != 1 {
            options.push(format!("rel={grade}"));
        }
        if judged_only {
            options.push("judged_only=True".into());
        }
        out.write_str(self.name())?;
        if !options.is_empty() {
            write!(out, "({})", options.join(","))?;
        }
        match self.cutoff() {
            Some(cutoff) => write!(out, "@{cutoff}"),
            None => Ok(()),
        }
    }
}
