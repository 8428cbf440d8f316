//! What this machine could do if nothing ever waited: its multiply-add peak, and how fast it reads memory.

use std::hint::black_box;
use std::time::Instant;

/// f32 multiply-adds per second, two operations each, on `num_threads` threads together, and the instructions used.
pub fn multiply_add_peak(num_threads: usize) -> (f64, &'static str) {
    let (kernel, name) = kernel();
    // Once unmeasured: clocks rise, threads start.
    kernel(1 << 20);
    let rounds = 1 << 24;
    let run = || {
        let start = Instant::now();
        let flop: f64 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..num_threads).map(|_| scope.spawn(|| kernel(rounds))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        });
        flop / start.elapsed().as_secs_f64()
    };
    // The largest of a few: a peak is what the machine can do when nobody disturbs it.
    ((0..5).map(|_| run()).fold(0.0, f64::max), name)
}

/// The peak of the calling thread at this moment, in operations per second: a millisecond or two.
pub fn multiply_add_now() -> f64 {
    let start = Instant::now();
    let flop = kernel().0(1 << 18);
    flop / start.elapsed().as_secs_f64()
}

/// Bytes per second that `num_threads` threads read together from memory that no cache holds.
pub fn read_bandwidth(num_threads: usize) -> f64 {
    let data: Vec<u64> = (0..32 << 20).collect();
    let read = |share: &[u64]| {
        let mut sums = [0u64; 32];
        for chunk in share.chunks_exact(32) {
            for (sum, value) in sums.iter_mut().zip(chunk) {
                *sum ^= value;
            }
        }
        black_box(sums);
    };
    let run = || {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for share in data.chunks(data.len() / num_threads) {
                scope.spawn(|| read(share));
            }
        });
        size_of_val(&data[..]) as f64 / start.elapsed().as_secs_f64()
    };
    (0..5).map(|_| run()).fold(0.0, f64::max)
}

/// A loop of independent multiply-adds: takes the number of rounds, returns the operations done.
type InstructionSet = fn(usize) -> f64;

/// Enough independent chains to hide the latency of a multiply-add on two ports.
const CHAINS: usize = 12;

#[cfg(target_arch = "x86_64")]
fn kernel() -> (InstructionSet, &'static str) {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the feature has just been detected.
        (|rounds| unsafe { avx512(rounds) }, "AVX-512")
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features have just been detected.
        (|rounds| unsafe { avx2(rounds) }, "AVX2 and FMA")
    } else {
        (portable, "portable code")
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn kernel() -> (InstructionSet, &'static str) {
    (portable, "portable code")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn avx512(rounds: usize) -> f64 {
    use std::arch::x86_64::{_mm512_fmadd_ps, _mm512_set1_ps};
    let mut sums = [_mm512_set1_ps(black_box(1.0)); CHAINS];
    let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(0.001)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
    (rounds * CHAINS * 16 * 2) as f64
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2(rounds: usize) -> f64 {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let mut sums = [_mm256_set1_ps(black_box(1.0)); CHAINS];
    let (a, b) = (_mm256_set1_ps(black_box(0.999)), _mm256_set1_ps(black_box(0.001)));
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
    (rounds * CHAINS * 8 * 2) as f64
}

fn portable(rounds: usize) -> f64 {
    let mut sums = [[black_box(1.0f32); 8]; CHAINS];
    let (a, b) = (black_box(0.999f32), black_box(0.001f32));
    for _ in 0..rounds / 4 {
        for lanes in &mut sums {
            for sum in lanes {
                *sum = *sum * a + b;
            }
        }
    }
    black_box(sums);
    (rounds / 4 * CHAINS * 8 * 2) as f64
}
