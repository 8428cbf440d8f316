//! What an evaluation found, in figures.

/// A model on a collection.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The collection.
    pub data: String,
    /// The model as the user names it.
    pub model: String,
    /// The mean of each measure over all judged queries.
    pub means: Vec<f64>,
    /// The expected number of terms that a judged query and a document share.
    pub flops: f64,
    /// Mean terms of a judged query.
    pub query_terms: f64,
    /// Mean terms of a document.
    pub document_terms: f64,
    /// The share of the vocabulary that a query has no weight for: 1 - terms / V, as sentence-transformers'
    /// `sparsity_ratio`; `None` where V is not known.
    pub query_sparsity: Option<f64>,
    /// The same of a document.
    pub document_sparsity: Option<f64>,
    /// Size of the index.
    pub index_bytes: f64,
    /// Postings of a query's terms, on the mean.
    pub query_postings: f64,
    /// Queries that were answered a second.
    pub queries_per_second: f64,
    /// Judged queries.
    pub num_queries: usize,
    /// Judged queries that have hits.
    pub num_answered: usize,
    /// Documents of the index.
    pub num_documents: u32,
}

impl Evaluated {
    /// The mean of each figure over several collections, of which each counts once, however many queries it has; numbers
    /// of queries and documents are sums.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn average(all: &[Evaluated]) -> Evaluated {
        let count = all.len() as f64;
        let mean = |value: fn(&Evaluated) -> f64| all.iter().map(value).sum::<f64>() / count;
        let mean_known = |value: fn(&Evaluated) -> Option<f64>| {
            all.iter().map(value).sum::<Option<f64>>().map(|sum| sum / count)
        };
        let means = 0..all[0].means.len();
        Evaluated {
            data: "average".into(),
            model: all[0].model.clone(),
            means: means
                .map(|place| all.iter().map(|found| found.means[place]).sum::<f64>() / count)
                .collect(),
            flops: mean(|found| found.flops),
            query_terms: mean(|found| found.query_terms),
            document_terms: mean(|found| found.document_terms),
            query_sparsity: mean_known(|found| found.query_sparsity),
            document_sparsity: mean_known(|found| found.document_sparsity),
            index_bytes: mean(|found| found.index_bytes),
            query_postings: mean(|found| found.query_postings),
            queries_per_second: mean(|found| found.queries_per_second),
            num_queries: all.iter().map(|found| found.num_queries).sum(),
            num_answered: all.iter().map(|found| found.num_answered).sum(),
            num_documents: all.iter().map(|found| found.num_documents).sum(),
        }
    }
}
