//! Names of tools and ids of calls, fitted to what a dialect allows.
//!
//! A name that does not fit is replaced by one made of it, the same every time, so that later turns of a conversation say
//! the same; in answers the client's own name is put back. Ids are fitted by a function of the id alone, so that a call and
//! its result stay together, whoever made the id.

use std::borrow::Cow;

use super::{Delta, PartBody, Request, ToolChoice};

/// What names of tools may look like.
#[derive(Clone, Copy, Debug)]
pub struct NameRule {
    /// The most bytes.
    pub bytes_max: usize,
    /// Bytes beside letters, digits, `_` and `-`.
    pub also: &'static [u8],
    /// Whether the first byte must be a letter or `_`.
    pub letter_first: bool,
}

/// What ids of calls may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRule {
    /// The most bytes.
    pub bytes_max: usize,
    /// Whether only letters and digits may be in it, and exactly `bytes_max` of them (Mistral).
    pub exact_alphanumeric: bool,
}

/// The names of one request's tools that were replaced.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The name that the provider knows, and the client's.
    replaced: Vec<(String, String)>,
}

impl NameRule {
    fn fits(&self, name: &str) -> bool {
        let allowed =
            |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-' || self.also.contains(&b);
        let first = name.bytes().next();
        let first_fits = first.is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        (1..=self.bytes_max).contains(&name.len())
            && name.bytes().all(allowed)
            && (first_fits || !self.letter_first)
    }

    /// `name`, or a name made of it that fits.
    #[must_use]
    pub fn fit<'a>(&self, name: &'a str) -> Cow<'a, str> {
        if self.fits(name) {
            return Cow::Borrowed(name);
        }
        let mark = format!("_{:08x}", hash(name.as_bytes()) >> 32);
        let mut fitted = String::with_capacity(self.bytes_max);
        for character in name.chars() {
            let plain = character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
            fitted.push(if plain { character } else { '_' });
        }
        if self.letter_first && !fitted.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            fitted.insert(0, '_');
        }
        fitted.truncate(self.bytes_max.saturating_sub(mark.len()));
        Cow::Owned(fitted + &mark)
    }
}

impl Names {
    /// Replaces the names in `request` that do not fit.
    pub fn fit(request: &mut Request<'_>, rule: &NameRule) -> Self {
        let mut names = Self::default();
        for tool in request.tools.iter_mut().filter(|tool| !tool.name.is_empty()) {
            names.replace(&mut tool.name, rule);
        }
        match &mut request.tool_choice {
            Some(ToolChoice::Tool(name)) => names.replace(name, rule),
            Some(ToolChoice::Allowed { names: allowed, .. }) => {
                allowed.iter_mut().for_each(|name| names.replace(name, rule));
            }
            _ => {}
        }
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            match &mut part.body {
                PartBody::ToolCall { name, .. } | PartBody::ToolResult { name: Some(name), .. } => {
                    names.replace(name, rule);
                }
                _ => {}
            }
        }
        names
    }

    /// The client's name for what a provider calls `name`.
    #[must_use]
    pub fn restore<'n>(&'n self, name: &'n str) -> &'n str {
        let found = self.replaced.iter().find(|(fitted, _)| fitted == name);
        found.map_or(name, |(_, original)| original)
    }

    /// Puts the client's name into a delta that begins a call.
    pub fn restore_in(&self, delta: &mut Delta<'_>) {
        if let Delta::ToolStart { name, .. } = delta
            && !self.replaced.is_empty()
        {
            let restored = self.restore(name);
            if restored != name {
                *name = Cow::Owned(restored.to_owned());
            }
        }
    }

    fn replace(&mut self, name: &mut Cow<'_, str>, rule: &NameRule) {
        let Cow::Owned(fitted) = rule.fit(name) else { return };
        if !self.replaced.iter().any(|(known, _)| *known == fitted) {
            self.replaced.push((fitted.clone(), name.clone().into_owned()));
        }
        *name = Cow::Owned(fitted);
    }
}

/// `id`, or an id made of it that fits.
#[must_use]
pub fn fit_id<'a>(id: &'a str, rule: &IdRule) -> Cow<'a, str> {
    let allowed =
        |b: u8| b.is_ascii_alphanumeric() || (!rule.exact_alphanumeric && matches!(b, b'_' | b'-'));
    let len_fits = match rule.exact_alphanumeric {
        true => id.len() == rule.bytes_max,
        false => (1..=rule.bytes_max).contains(&id.len()),
    };
    if len_fits && id.bytes().all(allowed) {
        return Cow::Borrowed(id);
    }
    let digits = format!("{:016x}", hash(id.as_bytes()));
    Cow::Owned(match rule.exact_alphanumeric {
        true => digits.chars().cycle().take(rule.bytes_max).collect(),
        false => format!("call_{digits}"),
    })
}

/// FNV-1a with a final mix: well spread, the same on every machine and in every version.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    let mixed = (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: NameRule = NameRule { bytes_max: 64, also: b"", letter_first: false };

    #[test]
    fn names_that_fit_stay() {
        for name in ["get_weather", "a-b", "9", &"x".repeat(64)] {
            assert!(matches!(RULE.fit(name), Cow::Borrowed(_)), "{name}");
        }
    }

    #[test]
    fn other_names_are_replaced_and_restored() {
        let long = "x".repeat(65);
        for name in ["a.b", "mcp__server__tool:x", "ü", "", &long] {
            let fitted = RULE.fit(name);
            assert!(RULE.fits(&fitted), "{fitted}");
            assert_eq!(RULE.fit(name), fitted);
        }
        assert_ne!(RULE.fit("a.b"), RULE.fit("a:b"));
        let mut names = Names::default();
        let mut name = Cow::Borrowed("a.b");
        names.replace(&mut name, &RULE);
        assert_eq!(names.restore(&name), "a.b");
        assert_eq!(names.restore("other"), "other");
    }

    #[test]
    fn ids_are_fitted_alike_wherever_they_stand() {
        let rule = IdRule { bytes_max: 64, exact_alphanumeric: false };
        assert_eq!(fit_id("call_1-x", &rule), "call_1-x");
        let odd = "call_1__thought__Abc+/=".repeat(9);
        assert_eq!(fit_id(&odd, &rule), fit_id(&odd, &rule));
        assert!(fit_id(&odd, &rule).len() <= 64);
        let nine = IdRule { bytes_max: 9, exact_alphanumeric: true };
        assert_eq!(fit_id("call_1", &nine).len(), 9);
        assert_eq!(fit_id("abc123XYZ", &nine), "abc123XYZ");
    }
}
