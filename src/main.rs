//! The program: parse, run, turn the outcome into an exit code.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    // candle asks this variable, at each product, how many threads it may start. The
    // encoder runs texts side by side on threads of its own, so one is right; set
    // before any thread exists.
    std::env::set_var("RAYON_NUM_THREADS", "1");
    cli::run()
}
