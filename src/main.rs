//! The program: parse, run, turn the outcome into an exit code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // candle asks this variable, at each product, how many threads it may start. Only
    // the second opinion of `model verify` multiplies with it on the CPU, where one is
    // enough and its figures do not depend on the number of processors; set before any
    // thread exists.
    std::env::set_var("RAYON_NUM_THREADS", "1");
    cli::run()
}
