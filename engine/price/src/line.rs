//! A price as a line of the catalogue.
//!
//! `i5 r0.5 o30 >272000 i10 r1 o45 *batch i2.5 o15 @us=1.1 #search=0.01`: a letter and dollars for a million tokens; `>`
//! begins the rates of a longer input, `*` those of another service; `@` is a multiplier, `#` dollars for one unit. Nothing
//! that follows from something else is written.

use std::fmt::Write;

use crate::{Class, Decimal, Draft, Region, Service, Unit, price::PPM_ONE};

/// Letters of [`Class::ALL`].
const LETTERS: [&str; Class::ALL.len()] = ["i", "r", "w", "W", "o", "t", "a", "A"];

/// Pico-dollars a token as dollars for a million.
#[must_use]
pub fn dollars_a_million(pico: u64) -> Decimal {
    Decimal::whole(pico).shifted(-6)
}

/// Pico-dollars as dollars.
#[must_use]
pub fn dollars(pico: u64) -> Decimal {
    Decimal::whole(pico).shifted(-12)
}

/// Parts of a million as a factor.
#[must_use]
pub fn factor(ppm: u32) -> Decimal {
    Decimal::whole(u64::from(ppm)).shifted(-6)
}

/// Writes a price.
#[must_use]
pub fn write(draft: &Draft) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut tiers = draft.tiers.clone();
    tiers.sort_by_key(|tier| (tier.service, tier.above));
    let mut service = Service::Standard;
    for tier in tiers {
        if tier.service != service {
            service = tier.service;
            words.push(format!("*{}", service.as_str()));
        }
        if tier.above > 0 {
            words.push(format!(">{}", tier.above));
        }
        for (letter, rate) in LETTERS.iter().zip(tier.rates) {
            words.extend(rate.map(|rate| format!("{letter}{}", dollars_a_million(rate))));
        }
    }
    for (region, ppm) in Region::PRICED.iter().zip(draft.regions) {
        if ppm != PPM_ONE {
            words.push(format!("@{}={}", region.as_str(), factor(ppm)));
        }
    }
    for (unit, rate) in Unit::ALL.iter().zip(draft.units) {
        words.extend(rate.map(|rate| format!("#{}={}", unit.key(), dollars(rate))));
    }
    let mut line = String::new();
    for (index, word) in words.iter().enumerate() {
        let _ = write!(line, "{}{word}", if index > 0 { " " } else { "" });
    }
    line
}

/// Reads a price; `None` where the text is none.
#[must_use]
pub fn read(text: &str) -> Option<Draft> {
    let mut draft = Draft::default();
    let mut tier = (Service::Standard, 0);
    for word in text.split(' ') {
        match word.split_at_checked(1)? {
            ("*", name) => tier = (Service::ALL.into_iter().find(|s| s.as_str() == name)?, 0),
            (">", above) => tier.1 = above.parse().ok()?,
            ("@", rest) => {
                let (name, factor) = rest.split_once('=')?;
                let at = Region::PRICED.iter().position(|region| region.as_str() == name)?;
                draft.regions[at] = u32::try_from(Decimal::parse(factor)?.exactly(6)?).ok()?;
            }
            ("#", rest) => {
                let (name, dollars) = rest.split_once('=')?;
                let at = Unit::ALL.iter().position(|unit| unit.key() == name)?;
                draft.units[at] = Some(Decimal::parse(dollars)?.exactly(12)?);
            }
            (letter, dollars) => {
                let at = LETTERS.iter().position(|other| *other == letter)?;
                draft.set(tier, Class::ALL[at], Decimal::parse(dollars)?.exactly(6)?);
            }
        }
    }
    Some(draft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        let line = "i5 r0.5 o30 >272000 i10 r1 o45 *batch i2.5 o0.000001 *priority >272000 i3 @us=1.1 \
                    #image=0.04 #search=0.01";
        let draft = read(line).unwrap();
        assert_eq!(write(&draft), line);
        assert_eq!(draft.get((Service::Standard, 272_000), Class::Output), Some(45_000_000));
        assert_eq!(draft.units[Unit::Image as usize], Some(40_000_000_000));
    }

    #[test]
    fn what_is_no_line_is_none() {
        for text in
            ["", "x5", "i", "i5  o3", "*cheap i1", ">x i1", "@us", "#image", "i0.0000001", "é1"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
