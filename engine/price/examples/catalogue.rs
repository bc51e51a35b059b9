//! Makes the catalogue that is compiled into the program.
//!
//! `cargo run -p faregate-price --example catalogue -- 2026-11-24 LITELLM.json MODELS_DEV.json` writes
//! `engine/price/src/catalogue/prices.txt`. The files are LiteLLM's `model_prices_and_context_window.json` and models.dev's
//! `api.json`; where both know a model, LiteLLM's price counts as a whole. Their licences are beside the catalogue.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a tool of the repository: it reads and writes files, and says so"
)]

use faregate_price::{Catalogue, Origin, source};

const OUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/catalogue/prices.txt");

const LITELLM: &str = "l: LiteLLM, model_prices_and_context_window.json of release 1.110.2 (November 2026); MIT, copyright (c) 2023 Berri AI";
const MODELS_DEV: &str =
    "m: models.dev, commit f3fc692 (2 July 2026); MIT, copyright (c) 2025 models.dev";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [version, litellm, models_dev] = &arguments[..] else {
        return Err("catalogue DATE LITELLM.json MODELS_DEV.json".into());
    };
    let mut entries = Vec::new();
    for path in [litellm, models_dev] {
        let (list, found) = source::read(&std::fs::read(path)?)?;
        println!("{path}: {} prices of {}", found.len(), list.as_str());
        entries.extend(found);
    }
    let sources = vec![LITELLM.to_owned(), MODELS_DEV.to_owned()];
    let text = Catalogue::write(&Origin { version: version.clone(), sources }, entries);
    Catalogue::read(text.clone())?;
    std::fs::write(OUT, &text)?;
    println!("{OUT}: {} prices, {} bytes", text.lines().count() - 4, text.len());
    Ok(())
}
