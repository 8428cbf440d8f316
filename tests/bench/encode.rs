//! How fast a model loads, answers a query and encodes documents, beside the stock forward of candle-transformers.
//!
//! ```text
//! cargo bench --bench encode -- [MODEL_DIR] [--threads NUM]
//! ```
//!
//! Without a folder the built-in model runs. A DistilBERT folder is also run by candle-transformers'
//! `DistilBertForMaskedLM`, in turn with ours, pooled in the published order over the full (T, V) logits. Every figure
//! is a median with its spread; speeds are shares of the multiply-add peak measured in the same run.

#![expect(unsafe_code, reason = "the peak is measured with the processor's own instructions")]
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used)]

mod peak;

use std::path::{Path, PathBuf};
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::distilbert::{Config, DistilBertForMaskedLM};
use neural_sparse::{EncoderOptions, ModelFiles, Side, SparseEncoder, SparseVector};

const QUERY: &str = "how long does it take to boil an egg";
const DOCUMENT_TOKENS: usize = 128;
const NUM_DOCUMENTS: usize = 16;
const ROUNDS: usize = 7;

fn main() {
    let (folder, num_threads) = arguments();
    let files = match &folder {
        Some(folder) => ModelFiles::folder("model", folder),
        None => ModelFiles::tiny(),
    };
    let (peak, instructions) = peak::multiply_add_peak(num_threads);
    println!("{num_threads} threads, multiply-add peak {:.1} GFLOP/s ({instructions})", peak / 1e9);

    let options = EncoderOptions { num_threads: Some(num_threads), ..EncoderOptions::default() };
    one_thread_a_product();
    let load = || SparseEncoder::load(&files, &options).unwrap();
    report("load", &mut times(ROUNDS, || drop(load())), |secs| format!("{:.1} ms", secs * 1e3));
    let encoder = load();
    let stock = folder.as_deref().and_then(|folder| Stock::load(folder, num_threads));
    let documents = documents(&encoder);

    if let Some(stock) = &stock {
        same_vectors(&encoder, stock, &documents[0]);
    }
    compare("query", 1, &encoder, stock.as_ref(), &[QUERY.to_string()], |secs| {
        format!("{:.1} ms", secs * 1e3)
    });
    let flop = NUM_DOCUMENTS as f64 * DOCUMENT_TOKENS as f64 * flop_per_token(folder.as_deref());
    let title = format!("{NUM_DOCUMENTS} documents of {DOCUMENT_TOKENS} tokens");
    compare(&title, NUM_DOCUMENTS, &encoder, stock.as_ref(), &documents, |secs| {
        format!(
            "{:.2} documents/s, {:.0} % of the peak",
            NUM_DOCUMENTS as f64 / secs,
            flop / secs / peak * 100.0
        )
    });
}

/// Times both sides in turn and prints their figures and the ratio of each pair.
fn compare(
    title: &str,
    num_texts: usize,
    encoder: &SparseEncoder,
    stock: Option<&Stock>,
    texts: &[String],
    figure: impl Fn(f64) -> String,
) {
    assert_eq!(num_texts, texts.len());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        one_thread_a_product();
        let mine = time(|| drop(encoder.encode(texts, Side::Document).unwrap()));
        let other = stock.map(|stock| time(|| stock.encode_all(encoder, texts)));
        // The first round warms up.
        if round > 0 {
            ours.push(mine);
            theirs.extend(other);
        }
    }
    let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| theirs / ours).collect();
    report(title, &mut ours, &figure);
    if stock.is_some() {
        report(&format!("{title}, candle-transformers"), &mut theirs, &figure);
        report(&format!("{title}, ratio"), &mut ratios, |ratio| format!("{ratio:.2}× as fast"));
    }
}

/// Prints the median and the two ends.
fn report(title: &str, values: &mut [f64], figure: impl Fn(f64) -> String) {
    values.sort_unstable_by(f64::total_cmp);
    let (low, middle, high) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{title}: {} ({} … {})", figure(middle), figure(low), figure(high));
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

/// Texts of exactly [`DOCUMENT_TOKENS`] tokens, each its own.
fn documents(encoder: &SparseEncoder) -> Vec<String> {
    let words = [
        "river", "house", "winter", "summer", "table", "market", "letter", "garden", "window", "story",
        "paper",
    ];
    let document = |seed: usize| {
        // The first two words number the document: a text that comes twice would be encoded once.
        let word = |place: usize| match place {
            0 => words[seed % words.len()],
            1 => words[seed / words.len()],
            _ => words[(place * place + seed * 3 + place) % words.len()],
        };
        let text = (0..DOCUMENT_TOKENS - 2).map(word).collect::<Vec<_>>().join(" ");
        assert_eq!(encoder.tokenizer().encode(&text).unwrap().ids.len(), DOCUMENT_TOKENS);
        text
    };
    (0..NUM_DOCUMENTS).map(document).collect()
}

/// Two operations for each parameter that a token meets: layers, head, vocabulary projection. Attention is not counted.
fn flop_per_token(folder: Option<&Path>) -> f64 {
    let config = match folder {
        Some(folder) => std::fs::read(folder.join("config.json")).unwrap(),
        None => include_bytes!("../../src/tiny/config.json").to_vec(),
    };
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    let size = |names: [&str; 2]| names.iter().find_map(|name| config[*name].as_f64()).unwrap();
    let (layers, hidden) = (size(["num_hidden_layers", "n_layers"]), size(["hidden_size", "dim"]));
    let (feed_forward, vocabulary) =
        (size(["intermediate_size", "hidden_dim"]), size(["vocab_size", "vocab_size"]));
    2.0 * hidden * (layers * (4.0 * hidden + 2.0 * feed_forward) + hidden + vocabulary)
}

/// candle starts as many threads for a product as this variable says, read at each.
fn one_thread_a_product() {
    std::env::set_var("RAYON_NUM_THREADS", "1");
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

/// Both sides compute the same thing, before either is timed. The stock GELU is another, hence the tolerance.
fn same_vectors(encoder: &SparseEncoder, stock: &Stock, text: &str) {
    let ours = encoder.encode(&[text], Side::Document).unwrap().remove(0).vector;
    let theirs = stock.encode(&encoder.tokenizer().encode(text).unwrap().ids);
    let largest = ours.intersection(&theirs).iter().map(|(_, a, b)| (a - b).abs()).fold(0.0, f32::max);
    let shared = ours.intersection(&theirs).len();
    assert!(largest < 0.02 && shared * 10 > ours.len() * 9, "{shared} of {} terms, {largest}", ours.len());
    println!("the stock vector agrees to {largest:.1e} (its GELU is the tanh form)");
}
