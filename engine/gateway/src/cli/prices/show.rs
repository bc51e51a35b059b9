//! Prices, as people and programs read them.

use std::fmt::Write;

use faregate_price::{Class, PPM_ONE, Price, Region, Tier, Unit, line};
use faregate_wire::json::JsonWriter;

use super::Known;

/// Columns of a sheet.
const HEADS: [&str; Class::ALL.len()] =
    ["input", "cache read", "write", "write 1h", "output", "reasoning", "audio in", "audio out"];

/// All prices of a model.
pub(super) fn sheet(known: &Known<'_>) -> String {
    let price = &known.price;
    let mut text = format!("{}\n  {}, from {}\n", known.name, known.id, known.source);
    if !price.tiers().is_empty() {
        rates(&mut text, price);
    }
    for unit in Unit::ALL {
        if let Some(rate) = price.unit(unit) {
            let _ = writeln!(text, "  each {:<18} ${}", unit.key(), line::dollars(rate));
        }
    }
    for region in Region::PRICED {
        let ppm = price.region(region);
        if ppm != PPM_ONE {
            let _ = writeln!(
                text,
                "  served in {:<13} tokens × {}",
                region.as_str(),
                line::factor(ppm)
            );
        }
    }
    if price.scale() != PPM_ONE {
        let _ =
            writeln!(text, "  {:<23} everything × {}", "multiplier", line::factor(price.scale()));
    }
    text
}

/// Rates in dollars for a million tokens, a row for each tier.
fn rates(text: &mut String, price: &Price) {
    let shown = |class: Class| {
        let basic = matches!(class, Class::Input | Class::Output | Class::CacheRead);
        basic || price.tiers().iter().any(|tier| tier.is_own(class))
    };
    let columns: Vec<Class> = Class::ALL.into_iter().filter(|class| shown(*class)).collect();
    let _ = write!(text, "  {:<23}", "$ for a million tokens");
    for class in &columns {
        let _ = write!(text, " {:>11}", HEADS[*class as usize]);
    }
    text.push('\n');
    for tier in price.tiers() {
        let _ = write!(text, "  {:<23}", label(tier));
        for class in &columns {
            let star = if tier.is_own(*class) { ' ' } else { '*' };
            let rate = line::dollars_a_million(tier.rate(*class));
            let _ = write!(text, " {:>10}{star}", rate.to_string());
        }
        let kept = text.trim_end().len();
        text.truncate(kept);
        text.push('\n');
    }
    if price.tiers().iter().any(|tier| columns.iter().any(|class| !tier.is_own(*class))) {
        text.push_str(
            "  * follows from the others, and is never cheaper than what may be charged\n",
        );
    }
}

fn label(tier: &Tier) -> String {
    match tier.above {
        0 => tier.service.as_str().to_owned(),
        above => format!("{} above {above}", tier.service.as_str()),
    }
}

/// A line for each model.
pub(super) fn list(known: &[Known<'_>]) -> String {
    let width = known.iter().map(|one| one.name.len()).max().unwrap_or_default();
    let mut text = format!(
        "{:<width$} {:>10} {:>10} {:>10}  $ for a million tokens\n",
        "", "input", "cache read", "output"
    );
    for one in known {
        let _ = write!(text, "{:<width$}", one.name);
        match one.price.tiers().first() {
            Some(tier) => {
                for class in [Class::Input, Class::CacheRead, Class::Output] {
                    let rate = line::dollars_a_million(tier.rate(class));
                    let _ = write!(text, " {:>10}", rate.to_string());
                }
            }
            None => {
                let rated = |unit: Unit| Some((unit, one.price.unit(unit)?));
                for (unit, rate) in Unit::ALL.into_iter().filter_map(rated) {
                    let _ = write!(text, "  ${} each {}", line::dollars(rate), unit.key());
                }
            }
        }
        text.push('\n');
    }
    text
}

/// A JSON array with an object for each model. Amounts are decimal text: dollars for a million tokens, or for one unit.
pub(super) fn json(known: &[Known<'_>]) -> String {
    let mut out = Vec::new();
    let mut writer = JsonWriter::new(&mut out);
    writer.array();
    for one in known {
        writer.object().member_str("name", &one.name).member_str("price_id", &one.id);
        writer.member_str("source", one.source).name("usd_per_million_tokens").array();
        for tier in one.price.tiers() {
            writer.object().member_str("service", tier.service.as_str());
            writer.member_u64("above_input_tokens", tier.above);
            for class in Class::ALL {
                let rate = line::dollars_a_million(tier.rate(class)).to_string();
                writer.member_str(class.key(), &rate);
            }
            writer.name("stated").array();
            for class in Class::ALL.into_iter().filter(|class| tier.is_own(*class)) {
                writer.str(class.key());
            }
            writer.end().end();
        }
        writer.end().name("usd_each").object();
        for unit in Unit::ALL {
            if let Some(rate) = one.price.unit(unit) {
                writer.member_str(unit.key(), &line::dollars(rate).to_string());
            }
        }
        writer.end().name("region_multipliers").object();
        for region in Region::PRICED {
            if one.price.region(region) != PPM_ONE {
                let factor = line::factor(one.price.region(region));
                writer.member_str(region.as_str(), &factor.to_string());
            }
        }
        writer.end().member_str("multiplier", &line::factor(one.price.scale()).to_string()).end();
    }
    writer.end();
    let mut text = String::from_utf8(out).unwrap_or_default();
    text.push('\n');
    text
}
