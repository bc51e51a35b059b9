//! The tables `prices.*` and `currencies.*`.

use faregate_price::{
    Catalogue, Class, Currencies, Currency, Decimal, Draft, NotMoney, Region, Service, Unit,
    written,
};

use super::{
    Reader, Word, moment,
    providers::did_you_mean,
    section::{Entry, Section},
};
use crate::{
    pattern::Pattern,
    policy::{Provider, Server, Target},
    prices::{Prices, Written},
};

/// Seconds of an hour.
const HOUR: u64 = 3600;

/// Reads all prices.
pub(super) fn read(
    reader: &Reader<'_>,
    root: &Section<'_, '_>,
    server: &Server,
    (providers, targets): (&[Provider], &[Target]),
) -> Prices {
    let money = Money { reader, currencies: currencies(reader, root) };
    // A catalogue of the policy's own is not here yet: what it has is checked when it is.
    let catalogue = server.price_catalogue.is_none().then(Catalogue::built_in);
    let mut written: Vec<Written> = Vec::new();
    for (name, section) in root.named("prices") {
        let draft = money.draft(&section);
        let like = section.text("like");
        if let (Some(word), Some(catalogue)) = (&like, &catalogue)
            && catalogue.get(word.text).is_none()
        {
            let reason = format!("the catalogue has no `{}`", word.text);
            reader.clash(&word.span, reason, "`faregate prices --search WORD` lists what it has");
        }
        let Some((provider, models)) = parts(reader, &name, providers) else { continue };
        let like = like.map(|word| word.text.into());
        written.push(Written { provider, models, name: name.text.into(), draft, like });
    }
    Prices::new(written, money.currencies, providers, targets)
}

/// The provider and the models that a table is for.
fn parts(reader: &Reader<'_>, name: &Word<'_>, providers: &[Provider]) -> Option<(usize, Pattern)> {
    let Some((provider, model)) = name.text.split_once('/').filter(|(_, model)| !model.is_empty())
    else {
        let reason = format!("`{}` does not name a provider's model", name.text);
        reader.wrong(
            &name.span,
            reason,
            "a price is of provider/model: [prices.\"openai/gpt-5-mini\"]",
        );
        return None;
    };
    let found = providers.iter().position(|candidate| &*candidate.name == provider);
    if found.is_none() {
        let names = providers.iter().map(|provider| &*provider.name);
        let help = reader.help(|| did_you_mean(provider, names, "providers are"));
        reader.clash(&name.span, format!("there is no provider `{provider}`"), help);
    }
    Some((found?, Pattern::new(model)))
}

fn currencies(reader: &Reader<'_>, root: &Section<'_, '_>) -> Currencies {
    let mut currencies = Currencies::default();
    for (name, section) in root.named("currencies") {
        if name.text.len() != 3 || !name.text.bytes().all(|b| b.is_ascii_uppercase()) {
            let reason = format!("`{}` is no code of a currency", name.text);
            reader.wrong(&name.span, reason, "three capital letters: EUR, GBP, JPY");
        }
        if name.text == "USD" {
            reader.wrong(&name.span, "the books are in dollars: one is worth one", "");
        }
        for key in ["rate", "date"].into_iter().filter(|key| section.given(key).is_none()) {
            section.missing(key);
        }
        let date = section.moment("date");
        if let Some((text, span)) = &date
            && let Err(reason) = moment::parse(text)
        {
            reader.wrong(span, reason, "for example: date = 2026-11-01");
        }
        let Some(word) = section.text("rate") else { continue };
        let Some(rate) = Decimal::parse(word.text.trim()).filter(|rate| !rate.is_zero()) else {
            let reason = format!("`{}` is no rate", word.text);
            reader.wrong(&word.span, reason, "dollars for one of it: rate = \"1.08\"");
            continue;
        };
        let date = date.map(|(text, _)| text.into()).unwrap_or_default();
        currencies.add(Currency { code: name.text.into(), rate, date });
    }
    currencies
}

/// Reads prices in the currencies of the file.
struct Money<'r, 'd> {
    reader: &'r Reader<'d>,
    currencies: Currencies,
}

impl Money<'_, '_> {
    fn draft(&self, section: &Section<'_, '_>) -> Draft {
        let mut draft = Draft::default();
        self.rates(&mut draft, section, (Service::Standard, 0));
        for unit in Unit::ALL {
            let read = |text: &str| written::per_unit(text, unit, &self.currencies);
            let price = section.text(unit.key()).and_then(|word| self.right(&word, read));
            draft.units[unit as usize] = price;
        }
        self.machines(&mut draft, section);
        for entry in section.rows("tiers") {
            match entry {
                Entry::Table(table) => self.tier(&mut draft, &table),
                Entry::Text(word) => {
                    let help = "for example: tiers = [{ above = \"200k\", input = \"$0.20/M\" }]";
                    self.reader.wrong(&word.span, "a tier is a table", help);
                }
            }
        }
        if let Some(word) = section.text("multiplier") {
            draft.scale = self.right(&word, written::multiplier).unwrap_or(draft.scale);
        }
        for (name, word) in section.texts_by_name("regions") {
            let at = Region::PRICED.iter().position(|region| region.as_str() == name.text);
            let Some(at) = at else {
                let reason = format!("`{}` is no region with a price", name.text);
                self.reader.wrong(&name.span, reason, "regions are us, eu, regional, fedramp");
                continue;
            };
            draft.regions[at] = self.right(&word, written::multiplier).unwrap_or(draft.regions[at]);
        }
        self.look_twice(&draft, section);
        draft
    }

    fn tier(&self, draft: &mut Draft, table: &Section<'_, '_>) {
        let name = table.choice("service");
        let service = Service::ALL.into_iter().find(|service| service.as_str() == name);
        let tier = (service.unwrap_or_default(), table.number("above").unwrap_or_default());
        if tier == (Service::Standard, 0) {
            let help =
                "add above = \"200k\" or service = \"batch\", or write its prices without a tier";
            self.reader.wrong(&table.span, "this tier is for every request", help);
        }
        self.rates(draft, table, tier);
    }

    /// Notes a price that says nothing, or too little.
    fn look_twice(&self, draft: &Draft, section: &Section<'_, '_>) {
        let base = (Service::Standard, 0);
        let is_changed =
            draft.scale != Draft::default().scale || draft.regions != Draft::default().regions;
        if section.given("like").is_some() {
            return;
        }
        if !draft.has_rates() {
            if !is_changed {
                let reason = format!("{} says no price", section.called());
                let help = "for example: input = \"$0.10/M\" and output = \"$0.40/M\"";
                self.reader.clash(&section.span, reason, help);
            }
            return;
        }
        if draft.clone().finish().is_none() {
            let reason = format!(
                "{} has prices for some requests and none for the usual one",
                section.called()
            );
            self.reader.clash(
                &section.span,
                reason,
                "add input and output, or like = \"provider/model\"",
            );
        } else if draft.get(base, Class::Input).is_some()
            && draft.get(base, Class::Output).is_none()
        {
            let reason =
                format!("{} has no price of output: it costs as much as input", section.called());
            self.reader.warn(Some(&section.span), reason, "for example: output = \"$0.40/M\"");
        }
    }

    fn rates(&self, draft: &mut Draft, section: &Section<'_, '_>, tier: (Service, u64)) {
        for class in Class::ALL {
            let read = |text: &str| written::per_token(text, &self.currencies);
            if let Some(rate) = section.text(class.key()).and_then(|word| self.right(&word, read)) {
                draft.set(tier, class, rate);
            }
        }
    }

    /// What an hour of machines makes of a token, or of a second of a request, rounded up to a pico-dollar.
    fn machines(&self, draft: &mut Draft, section: &Section<'_, '_>) {
        let shares = ["tokens_per_second", "input_tokens_per_second", "requests_at_once"];
        let Some(word) = section.text("gpu_hour") else {
            let lonely = shares.into_iter().chain(["gpus"]).find_map(|key| section.given(key));
            if let Some(span) = lonely {
                self.reader.clash(
                    &span,
                    "without gpu_hour it has no effect",
                    "add gpu_hour = \"$2.10\"",
                );
            }
            return;
        };
        let hour = self.right(&word, |text| written::amount(text, &self.currencies));
        let gpus = section.number("gpus").unwrap_or(1);
        let [output, input, at_once] = shares.map(|key| section.number(key));
        let share = |count: u64| {
            let pico = u128::from(hour?.0) * 1000 * u128::from(gpus);
            u64::try_from(pico.div_ceil(u128::from(count) * u128::from(HOUR))).ok()
        };
        let base = (Service::Standard, 0);
        if let (Some(_), Some(span)) = (output, section.given("requests_at_once")) {
            let help = "tokens_per_second says what a token costs: take one of the two out";
            self.reader.warn(Some(&span), "requests_at_once has no effect", help);
        }
        match (output, at_once) {
            (Some(output), _) => {
                let rates = [(Class::Output, output), (Class::Input, input.unwrap_or(output))];
                for (class, count) in rates {
                    if draft.get(base, class).is_none()
                        && let Some(rate) = share(count)
                    {
                        draft.set(base, class, rate);
                    }
                }
            }
            (None, Some(at_once)) => {
                let second = &mut draft.units[Unit::Second as usize];
                *second = second.or_else(|| share(at_once));
            }
            (None, None) => self.reader.clash(
                &word.span,
                "gpu_hour does not say what part of the hour a request takes",
                "add tokens_per_second = 2500, or requests_at_once = 32",
            ),
        }
    }

    /// What `read` makes of a text; notes what is wrong with it.
    fn right<T>(&self, word: &Word<'_>, read: impl Fn(&str) -> Result<T, NotMoney>) -> Option<T> {
        read(word.text)
            .map_err(|error| self.reader.wrong(&word.span, error.reason, error.help))
            .ok()
    }
}
