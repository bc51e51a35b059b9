//! Which workload a request belongs to: what the policy's matches say, else what the client names.
//!
//! In: the head's fields, one by one, and the tags of the request. Out: the name of the first workload of the policy whose
//! conditions all hold. What fields have met is remembered in the request's own `Heard`.

/// Conditions on head fields, of all workloads together.
pub const CONDITIONS_MAX: usize = 64;

/// The tag that carries a request's workload to the books.
pub const TAG: &str = "workload";

/// Conditions on head fields that the fields so far have met, by their place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard(u64);

/// The workloads that the policy matches, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workloads {
    matches: Vec<Match>,
    /// Head fields, lower case, and the value that each must have.
    fields: Vec<(Box<str>, Box<str>)>,
}

/// What a request must have to belong to a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Match {
    name: Box<str>,
    /// The conditions on head fields that must be met.
    fields: u64,
    tags: Vec<(Box<str>, Box<str>)>,
}

/// There are more conditions than [`CONDITIONS_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Workloads {
    /// Adds a workload with its conditions: head fields, whose names are in lower case, and tags.
    pub(crate) fn add(
        &mut self,
        name: &str,
        fields: Vec<(Box<str>, Box<str>)>,
        tags: Vec<(Box<str>, Box<str>)>,
    ) -> Result<(), TooMany> {
        let mut mask = 0;
        for field in fields {
            let known = self.fields.iter().position(|own| *own == field);
            let place = known.unwrap_or(self.fields.len());
            if place == CONDITIONS_MAX {
                return Err(TooMany);
            }
            if known.is_none() {
                self.fields.push(field);
            }
            mask |= 1 << place;
        }
        self.matches.push(Match { name: name.into(), fields: mask, tags });
        Ok(())
    }

    /// Hears one field of the head.
    pub(crate) fn hear(&self, heard: &mut Heard, name: &[u8], value: &str) {
        for (place, (own, wanted)) in self.fields.iter().enumerate() {
            if **wanted == *value && name.eq_ignore_ascii_case(own.as_bytes()) {
                heard.0 |= 1 << place;
            }
        }
    }

    /// The first workload whose conditions hold.
    pub(crate) fn find(&self, heard: Heard, tags: &[(Box<str>, Box<str>)]) -> Option<&str> {
        let holds = |one: &&Match| {
            heard.0 & one.fields == one.fields && one.tags.iter().all(|tag| tags.contains(tag))
        };
        self.matches.iter().find(holds).map(|one| &*one.name)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(Box<str>, Box<str>)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn the_first_whose_conditions_all_hold_counts() {
        let mut workloads = Workloads::default();
        workloads.add("both", pairs(&[("x-a", "1"), ("x-b", "2")]), Vec::new()).unwrap();
        workloads.add("one", pairs(&[("x-a", "1")]), Vec::new()).unwrap();
        workloads.add("tagged", Vec::new(), pairs(&[("env", "prod")])).unwrap();
        let find = |fields: &[(&str, &str)], tags: &[(&str, &str)]| {
            let mut heard = Heard::default();
            fields.iter().for_each(|(name, value)| {
                workloads.hear(&mut heard, name.as_bytes(), value);
            });
            workloads.find(heard, &pairs(tags)).map(str::to_owned)
        };
        assert_eq!(find(&[("X-B", "2"), ("X-A", "1")], &[]).as_deref(), Some("both"));
        assert_eq!(find(&[("x-a", "1"), ("x-b", "3")], &[]).as_deref(), Some("one"));
        assert_eq!(find(&[("x-b", "2")], &[("env", "prod")]).as_deref(), Some("tagged"));
        assert_eq!(find(&[("x-b", "2")], &[("env", "dev")]), None);
    }

    #[test]
    fn conditions_are_bounded_and_the_same_one_counts_once() {
        let mut workloads = Workloads::default();
        for number in 0..CONDITIONS_MAX {
            let value = number.to_string();
            workloads.add("w", pairs(&[("x", &value)]), Vec::new()).unwrap();
            workloads.add("again", pairs(&[("x", &value)]), Vec::new()).unwrap();
        }
        assert_eq!(workloads.add("more", pairs(&[("y", "1")]), Vec::new()), Err(TooMany));
    }
}
