//! FOCUS adds up to the ledger, in both formats.

use proptest::prelude::*;

use super::*;
use crate::{
    month::HOUR,
    report::{
        money,
        tests::{rows, store},
    },
};

fn november() -> Month {
    "2026-11".parse().unwrap()
}

fn written(store: &Store, version: Version, format: Format) -> (Written, Vec<u8>) {
    let mut out = Vec::new();
    let written = write(store, november(), version, format, &mut out).unwrap();
    (written, out)
}

/// Fields of a line of CSV.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn billed_cost_adds_up_to_the_ledger(seed in any::<u64>(), step in HOUR / 10..9 * HOUR) {
        let rows = rows(seed, 150, step);
        let store = store(&rows);
        let ledger: i128 = rows
            .iter()
            .filter(|row| Month::of(row.settled_at) == november())
            .map(|row| if row.is_credit { -i128::from(row.cost.0) } else { i128::from(row.cost.0) })
            .sum();
        for version in [Version::V1_2, Version::V1_3] {
            let (told, out) = written(&store, version, Format::Csv);
            prop_assert_eq!(told.cost, ledger);
            let text = String::from_utf8(out).unwrap();
            let mut lines = text.lines().map(fields);
            let head = lines.next().unwrap();
            let at = |name: &str| head.iter().position(|found| found == name).unwrap();
            let (mut sum, mut count) = (0, 0);
            for line in lines {
                prop_assert_eq!(line.len(), head.len());
                let (cost, was_cut) = money::parse(&line[at("BilledCost")], 9).unwrap();
                prop_assert!(!was_cut);
                sum += cost;
                count += 1;
            }
            prop_assert_eq!(sum, ledger);
            prop_assert_eq!(count, told.charges);
            let (told, _) = written(&store, version, Format::Parquet);
            prop_assert_eq!(told.cost, ledger);
            prop_assert_eq!(told.charges, count);
        }
    }
}

#[test]
fn columns_stand_in_the_order_of_the_standard_and_fill_what_must_be() {
    let rows = rows(1, 300, HOUR);
    let (_, out) = written(&store(&rows), Version::V1_2, Format::Csv);
    let text = String::from_utf8(out).unwrap();
    let mut lines = text.lines().map(fields);
    let head = lines.next().unwrap();
    let (standard, ours) = head.split_at(57);
    assert!(standard.is_sorted() && standard[0] == "AvailabilityZone" && standard[56] == "Tags");
    assert!(ours.iter().all(|name| name.starts_with("x_")));
    let mandatory = [
        "BilledCost",
        "BillingAccountId",
        "BillingCurrency",
        "BillingPeriodEnd",
        "BillingPeriodStart",
        "ChargeCategory",
        "ChargePeriodEnd",
        "ChargePeriodStart",
        "ContractedCost",
        "EffectiveCost",
        "InvoiceIssuerName",
        "ListCost",
        "ProviderName",
        "PublisherName",
        "ServiceCategory",
        "ServiceName",
    ];
    let mut classes = std::collections::BTreeSet::new();
    for line in lines {
        let value = |name: &str| &line[head.iter().position(|found| found == name).unwrap()];
        for name in mandatory {
            assert!(!value(name).is_empty(), "{name}");
        }
        assert_eq!(value("BillingPeriodStart"), "2026-11-01T00:00:00Z");
        assert!(value("Tags").starts_with('{'));
        classes.insert((value("ChargeCategory").clone(), value("ChargeClass").clone()));
    }
    let said = |category: &str, class: &str| (category.to_owned(), class.to_owned());
    assert!(classes.contains(&said("Usage", "")) && classes.contains(&said("Usage", "Correction")));
    assert!(classes.contains(&said("Adjustment", "")), "{classes:?}");
}

#[test]
fn version_1_3_says_to_whom_costs_go() {
    let rows = rows(1, 300, HOUR);
    let (_, out) = written(&store(&rows), Version::V1_3, Format::Csv);
    let text = String::from_utf8(out).unwrap();
    let mut lines = text.lines().map(fields);
    let head = lines.next().unwrap();
    let at = |name: &str| head.iter().position(|found| found == name).unwrap();
    let (mut owned, mut unowned) = (0, 0);
    for line in lines {
        assert_eq!(line[at("AllocatedMethodId")], "metered-by-request");
        assert!(!line[at("ServiceProviderName")].is_empty());
        match line[at("SubAccountId")].as_str() {
            "" => {
                assert_eq!(line[at("AllocatedResourceId")], "");
                unowned += 1;
            }
            team => {
                assert!(line[at("AllocatedResourceId")].contains(&format!("team/{team}")));
                assert!(!line[at("Tags")].contains("faregate/team"));
                owned += 1;
            }
        }
    }
    assert!(owned > 10 && unowned > 5);
}

#[test]
fn a_parquet_file_begins_and_ends_as_one() {
    let (_, out) = written(&store(&rows(1, 100, HOUR)), Version::V1_2, Format::Parquet);
    assert_eq!((&out[..4], &out[out.len() - 4..]), (&b"PAR1"[..], &b"PAR1"[..]));
    let footer = u32::from_le_bytes(out[out.len() - 8..out.len() - 4].try_into().unwrap());
    assert!((500..out.len()).contains(&(footer as usize)));
    let (none, out) = written(&Store::in_memory().unwrap(), Version::V1_3, Format::Parquet);
    assert_eq!(none, Written::default());
    assert!(out.ends_with(b"PAR1"));
}
