//! The table `cache`, and what `workloads.*` say of their answers.

use hashbrown::HashMap;

use super::{Reader, section::Section};
use crate::{
    Models,
    cache::{
        answers::{Answers, Exact, Share},
        semantic::{Embeddings, Semantic},
    },
};

/// The word for vectors that the gateway makes.
const BUILT_IN: &str = "built-in";

/// Reads all of it.
pub(super) fn read(reader: &Reader<'_>, root: &Section<'_, '_>, models: &Models) -> Answers {
    let section = root.table("cache");
    let mut workloads = HashMap::new();
    let mut semantics = HashMap::new();
    for (name, workload) in root.named("workloads") {
        let cache = workload.table("cache");
        let semantic = semantic(reader, &cache.table("semantic"), models);
        workloads.insert(name.text.into(), exact(&cache, semantic.as_ref()));
        semantics.extend(semantic.map(|semantic| (Box::from(name.text), semantic)));
    }
    let number = |key: &str| section.number(key).unwrap_or_default();
    Answers {
        memory_bytes: number("memory"),
        answer_bytes: usize::try_from(number("answer_bytes")).unwrap_or(usize::MAX),
        workloads,
        semantic: semantics,
    }
}

/// Where answers are given to other words, they are given to the same words too: as long, if nothing else is said.
fn exact(cache: &Section<'_, '_>, semantic: Option<&Semantic>) -> Option<Exact> {
    let section = cache.table("exact");
    let is_there = section.is_there();
    (is_there || semantic.is_some()).then(|| Exact {
        ttl: match semantic {
            Some(semantic) if !is_there => semantic.ttl,
            _ => section.duration("ttl"),
        },
        share: match section.choice("share") {
            "organisation" => Share::Organisation,
            "project" => Share::Project,
            "key" => Share::Key,
            _ => Share::Team,
        },
        coalesce: section.duration_or_off("coalesce"),
        ttl_header: section.flag("ttl_header").unwrap_or_default(),
    })
}

fn semantic(reader: &Reader<'_>, section: &Section<'_, '_>, models: &Models) -> Option<Semantic> {
    if !section.is_there() {
        return None;
    }
    let word = section.text("embeddings");
    let embeddings = match &word {
        Some(word) if word.text != BUILT_IN => Embeddings::Model(word.text.into()),
        _ => Embeddings::BuiltIn,
    };
    if let (Embeddings::Model(name), Some(word)) = (&embeddings, &word)
        && models.resolve(name).is_none()
    {
        let reason = format!("nothing answers to model `{name}`");
        let help =
            "name a model of this policy or provider/model that makes vectors, or \"built-in\"";
        reader.clash(&word.span, reason, help);
    }
    let percent =
        |key: &str| section.number(key).and_then(|number| u8::try_from(number).ok()).unwrap_or(1);
    Some(Semantic {
        embeddings,
        error_percent: percent("error"),
        compare_percent: percent("compare"),
        similarity_percent: percent("similarity"),
        ttl: section.duration("ttl"),
        patience: section.duration("patience"),
    })
}
