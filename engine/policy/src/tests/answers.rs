//! Which answers are given again, and to whom.

use std::time::Duration;

use super::{
    reasons, right,
    rules::{caller, key},
};
use crate::cache::answers::Share;

const START: &str = "[providers.openai]\napi_key = \"env:K\"\n";

#[test]
fn nothing_is_kept_unless_a_workload_says_so() {
    let policy =
        right(&format!("{START}[workloads.faq]\nmatch = {{ header = {{ x-a = \"b\" }} }}\n"));
    assert!(!policy.answers.is_on() && policy.answers.exact("faq").is_none());
    let policy = right(&format!("{START}[workloads.faq.cache.exact]\n"));
    assert!(policy.answers.is_on());
    let exact = policy.answers.exact("faq").unwrap();
    assert_eq!((exact.ttl, exact.share), (Duration::from_secs(3600), Share::Team));
    assert_eq!((exact.coalesce, exact.ttl_header), (Some(Duration::from_secs(30)), false));
    assert!(policy.answers.exact("other").is_none() && policy.answers.exact("").is_none());
}

#[test]
fn the_default_is_for_workloads_without_a_table_alone() {
    let policy = right(&format!(
        "{START}[workloads.default.cache.exact]\nttl = \"5m\"\n[workloads.own]\nlimits = [\"$1/day\"]\n"
    ));
    assert_eq!(policy.answers.exact("any").unwrap().ttl, Duration::from_secs(300));
    assert!(policy.answers.exact("own").is_none() && policy.answers.exact("").is_none());
}

#[test]
fn a_workload_needs_something_in_its_table() {
    assert_eq!(reasons(&format!("{START}[workloads.faq]\n")).len(), 1);
}

#[test]
fn tenants_have_no_name_in_common() {
    let policy = right(&format!(
        "{START}[teams.a.projects.p]\n[teams.b.projects.p]\n{}{}{}{}",
        key("one", '1', "team = \"a\"\nproject = \"p\"\n"),
        key("two", '2', "team = \"b\"\nproject = \"p\"\n"),
        key("three", '3', "team = \"a\"\n"),
        key("a", '4', ""),
    ));
    let of = |share: Share, name: &str| share.tenant(caller(&policy, name));
    let names = ["one", "two", "three", "a"];
    let same = |share| {
        let tenant = |name| of(share, name);
        names.map(|one| names.map(|other| tenant(one) == tenant(other)))
    };
    assert!(same(Share::Organisation).as_flattened().iter().all(|same| *same));
    assert_eq!(of(Share::Team, "one"), of(Share::Team, "three"));
    assert_ne!(of(Share::Team, "one"), of(Share::Team, "two"));
    assert_ne!(of(Share::Team, "one"), of(Share::Team, "a"), "a key is no team of its name");
    assert_ne!(of(Share::Project, "one"), of(Share::Project, "two"));
    assert_ne!(of(Share::Project, "one"), of(Share::Project, "three"));
    let count = same(Share::Key).as_flattened().iter().filter(|same| **same).count();
    assert_eq!(count, names.len(), "each key is alone");
    let kinds = [Share::Organisation, Share::Team, Share::Project, Share::Key];
    for (at, share) in kinds.iter().enumerate() {
        let others = kinds[at + 1..].iter();
        others.for_each(|other| assert_ne!(of(*share, "one"), of(*other, "one")));
    }
}

#[test]
fn other_words_get_an_answer_where_a_workload_says_so() {
    use crate::cache::semantic::Embeddings;
    let policy = right(&format!("{START}[workloads.faq.cache.exact]\n"));
    assert!(!policy.answers.has_semantic() && policy.answers.semantic("faq").is_none());
    let policy = right(&format!("{START}[workloads.faq.cache.semantic]\nttl = \"6h\"\n"));
    let semantic = policy.answers.semantic("faq").unwrap();
    assert_eq!(semantic.embeddings, Embeddings::BuiltIn);
    assert_eq!((semantic.error_percent, semantic.compare_percent), (2, 2));
    let exact = policy.answers.exact("faq").unwrap();
    assert_eq!(exact.ttl, Duration::from_secs(6 * 3600), "the same words get it as long");
    let policy = right(&format!(
        "{START}[workloads.faq.cache]\nexact = {{ ttl = \"5m\" }}\nsemantic = {{ embeddings = \"openai/e\" }}\n"
    ));
    assert_eq!(policy.answers.exact("faq").unwrap().ttl, Duration::from_secs(300));
    let model = Embeddings::Model("openai/e".into());
    assert_eq!(policy.answers.semantic("faq").unwrap().embeddings, model);
    assert!(policy.answers.semantic("other").is_none());
    let wrong = "[workloads.faq.cache.semantic]\nembeddings = \"nobody/e\"\n";
    assert_eq!(reasons(&format!("{START}{wrong}")), ["4: nothing answers to model `nobody/e`"]);
}
