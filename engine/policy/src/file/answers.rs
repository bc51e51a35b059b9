//! The table `cache`, and what `workloads.*` say of their answers.

use hashbrown::HashMap;

use super::section::Section;
use crate::cache::answers::{Answers, Exact, Share};

/// Reads all of it.
pub(super) fn read(root: &Section<'_, '_>) -> Answers {
    let section = root.table("cache");
    let mut workloads = HashMap::new();
    for (name, workload) in root.named("workloads") {
        workloads.insert(name.text.into(), exact(&workload.table("cache")));
    }
    let number = |key: &str| section.number(key).unwrap_or_default();
    Answers {
        memory_bytes: number("memory"),
        answer_bytes: usize::try_from(number("answer_bytes")).unwrap_or(usize::MAX),
        workloads,
    }
}

fn exact(cache: &Section<'_, '_>) -> Option<Exact> {
    let section = cache.table("exact");
    section.is_there().then(|| Exact {
        ttl: section.duration("ttl"),
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
