//! The best documents for a query.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A document that matches a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Its number in the index, from 0.
    pub document: u32,
    /// Its score, above 0.
    pub score: f32,
}

/// The best hits so far.
pub(super) struct Best {
    pub k: usize,
    /// The worst of them first.
    heap: BinaryHeap<Reverse<Ranked>>,
}

/// A hit, by its rank: greater is better.
#[derive(Clone, Copy, PartialEq)]
struct Ranked(Hit);

impl Eq for Ranked {}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.score.total_cmp(&other.0.score).then(other.0.document.cmp(&self.0.document))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Best {
    pub fn new(k: usize) -> Self {
        Best { k, heap: BinaryHeap::new() }
    }

    /// The score below which no document can be among the best any more.
    pub fn threshold(&self) -> f64 {
        match self.heap.peek() {
            _ if self.k == 0 => f64::INFINITY,
            Some(Reverse(worst)) if self.heap.len() == self.k => worst.0.score.into(),
            _ => 0.0,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub fn offer(&mut self, hit: Hit) {
        if hit.score <= 0.0 {
            return;
        }
        if self.heap.len() < self.k {
            self.heap.push(Reverse(Ranked(hit)));
        } else if let Some(mut worst) = self.heap.peek_mut() {
            if Ranked(hit) > worst.0 {
                *worst = Reverse(Ranked(hit));
            }
        }
    }

    pub fn into_hits(self) -> Vec<Hit> {
        self.heap.into_sorted_vec().into_iter().map(|Reverse(ranked)| ranked.0).collect()
    }
}
