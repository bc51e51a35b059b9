//! What targets cost: whole files, and what is wrong with them.

use faregate_adapters::chat::Usage;
use faregate_price::{Catalogue, Circumstances, Class, NanoUsd, Service, Unit, Units};

use super::{reasons, right, warnings};
use crate::{
    policy::{Policy, Unpriced},
    prices::PriceCache,
};

const M: u64 = 1_000_000;

const FLEET: &str = "[providers.openai]\napi_key = \"env:K\"\n[providers.fleet]\nbase_url = \"http://10.0.0.1:8000\"\n\
                     [models.m]\ntargets = [\"fleet/qwen\", \"openai/gpt-5-mini\", \"openai/*\"]\n";

fn policy(rest: &str) -> Policy {
    right(&format!("{FLEET}{rest}"))
}

/// The id of the price of `provider/model`, and what a million tokens of input and one of output cost.
fn price(policy: &Policy, name: &str) -> Option<(String, String)> {
    let resolved = policy.models.resolve(name)?;
    let target = resolved.targets[0];
    let priced = policy.price(target, &policy.targets[target].model_for(resolved.asked))?;
    let usage = Usage { input: M, output: M, ..Usage::default() };
    let cost = priced.price.cost(&usage, &Circumstances::default()).unwrap();
    Some((priced.id.into_owned(), cost.to_string()))
}

fn check(rest: &str, name: &str, id: &str, dollars: &str) {
    assert_eq!(price(&policy(rest), name), Some((id.to_owned(), dollars.to_owned())), "{name}");
}

#[test]
fn the_catalogue_prices_what_known_providers_sell() {
    let id = |name| format!("catalogue/{}/{name}", Catalogue::built_in().version());
    check("", "openai/gpt-5-mini", &id("openai/gpt-5-mini"), "$2.25");
    check("", "openai/gpt-5-mini-2030-01-01", &id("openai/gpt-5-mini"), "$2.25");
    assert_eq!(price(&policy(""), "openai/gpt-99"), None);
    assert_eq!(price(&policy(""), "fleet/qwen"), None);
    assert_eq!(
        price(&policy(""), "fleet/gpt-5-mini"),
        None,
        "a machine of one's own sells nothing"
    );
}

#[test]
fn sellers_are_known_by_name_address_or_kind() {
    let named = |text: &str, name: &str| price(&right(text), name).map(|(id, _)| id);
    let prefix = format!("catalogue/{}", Catalogue::built_in().version());
    let by_address =
        "[providers.main]\nbase_url = \"https://api.groq.com/openai/v1\"\napi_key = \"env:K\"\n";
    let groq = Some(format!("{prefix}/groq/openai/gpt-oss-120b"));
    assert_eq!(named(by_address, "main/openai/gpt-oss-120b"), groq);
    let by_kind = "[providers.claude]\ndialect = \"anthropic\"\napi_key = \"env:K\"\nbase_url = \"https://x.example\"\n";
    let claude = Some(format!("{prefix}/anthropic/claude-opus-5-5"));
    assert_eq!(named(by_kind, "claude/claude-opus-5-5"), claude);
    let bedrock = "[providers.aws]\ndialect = \"bedrock-anthropic\"\nregion = \"us-east-1\"\n";
    let opus = Some(format!("{prefix}/bedrock/us.anthropic.claude-opus-5-5"));
    assert_eq!(named(bedrock, "aws/us.anthropic.claude-opus-5-5"), opus);
    let own = "[providers.llama]\nbase_url = \"http://10.0.0.1:8000\"\n";
    assert_eq!(named(own, "llama/llama-3.3-70b-instruct"), None);
}

#[test]
fn the_policy_comes_first_and_stands_alone() {
    let own = "[prices.\"openai/gpt-5-mini\"]\ninput = \"$1/M\"\noutput = \"$2/M\"\n";
    check(own, "openai/gpt-5-mini", "policy/openai/gpt-5-mini", "$3.00");
    let found = policy(own);
    let priced = found.price(1, "gpt-5-mini").unwrap();
    assert_eq!(priced.price.tiers().len(), 1, "nothing of the catalogue is in it");
    let fleet = "[prices.\"fleet/*\"]\ninput = \"$0.10/M\"\noutput = \"€1/M\"\n[currencies]\nEUR = { rate = \"1.08\", date = \"2026-11-01\" }\n";
    check(fleet, "fleet/qwen", "policy/fleet/*", "$1.18");
    check(fleet, "fleet/other", "policy/fleet/*", "$1.18");
}

#[test]
fn a_price_can_start_from_the_catalogue() {
    let like = "[prices.\"fleet/qwen\"]\nlike = \"openai/gpt-5-mini\"\noutput = \"$3/M\"\n";
    check(like, "fleet/qwen", "policy/fleet/qwen", "$3.25");
    let off = "[prices.\"openai/gpt-5-*\"]\nmultiplier = \"0.8\"\n";
    check(off, "openai/gpt-5-mini", "policy/openai/gpt-5-*", "$1.80");
    let narrow = format!("{off}[prices.\"openai/gpt-5-mini\"]\nmultiplier = \"0.5\"\n");
    check(&narrow, "openai/gpt-5-mini", "policy/openai/gpt-5-mini", "$1.125");
    assert_eq!(price(&policy("[prices.\"fleet/qwen\"]\nmultiplier = \"2\"\n"), "fleet/qwen"), None);
}

#[test]
fn services_tiers_and_units_are_read() {
    let found = policy(
        "[prices.\"fleet/qwen\"]\ninput = \"$1/M\"\noutput = \"$2/M\"\nsearch = \"$10/1K searches\"\n\
         tiers = [{ service = \"batch\", input = \"$0.5/M\" }, { above = \"200k\", input = \"$2/M\" }]\nregions = { us = \"1.1\" }\n",
    );
    let price = found.price(0, "qwen").unwrap().price;
    let cost = |usage: Usage, at| price.cost(&usage, &at).unwrap().to_string();
    let input = |input| Usage { input, ..Usage::default() };
    assert_eq!(cost(input(100_000), Circumstances::default()), "$0.10");
    assert_eq!(cost(input(M), Circumstances::default()), "$2.00");
    let batch = Circumstances { service: Service::Batch, ..Circumstances::default() };
    assert_eq!(cost(input(100_000), batch), "$0.05");
    let search =
        Circumstances { units: Units::default().with(Unit::Search, 2), ..Circumstances::default() };
    assert_eq!(cost(input(0), search), "$0.02");
}

#[test]
fn machines_of_ones_own_cost_their_share_of_an_hour() {
    let tokens = "[prices.\"fleet/qwen\"]\ngpu_hour = \"$3.60\"\ngpus = 2\ntokens_per_second = 1000\ninput_tokens_per_second = 10000\n";
    let found = policy(tokens);
    let price = found.price(0, "qwen").unwrap().price;
    let tier = price.tiers()[0];
    assert_eq!(tier.rate(Class::Output), 2_000_000, "$7.20 / 3600 / 1000 are two micro-dollars");
    assert_eq!(tier.rate(Class::Input), 200_000);
    let shared = "[prices.\"fleet/qwen\"]\ngpu_hour = \"$3.60\"\nrequests_at_once = 10\n";
    let found = policy(shared);
    let price = found.price(0, "qwen").unwrap().price;
    let at = Circumstances {
        units: Units::default().with(Unit::Second, 30),
        ..Circumstances::default()
    };
    assert_eq!(price.cost(&Usage::default(), &at), Ok(NanoUsd(3_000_000)));
}

#[test]
fn another_catalogue_takes_the_place_of_the_built_in_one() {
    let text =
        "# faregate prices 1\n# version 2027-01-01\nopenai/gpt-5-mini\tl\ti1 o1\n".to_owned();
    let catalogue = Catalogue::read(text).unwrap();
    let mut found = policy("[server]\nprice_catalogue = \"p.txt\"\nunpriced = \"free\"\n");
    assert_eq!(found.server.unpriced, Unpriced::Free);
    found.use_catalogue(catalogue.clone()).unwrap();
    let (id, cost) = price(&found, "openai/gpt-5-mini").unwrap();
    assert_eq!((&*id, &*cost), ("catalogue/2027-01-01/openai/gpt-5-mini", "$2.00"));
    assert_eq!(price(&found, "openai/gpt-4o"), None);
    let mut found = policy(
        "[server]\nprice_catalogue = \"p.txt\"\n[prices.\"fleet/x\"]\nlike = \"openai/gpt-4o\"\n",
    );
    let error = found.use_catalogue(catalogue).unwrap_err();
    assert_eq!(error, "prices.\"fleet/x\": the catalogue of 2027-01-01 has no `openai/gpt-4o`");
}

#[test]
fn what_a_core_remembers_is_what_the_policy_says() {
    let first = policy("[prices.\"openai/gpt-5-mini\"]\ninput = \"$1/M\"\noutput = \"$1/M\"\n");
    let second = policy("");
    let mut cache = PriceCache::default();
    let any = first.targets.iter().position(|target| &*target.name == "openai/*").unwrap();
    for (policy, generation) in [(&first, 1), (&second, 2), (&first, 3)] {
        for model in ["gpt-5-mini", "gpt-4o", "gpt-99", "gpt-5-mini", "gpt-99"] {
            let direct = policy.price(any, model);
            assert_eq!(cache.price((policy, generation), any, model), direct, "{model}");
        }
        let fixed = policy.price(0, "qwen");
        assert_eq!(cache.price((policy, generation), 0, "qwen"), fixed);
    }
    for number in 0..3000 {
        assert_eq!(cache.price((&first, 3), any, &format!("no-{number}")), None);
    }
    assert!(cache.price((&first, 3), any, "gpt-4o").is_some());
}

#[test]
fn a_missing_price_says_what_to_write() {
    let found = policy("");
    let help = found.price_wanted(0, "qwen");
    assert!(help.contains("[prices.\"fleet/qwen\"]\ninput = "), "{help}");
    // What it shows is right.
    let shown: Vec<_> = help.lines().skip(2).take(3).collect();
    assert!(price(&policy(&shown.join("\n")), "fleet/qwen").is_some(), "{help}");
}

#[test]
fn what_is_wrong_with_a_price_is_said_where_it_stands() {
    let wrong = |rest: &str, expected: &[&str]| {
        let lines = FLEET.lines().count();
        let found: Vec<String> = reasons(&format!("{FLEET}{rest}"));
        let expected: Vec<String> = expected
            .iter()
            .map(|text| {
                let (line, reason) = text.split_once(' ').unwrap();
                format!("{}: {reason}", lines + line.parse::<usize>().unwrap())
            })
            .collect();
        assert_eq!(found, expected, "{rest}");
    };
    wrong(
        "[prices.qwen]\ninput = \"$1/M\"\noutput = \"$1/M\"\n",
        &["1 `qwen` does not name a provider's model"],
    );
    wrong(
        "[prices.\"flet/x\"]\ninput = \"$1/M\"\noutput = \"$1/M\"\n",
        &["1 there is no provider `flet`"],
    );
    wrong(
        "[prices.\"fleet/x\"]\ninput = \"$1\"\noutput = \"$1/M\"\n",
        &["2 `$1` does not say for how many tokens"],
    );
    wrong(
        "[prices.\"fleet/x\"]\ninput = \"€1/M\"\noutput = \"$1/M\"\n",
        &["2 `€1/M` is in EUR, and nothing says what that is worth"],
    );
    wrong("[prices.\"fleet/x\"]\n", &["1 `prices.\"fleet/x\"` says no price"]);
    wrong(
        "[prices.\"fleet/x\"]\nlike = \"openai/gpt-5-min\"\n",
        &["2 the catalogue has no `openai/gpt-5-min`"],
    );
    wrong(
        "[prices.\"fleet/x\"]\ntiers = [{ service = \"batch\", input = \"$1/M\" }]\n",
        &["1 `prices.\"fleet/x\"` has prices for some requests and none for the usual one"],
    );
    wrong(
        "[prices.\"fleet/x\"]\ngpu_hour = \"$2\"\nrequest = \"$0\"\n",
        &["2 gpu_hour does not say what part of the hour a request takes"],
    );
    wrong(
        "[prices.\"fleet/x\"]\ngpus = 2\nrequest = \"$0\"\n",
        &["2 without gpu_hour it has no effect"],
    );
    wrong(
        "[prices.\"fleet/x\"]\nrequest = \"$0\"\nregions = { mars = \"2\" }\n",
        &["3 `mars` is no region with a price"],
    );
    wrong(
        "[prices.\"fleet/x\"]\nrequest = \"$0\"\nmultiplier = \"-1\"\n",
        &["3 `-1` is no multiplier"],
    );
    wrong(
        "[prices.\"fleet/x\"]\nrequest = \"$0\"\ntiers = [{ input = \"$1/M\" }]\n",
        &["3 this tier is for every request"],
    );
    wrong(
        "[currencies.EURO]\nrate = \"1\"\ndate = 2026-01-01\n",
        &["1 `EURO` is no code of a currency"],
    );
    wrong(
        "[currencies.EUR]\nrate = \"0\"\ndate = \"soon\"\n",
        &["2 `0` is no rate", "3 dates are spelled 2027-01-31 or 2027-01-31T12:00:00Z"],
    );
    wrong("[currencies.EUR]\nrate = \"1\"\n", &["1 `currencies.EUR` has no date"]);
}

#[test]
fn half_a_price_is_worth_a_look() {
    let text = format!("{FLEET}[prices.\"fleet/qwen\"]\ninput = \"$1/M\"\n");
    assert_eq!(
        warnings(&text)[1..],
        ["`prices.\"fleet/qwen\"` has no price of output: it costs as much as input"]
    );
}
