//! Costs that were worked out by hand, and that no usage costs more than its worst case.

use faregate_adapters::chat::Usage;
use proptest::prelude::*;

use super::*;
use crate::Draft;

const M: u64 = 1_000_000;

/// A dollar for a million tokens, in pico-dollars a token.
const DOLLAR: u64 = 1_000_000;

/// Like gpt-5.5: a long-context tier, batch, priority without a price of its own for cached input.
fn gpt() -> Price {
    let mut draft = Draft::default();
    draft.set((Service::Standard, 0), Class::Input, 5 * DOLLAR);
    draft.set((Service::Standard, 0), Class::CacheRead, DOLLAR / 2);
    draft.set((Service::Standard, 0), Class::Output, 30 * DOLLAR);
    draft.set((Service::Standard, 272_000), Class::Input, 10 * DOLLAR);
    draft.set((Service::Standard, 272_000), Class::CacheRead, DOLLAR);
    draft.set((Service::Standard, 272_000), Class::Output, 45 * DOLLAR);
    draft.set((Service::Batch, 0), Class::Input, 5 * DOLLAR / 2);
    draft.set((Service::Batch, 0), Class::Output, 15 * DOLLAR);
    draft.set((Service::Priority, 0), Class::Input, 25 * DOLLAR / 2);
    draft.set((Service::Priority, 0), Class::Output, 75 * DOLLAR);
    draft.regions[0] = 1_100_000;
    draft.units[Unit::Search as usize] = Some(10_000_000_000);
    draft.finish().unwrap()
}

/// Like Claude: writes to the cache for five minutes and for an hour.
fn claude() -> Price {
    let mut draft = Draft::default();
    draft.set((Service::Standard, 0), Class::Input, 4 * DOLLAR);
    draft.set((Service::Standard, 0), Class::CacheRead, DOLLAR / 5);
    draft.set((Service::Standard, 0), Class::CacheWrite, 5 * DOLLAR);
    draft.set((Service::Standard, 0), Class::CacheWriteLong, 8 * DOLLAR);
    draft.set((Service::Standard, 0), Class::Output, 20 * DOLLAR);
    draft.set((Service::Fast, 0), Class::Input, 8 * DOLLAR);
    draft.set((Service::Fast, 0), Class::Output, 40 * DOLLAR);
    draft.finish().unwrap()
}

fn of(service: Service) -> Circumstances {
    Circumstances { service, ..Circumstances::default() }
}

fn check(price: &Price, usage: Usage, at: Circumstances, dollars: &str) {
    assert_eq!(price.cost(&usage, &at).unwrap().to_string(), dollars, "{usage:?} {at:?}");
}

#[test]
fn each_class_has_its_rate() {
    let usage =
        Usage { input: M, cache_read: M, cache_write: M, cache_write_long: M, ..Usage::default() };
    check(&claude(), usage, of(Service::Standard), "$17.20");
    check(&claude(), Usage { output: M, reasoning: M, ..usage }, of(Service::Standard), "$57.20");
    check(&claude(), Usage { audio_input: M, ..Usage::default() }, of(Service::Standard), "$4.00");
    check(
        &claude(),
        Usage { audio_output: M, ..Usage::default() },
        of(Service::Standard),
        "$20.00",
    );
}

#[test]
fn a_row_is_rounded_up_once() {
    // 1 × 0.2 + 1 × 20 micro-dollars are 20,200 nano-dollars; a tenth of a nano-dollar counts as a whole one.
    check(
        &claude(),
        Usage { cache_read: 1, output: 1, ..Usage::default() },
        of(Service::Standard),
        "$0.0000202",
    );
    let mut draft = Draft::default();
    draft.set((Service::Standard, 0), Class::Input, 1);
    let price = draft.finish().unwrap();
    check(&price, Usage { input: 1, ..Usage::default() }, of(Service::Standard), "$0.000000001");
    check(
        &price,
        Usage { input: 999, output: 1, ..Usage::default() },
        of(Service::Standard),
        "$0.000000001",
    );
    check(
        &price,
        Usage { input: 1000, output: 1, ..Usage::default() },
        of(Service::Standard),
        "$0.000000002",
    );
    check(&price, Usage::default(), of(Service::Standard), "$0.00");
}

#[test]
fn a_long_input_prices_the_whole_request_anew() {
    let usage = |input, cache_read| Usage { input, cache_read, output: 1000, ..Usage::default() };
    check(&gpt(), usage(272_000, 0), of(Service::Standard), "$1.39");
    check(&gpt(), usage(272_001, 0), of(Service::Standard), "$2.76501");
    check(&gpt(), usage(1000, 271_001), of(Service::Standard), "$0.326001");
}

#[test]
fn services_have_their_own_rates_and_what_they_do_not_say_is_never_cheaper() {
    let usage = Usage { input: M / 10, cache_read: M / 10, output: M, ..Usage::default() };
    check(&gpt(), usage, of(Service::Batch), "$15.30");
    check(&gpt(), usage, of(Service::Priority), "$77.50");
    check(&gpt(), usage, of(Service::Flex), "$30.55");
    assert_eq!(gpt().cost(&usage, &of(Service::Fast)), Err(NoPrice::Service(Service::Fast)));
    // Batch names no rates for a long input: those of the standard service hold.
    check(&gpt(), Usage { input: M, ..Usage::default() }, of(Service::Batch), "$10.00");
    // Priority neither: it grows as the standard service does.
    check(&gpt(), Usage { input: M, ..Usage::default() }, of(Service::Priority), "$25.00");
    check(
        &gpt(),
        Usage { input: M, output: M, ..Usage::default() },
        of(Service::Priority),
        "$137.50",
    );
    // A faster service says nothing of writes to the cache: they keep their proportion to input.
    check(&claude(), Usage { cache_write: M, ..Usage::default() }, of(Service::Fast), "$10.00");
    check(
        &claude(),
        Usage { cache_write_long: M, ..Usage::default() },
        of(Service::Fast),
        "$16.00",
    );
    check(&claude(), Usage { cache_read: M, ..Usage::default() }, of(Service::Fast), "$8.00");
}

#[test]
fn regions_multiply_tokens_and_not_fees() {
    let units = Units::default().with(Unit::Search, 3);
    let at = Circumstances { region: Region::Us, units, ..Circumstances::default() };
    let usage = Usage { input: 100_000, output: 100_000, ..Usage::default() };
    check(&gpt(), usage, at, "$3.88");
    check(&gpt(), usage, Circumstances { region: Region::Eu, ..at }, "$3.53");
    check(&gpt(), usage, Circumstances { region: Region::Any, ..at }, "$3.88");
}

#[test]
fn what_was_used_and_has_no_price_is_not_free() {
    let search =
        Circumstances { units: Units::default().with(Unit::Search, 1), ..Circumstances::default() };
    assert_eq!(claude().cost(&Usage::default(), &search), Err(NoPrice::Unit(Unit::Search)));
    let image = Units::default().with(Unit::Image, 2);
    let made = Circumstances { units: image, ..Circumstances::default() };
    check(&claude(), Usage { output: M, ..Usage::default() }, made, "$20.00");
    let mut draft = Draft::default();
    draft.units[Unit::Image as usize] = Some(40_000_000_000);
    let price = draft.finish().unwrap();
    check(&price, Usage { input: 10, ..Usage::default() }, made, "$0.08");
    let usage = Usage { input: 10, ..Usage::default() };
    assert_eq!(price.cost(&usage, &Circumstances::default()), Err(NoPrice::NothingCounted));
}

#[test]
fn sums_that_do_not_fit_are_told() {
    let usage = Usage { output: u64::MAX, reasoning: u64::MAX, ..Usage::default() };
    assert_eq!(gpt().cost(&usage, &Circumstances::default()), Err(NoPrice::Overflow));
    let ask = Ask { output: u64::MAX, answers: u64::MAX, ..Ask::default() };
    assert_eq!(gpt().worst_case(&ask), Err(NoPrice::Overflow));
}

#[test]
fn the_cache_saves_the_difference() {
    let saved =
        |price: &Price, usage| price.saved_by_cache(&usage, &Circumstances::default()).to_string();
    assert_eq!(saved(&claude(), Usage { cache_read: M, input: 5, ..Usage::default() }), "$3.80");
    assert_eq!(
        saved(&claude(), Usage { cache_read: M, cache_write: M, ..Usage::default() }),
        "$2.80"
    );
    assert_eq!(saved(&claude(), Usage { cache_write: M, ..Usage::default() }), "$0.00");
    assert_eq!(saved(&claude(), Usage { input: M, ..Usage::default() }), "$0.00");
}

#[test]
fn an_ask_without_a_number_of_answers_is_for_one() {
    let ask = Ask { input: M / 10, output: M, ..Ask::default() };
    assert_eq!(gpt().worst_case(&ask).unwrap().to_string(), "$30.50");
    assert_eq!(gpt().worst_case(&Ask { answers: 3, ..ask }).unwrap().to_string(), "$90.50");
    let any = Ask { services: Services::default().or(Service::Priority), ..ask };
    assert_eq!(gpt().worst_case(&any).unwrap().to_string(), "$76.25");
    let writes = Ask { cache_writes: CacheWrites::Long, ..ask };
    assert_eq!(claude().worst_case(&ask).unwrap().to_string(), "$20.40");
    assert_eq!(claude().worst_case(&writes).unwrap().to_string(), "$20.80");
    let fast = Ask { services: Services::only(Service::Ultrafast), ..ask };
    assert_eq!(gpt().worst_case(&fast), Err(NoPrice::Service(Service::Ultrafast)));
}

#[test]
fn services_are_understood_in_every_dialect() {
    let named = ["default", "auto", "standard_only", "", "batch", "FLEX", "priority", "fast"]
        .map(Service::named);
    let standard = Service::Standard;
    let others = [Service::Batch, Service::Flex, Service::Priority, Service::Fast];
    assert_eq!(named[..4], [standard; 4]);
    assert_eq!(named[4..], others);
}

#[test]
fn nothing_priced_is_no_price() {
    assert_eq!(Draft::default().finish(), None);
    let mut draft = Draft::default();
    draft.set((Service::Batch, 0), Class::Input, 1);
    assert_eq!(draft.finish(), None, "nothing is said of the standard service");
}

fn rate() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), Just(Some(0)), (0..100 * DOLLAR).prop_map(Some)]
}

prop_compose! {
    fn any_price()(
        tiers in prop::collection::vec(
            (0..Service::ALL.len(), prop_oneof![Just(0_u64), Just(1000), Just(200_000)], prop::array::uniform8(rate())), 0..8),
        first in 0..100 * DOLLAR,
        regions in prop::array::uniform4(0_u32..3_000_000),
        scale in 0_u32..3_000_000,
        search in rate(),
    ) -> Price {
        let mut draft = Draft { regions, scale, ..Draft::default() };
        draft.set((Service::Standard, 0), Class::Input, first);
        for (service, above, rates) in tiers {
            for (class, rate) in Class::ALL.into_iter().zip(rates) {
                if let Some(rate) = rate {
                    draft.set((Service::ALL[service], above), class, rate);
                }
            }
        }
        draft.units[Unit::Search as usize] = search;
        draft.finish().unwrap()
    }
}

prop_compose! {
    fn any_usage()(counts in prop::array::uniform8(prop_oneof![Just(0_u64), 0..3000_u64, 0..400_000_u64])) -> Usage {
        let [input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output] = counts;
        Usage { input, cache_read, cache_write, cache_write_long, output, reasoning, audio_input, audio_output }
    }
}

/// What `usage` costs, and the most that a request can which may just use it.
fn both(price: &Price, usage: &Usage, at: &Circumstances) -> Result<(NanoUsd, NanoUsd), NoPrice> {
    let ask = Ask {
        input: usage.total_input(),
        output: usage.total_output(),
        answers: 1,
        cache_writes: CacheWrites::Long,
        audio_input: true,
        audio_output: true,
        services: Services::only(at.service),
        region: at.region,
        units: at.units,
    };
    Ok((price.cost(usage, at)?, price.worst_case(&ask)?))
}

#[test]
fn no_price_of_the_catalogue_costs_more_than_its_worst_case() {
    let catalogue = crate::Catalogue::built_in();
    let counts = |input, cached, written, output| Usage {
        input,
        cache_read: cached,
        cache_write: written,
        cache_write_long: written,
        output,
        reasoning: output / 2,
        ..Usage::default()
    };
    let usages =
        [counts(1000, 0, 0, 500), counts(50, 150_000, 10, 7), counts(9, 400_000, 90_000, 9000)];
    let (mut count, mut services) = (0, 0);
    for found in catalogue.iter() {
        for service in Service::ALL {
            for usage in &usages {
                let at = Circumstances { service, region: Region::Any, units: Units::default() };
                let Ok((cost, worst)) = both(&found.price, usage, &at) else { continue };
                assert!(cost <= worst, "{} {service:?}: {cost} > {worst}", found.name);
                assert!(cost > NanoUsd::ZERO || found.price.is_free(), "{} is free", found.name);
                count += 1;
                services += usize::from(service > Service::Flex);
            }
        }
    }
    assert!(count > 60_000 && services > 1000, "{count}, {services}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn no_usage_costs_more_than_its_worst_case(
        price in any_price(),
        usage in any_usage(),
        service in 0..Service::ALL.len(),
        other in 0..Service::ALL.len(),
        region in prop::sample::select(vec![Region::Global, Region::Us, Region::Eu, Region::Any]),
        is_region_known in any::<bool>(),
        spare in (0_u64..2, 0_u64..100, 1_u64..4),
        searches in 0_u64..5,
    ) {
        let service = Service::ALL[service];
        let services = Services::only(service);
        let at = Circumstances { service, region, units: Units::default().with(Unit::Search, searches) };
        let ask = Ask {
            input: usage.total_input() + spare.0 * 1000,
            output: usage.total_output().div_ceil(spare.2) + spare.1,
            answers: spare.2,
            cache_writes: match (usage.cache_write, usage.cache_write_long) {
                (0, 0) => CacheWrites::None,
                (_, 0) => CacheWrites::Short,
                _ => CacheWrites::Long,
            },
            audio_input: usage.audio_input > 0,
            audio_output: usage.audio_output > 0,
            services: if spare.0 == 0 { services } else { services.or(Service::ALL[other]) },
            region: if is_region_known { region } else { Region::Any },
            units: Units::default().with(Unit::Search, searches + spare.1),
        };
        if let Ok(worst) = price.worst_case(&ask) {
            let cost = price.cost(&usage, &at).unwrap();
            prop_assert!(cost <= worst, "{cost} > {worst}");
        }
    }

    /// What nobody wrote down is not cheaper than what it stands for.
    #[test]
    fn rates_that_follow_from_others_are_not_below_them(price in any_price()) {
        for tier in price.tiers().iter().filter(|tier| !tier.service.is_discount()) {
            let is_written = |class| price.tiers().iter().any(|tier| tier.is_own(class));
            let at_least = |class, other| is_written(class) || tier.rate(class) >= tier.rate(other);
            prop_assert!(at_least(Class::CacheRead, Class::Input));
            prop_assert!(at_least(Class::CacheWrite, Class::Input));
            prop_assert!(at_least(Class::CacheWriteLong, Class::CacheWrite));
            prop_assert!(at_least(Class::AudioInput, Class::Input));
            prop_assert!(at_least(Class::Reasoning, Class::Output));
            prop_assert!(at_least(Class::AudioOutput, Class::Output));
        }
    }
}
