//! The heading that each option stands under, in every subcommand that has it.

/// The options under each heading. Those of single stores name their store themselves.
const HEADINGS: [(&str, &str); 8] = [
    (
        "Input",
        "input input-format text-field id-field query-field document-field input-vector-field \
         vector-keys input-quantize queries max-line-bytes on-error shard golden",
    ),
    (
        "Output",
        "output format vector-field keep keep-all codec rejects resume force summary explain fields \
         top verify json html csv",
    ),
    ("Model", "model as dialect decoder device precision threads batch-tokens"),
    ("Hub", "revision offline"),
    ("Vectors", "top-k prune decimals"),
    ("Long texts", "max-length max-lengths on-long chunk-overlap chunk-rows"),
    ("Search", "index k any-model"),
    ("Evaluation", "data split run qrels compare measures baseline keep-quality save-run per-query cache"),
];

/// The heading of the option `long`; one that is not listed belongs to its subcommand alone.
pub(super) fn of(long: &str) -> &'static str {
    let found = HEADINGS.iter().find(|(_, options)| options.split(' ').any(|option| option == long));
    found.map_or("This command", |(heading, _)| heading)
}
