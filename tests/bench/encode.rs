//! How fast a model loads, answers a query and encodes documents, beside what this machine could do at most.
//!
//! ```text
//! cargo bench --bench encode -- [MODEL_DIR] [--threads NUM]
//! ```
//!
//! Without a folder the built-in model runs. Speeds are shares of the multiply-add peak, a query's time a multiple of
//! what reading the parameters or multiplying with them takes at least; both limits are measured in the same run. A
//! DistilBERT folder is also run by candle-transformers' `DistilBertForMaskedLM`, in turn with ours, pooled in the
//! published order over the full (T, V) logits. Every figure is a median with its spread.

#![expect(unsafe_code, reason = "the peak is measured with the processor's own instructions")]
#![allow(missing_docs, dead_code, clippy::print_stdout, clippy::unwrap_used)]

mod peak;

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::distilbert::{Config, DistilBertForMaskedLM};
use neural_sparse::{EncoderOptions, ModelFiles, Side, SparseEncoder, SparseVector};

/// 12 tokens, [CLS] and [SEP] included.
const QUERY: &str = "how long does it take to boil an egg here";
const DOCUMENT_TOKENS: usize = 128;
const NUM_DOCUMENTS: usize = 16;
const ROUNDS: usize = 7;
const QUERIES: usize = 20;

fn main() {
    let (folder, num_threads) = arguments();
    let files = match &folder {
        Some(folder) => ModelFiles::folder("model", folder),
        None => ModelFiles::tiny(),
    };
    let (peak, instructions) = peak::multiply_add_peak(num_threads);
    let bandwidth = peak::read_bandwidth(num_threads);
    println!(
        "{num_threads} threads: multiply-add peak {:.1} GFLOP/s ({instructions}), reading {:.1} GB/s",
        peak / 1e9,
        bandwidth / 1e9
    );

    one_thread_a_product();
    let load = |num_threads: usize, without_screen: bool| {
        let options =
            EncoderOptions { num_threads: Some(num_threads), without_screen, ..EncoderOptions::default() };
        SparseEncoder::load(&files, &options).unwrap()
    };
    report("load", times(ROUNDS, || drop(load(num_threads, false))), milliseconds);
    let [encoder, unscreened, single] =
        [(num_threads, false), (num_threads, true), (1, false)].map(|(threads, off)| load(threads, off));
    println!("arithmetic: {}", encoder.instruction_set().name());
    let size = Size::of(folder.as_deref());
    let documents = documents(&encoder, NUM_DOCUMENTS, DOCUMENT_TOKENS);
    same_vectors(&encoder, &unscreened, &documents);

    let tokens = encoder.tokenizer().encode(QUERY).unwrap().ids.len();
    let bytes = size.bytes(encoder.screen_count().pairs > 0);
    let (reading, multiplying) = (bytes / bandwidth, size.flop(tokens) / peak);
    println!(
        "a query of {tokens} tokens: reading {:.0} MB takes {:.1} ms at least, multiplying {:.1} ms",
        bytes / 1e6,
        reading * 1e3,
        multiplying * 1e3
    );
    // Several at a time: a query is warm when the one before it was one too.
    let queries = |encoder| move || (0..QUERIES).for_each(|_| encode(encoder, &[QUERY.to_string()]));
    let query = in_turn([queries(&encoder), queries(&unscreened)]);
    for (title, times) in ["query", "query, every logit"].into_iter().zip(query) {
        report(title, times, |secs| {
            let secs = secs / QUERIES as f64;
            format!("{:.1} ms, {:.2} times the limit", secs * 1e3, secs / reading.max(multiplying))
        });
    }

    let flop = NUM_DOCUMENTS as f64 * size.flop(DOCUMENT_TOKENS);
    let documents_a_second = |secs: f64| {
        format!("{:.2}/s, {:.0} % of the peak", NUM_DOCUMENTS as f64 / secs, flop / secs / peak * 100.0)
    };
    let title = format!("{NUM_DOCUMENTS} documents of {DOCUMENT_TOKENS} tokens");
    let [ours, whole, alone] =
        in_turn([&encoder, &unscreened, &single].map(|encoder| || encode(encoder, &documents)));
    let scaling = ratios(&alone, &ours);
    report(&title, ours, documents_a_second);
    report(&format!("{title}, every logit"), whole, documents_a_second);
    report(&format!("{title}, one thread"), alone, documents_a_second);
    report(&format!("{title}, {num_threads} threads against one"), scaling, times_as_fast);

    for tokens in [16, 64, 256, 512] {
        let texts = self::documents(&encoder, 4096 / tokens, tokens);
        let [times] = in_turn([|| encode(&encoder, &texts)]);
        report(&format!("{} documents of {tokens} tokens", texts.len()), times, |secs| {
            let speed = size.flop(4096) / secs;
            format!("{:.0} tokens/s, {:.0} % of the peak", 4096.0 / secs, speed / peak * 100.0)
        });
    }

    if let Some(stock) = folder.as_deref().and_then(|folder| Stock::load(folder, num_threads)) {
        agrees(&encoder, &stock, &documents[0]);
        for (title, texts) in [("query", &[QUERY.to_string()][..]), (&title, &documents)] {
            let run = |is_ours: bool| {
                let (encoder, stock) = (&encoder, &stock);
                move || if is_ours { encode(encoder, texts) } else { stock.encode_all(encoder, texts) }
            };
            let [ours, theirs] = in_turn([run(true), run(false)]);
            let ratios = ratios(&theirs, &ours);
            report(&format!("{title}, candle-transformers"), theirs, milliseconds);
            report(&format!("{title}, against candle-transformers"), ratios, times_as_fast);
        }
    }
}

fn encode(encoder: &SparseEncoder, texts: &[String]) {
    one_thread_a_product();
    drop(encoder.encode(texts, Side::Document).unwrap());
}

/// The times of each, in turn with the others, after two rounds that warm up.
fn in_turn<const N: usize>(mut runs: [impl FnMut(); N]) -> [Vec<f64>; N] {
    let mut all = [(); N].map(|()| Vec::new());
    for round in 0..ROUNDS + 2 {
        for (times, run) in all.iter_mut().zip(&mut runs) {
            let secs = time(run);
            if round >= 2 {
                times.push(secs);
            }
        }
    }
    all
}

/// How often each of `ours` goes into its one of `theirs`.
fn ratios(theirs: &[f64], ours: &[f64]) -> Vec<f64> {
    theirs.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect()
}

/// Prints the median and the two ends.
fn report(title: &str, mut values: Vec<f64>, figure: impl Fn(f64) -> String) {
    values.sort_unstable_by(f64::total_cmp);
    let (low, middle, high) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{title}: {} ({} … {})", figure(middle), figure(low), figure(high));
}

fn milliseconds(secs: f64) -> String {
    format!("{:.1} ms", secs * 1e3)
}

fn times_as_fast(ratio: f64) -> String {
    format!("{ratio:.2} times as fast")
}

fn times(rounds: usize, mut run: impl FnMut()) -> Vec<f64> {
    (0..rounds).map(|_| time(&mut run)).collect()
}

fn time(run: impl FnOnce()) -> f64 {
    let start = Instant::now();
    run();
    start.elapsed().as_secs_f64()
}

fn arguments() -> (Option<PathBuf>, usize) {
    let mut folder = None;
    let mut num_threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--threads" => {
                num_threads = arguments.next().and_then(|number| number.parse().ok()).expect("--threads NUM")
            }
            _ => folder = Some(PathBuf::from(argument)),
        }
    }
    (folder, num_threads)
}

/// Texts of exactly so many tokens, each its own.
fn documents(encoder: &SparseEncoder, count: usize, num_tokens: usize) -> Vec<String> {
    let words = [
        "river", "house", "winter", "summer", "table", "market", "letter", "garden", "window", "story",
        "paper",
    ];
    let document = |seed: usize| {
        // The first three words number the document: a text that comes twice would be encoded once.
        let word = |place: usize| match place {
            0..3 => words[seed / words.len().pow(place as u32) % words.len()],
            _ => words[(place * place + seed * 3 + place) % words.len()],
        };
        let mut text = (0..num_tokens - 2).map(word).collect::<Vec<_>>().join(" ");
        let tokens = |text: &str| encoder.tokenizer().num_tokens(text).unwrap();
        // Some vocabularies have a word in pieces.
        while tokens(&text) > num_tokens {
            text.truncate(text.rfind(' ').unwrap());
        }
        while tokens(&text) < num_tokens {
            text.push_str(" ,");
        }
        assert_eq!(tokens(&text), num_tokens);
        text
    };
    (0..count).map(document).collect()
}

/// The sizes that decide what a forward pass costs.
struct Size {
    /// Parameters of the layers and the head.
    dense: f64,
    /// Parameters of the vocabulary projection.
    decoder: f64,
}

impl Size {
    fn of(folder: Option<&Path>) -> Size {
        let config = match folder {
            Some(folder) => std::fs::read(folder.join("config.json")).unwrap(),
            None => include_bytes!("../../src/source/builtin/tiny/config.json").to_vec(),
        };
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        let size = |names: [&str; 2]| names.iter().find_map(|name| config[*name].as_f64()).unwrap();
        let (layers, hidden) = (size(["num_hidden_layers", "n_layers"]), size(["hidden_size", "dim"]));
        let (feed_forward, vocabulary) =
            (size(["intermediate_size", "hidden_dim"]), size(["vocab_size", "vocab_size"]));
        // A gated block has one product more.
        let is_gated = ["modernbert", "new"].contains(&config["model_type"].as_str().unwrap());
        let products = if is_gated { 3.0 } else { 2.0 };
        Size {
            dense: hidden * (layers * (4.0 * hidden + products * feed_forward) + hidden),
            decoder: hidden * vocabulary,
        }
    }

    /// Two operations for each parameter that a token meets; attention is not counted.
    fn flop(&self, num_tokens: usize) -> f64 {
        2.0 * num_tokens as f64 * (self.dense + self.decoder)
    }

    /// What is read at least once: f32, but for the vocabulary where a screen has it in bytes.
    fn bytes(&self, is_screened: bool) -> f64 {
        4.0 * self.dense + if is_screened { 1.0 } else { 4.0 } * self.decoder
    }
}

/// candle starts as many threads for a product as this variable says, read at each.
fn one_thread_a_product() {
    std::env::set_var("RAYON_NUM_THREADS", "1");
}

/// A screen changes nothing, before either way is timed.
fn same_vectors(encoder: &SparseEncoder, unscreened: &SparseEncoder, texts: &[String]) {
    let ours = encoder.encode(texts, Side::Document).unwrap();
    assert_eq!(ours, unscreened.encode(texts, Side::Document).unwrap());
    let count = encoder.screen_count();
    println!(
        "the same vectors with and without the screen, which left {} of {} logits",
        count.computed, count.pairs
    );
}

/// candle-transformers' own DistilBERT.
struct Stock {
    model: DistilBertForMaskedLM,
    num_threads: usize,
}

impl Stock {
    fn load(folder: &Path, num_threads: usize) -> Option<Stock> {
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        if config["model_type"] != "distilbert" {
            return None;
        }
        // A key that it asks for and only training uses.
        config["initializer_range"] = 0.02.into();
        let config: Config = serde_json::from_value(config).unwrap();
        let path = folder.join("model.safetensors");
        // SAFETY: nobody writes to the file while it is measured.
        let tensors =
            unsafe { VarBuilder::from_mmaped_safetensors(&[path], DType::F32, &Device::Cpu) }.unwrap();
        Some(Stock { model: DistilBertForMaskedLM::load(tensors, &config).unwrap(), num_threads })
    }

    fn encode_all(&self, encoder: &SparseEncoder, texts: &[String]) {
        std::env::set_var("RAYON_NUM_THREADS", self.num_threads.to_string());
        for text in texts {
            self.encode(&encoder.tokenizer().encode(text).unwrap().ids);
        }
    }

    fn encode(&self, ids: &[u32]) -> SparseVector {
        let ids = Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
        // This model masks what is not 0.
        let mask = Tensor::zeros((1, 1, 1, ids.dim(1).unwrap()), DType::U8, &Device::Cpu).unwrap();
        let logits = self.model.forward(&ids, &mask).unwrap().squeeze(0).unwrap();
        let weights = (logits.relu().unwrap() + 1.0).unwrap().log().unwrap().max(0).unwrap();
        SparseVector::from_dense(&weights.to_vec1::<f32>().unwrap())
    }
}

/// Both compute the same thing, before either is timed. The stock GELU is another, hence the tolerance.
fn agrees(encoder: &SparseEncoder, stock: &Stock, text: &str) {
    let ours = encoder.encode(&[text], Side::Document).unwrap().remove(0).vector;
    let theirs = stock.encode(&encoder.tokenizer().encode(text).unwrap().ids);
    let largest = ours.intersection(&theirs).iter().map(|(_, a, b)| (a - b).abs()).fold(0.0, f32::max);
    let shared = ours.intersection(&theirs).len();
    assert!(largest < 0.02 && shared * 10 > ours.len() * 9, "{shared} of {} terms, {largest}", ours.len());
    println!("the stock vector agrees to {largest:.1e} (its GELU is the tanh form)");
}
