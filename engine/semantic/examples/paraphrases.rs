//! How many rewordings of a list the guards let through, by kind: `cargo run -p faregate-semantic --example paraphrases [FILE]`.
//!
//! In: a file of lines `kind <tab> question <tab> the same in other words`, or the list that the tests have. Out: shares. With
//! `--missed`, the plain forms of those that are not found.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "it is a report about a file")]

use std::{collections::BTreeMap, env, error::Error, fs};

use faregate_semantic::{Profile, Vector, profile::Plain};

fn main() -> Result<(), Box<dyn Error>> {
    let (options, files): (Vec<String>, Vec<String>) =
        env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let text = match files.first() {
        Some(file) => fs::read_to_string(file)?,
        None => include_str!("../tests/data/paraphrases.tsv").to_owned(),
    };
    let mut cosines = Vec::new();
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for line in text.lines() {
        let [kind, one, other] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let is_found = Profile::of(one) == Profile::of(other)
            || matches!((Profile::of(one), Profile::of(other)), (Ok(a), Ok(b)) if a.key == b.key);
        let (found, all) = counts.entry(kind).or_default();
        *found += u32::from(is_found);
        *all += 1;
        let cosine = Vector::lexical(one).zip(Vector::lexical(other));
        if is_found && let Some(cosine) = cosine.and_then(|(one, other)| one.cosine(&other)) {
            cosines.push(cosine);
        }
        if !is_found && options.iter().any(|option| option == "--missed") {
            println!("{}\n    {}", Plain::of(one).spelled(), Plain::of(other).spelled());
        }
    }
    for (kind, (found, all)) in &counts {
        println!("{kind:10} {found:3} of {all:3}");
    }
    let (found, all) = counts.values().fold((0, 0), |(f, a), (found, all)| (f + found, a + all));
    println!(
        "{:10} {found:3} of {all:3}, {:.0} %",
        "all",
        f64::from(found) * 100.0 / f64::from(all)
    );
    cosines.sort_by(f64::total_cmp);
    let share = |percent: usize| cosines.get(cosines.len() * percent / 100).copied().unwrap_or(0.0);
    println!(
        "built-in vectors of those found: least {:.2}, a tenth below {:.2}, half below {:.2}",
        share(0),
        share(10),
        share(50)
    );
    Ok(())
}
