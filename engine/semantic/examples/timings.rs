//! What the parts of a lookup take: `cargo run --release -p faregate-semantic --example timings`.
//!
//! In: nothing. Out: nanoseconds of a profile, a cosine and a chance, and after how many right answers an entry is given.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it is a report about time")]

use std::{hint::black_box, time::Instant};

use faregate_semantic::{Profile, Vector, learn::Seen};

fn main() {
    let question =
        "Hello, can you tell me how to reset the password of my account, please? Thanks!";
    each("profile of a question of 80 bytes", 10_000, || {
        black_box(Profile::of(black_box(question))).ok();
    });
    let long = "How do I sort the 25 rows of a table by the second column? ".repeat(33);
    each("profile of a question of 2,000 bytes", 500, || {
        black_box(Profile::of(black_box(&long))).ok();
    });
    let numbers: Vec<f32> = (0_u16..1_536).map(|n| (f32::from(n) * 0.37).sin()).collect();
    if let Some(vector) = Vector::of(&numbers) {
        each("cosine of 1,536 numbers", 100_000, || {
            black_box(vector.cosine(black_box(&vector)));
        });
    }
    let mut seen = Seen::default();
    (0..100_u8).for_each(|n| seen.add(0.8 + f64::from(n % 20) / 100.0, n % 7 != 0));
    each("chance of an entry with 100 pairs", 1_000, || {
        black_box(seen.chance(black_box(0.93), 0.01));
    });
    for bound in [0.01, 0.02, 0.05] {
        for similarity in [0.85, 0.95] {
            let mut seen = Seen::default();
            let mut first = [0_u32; 3];
            for count in 1..=2_000 {
                seen.add(similarity, true);
                let chance = seen.chance(similarity, bound);
                for (first, share) in first.iter_mut().zip([0.1, 0.5, 1.0]) {
                    if *first == 0 && chance >= share {
                        *first = count;
                    }
                }
            }
            println!(
                "bound {bound}, similarity {similarity}: given in a tenth, half, all of the cases after {first:?} right answers"
            );
        }
    }
}

fn each(name: &str, times: u32, mut work: impl FnMut()) {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    println!("{name}: {} ns", start.elapsed().as_nanos() / u128::from(times));
}
