//! The client's query, as far as a provider gets it.

use std::borrow::Cow;

use super::write::Written;

impl Written {
    /// The client's query as far as a provider below `prefix` gets it. Dates of Azure's older API are none of the newer one's,
    /// which refuses them, nor of others'.
    pub(super) fn query<'q>(&self, query: Option<&'q str>, prefix: &str) -> Option<Cow<'q, str>> {
        let query = query.filter(|_| self.keeps_query)?;
        let is_date = |pair: &str| {
            let version = pair.strip_prefix("api-version=");
            version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
        };
        if !prefix.ends_with("/v1") || !query.split('&').any(is_date) {
            return Some(query.into());
        }
        let kept: Vec<&str> = query.split('&').filter(|pair| !is_date(pair)).collect();
        (!kept.is_empty()).then(|| kept.join("&").into())
    }

    /// Names the provider's `version` in the path's query, unless the client's own `query` goes there and names one.
    pub(super) fn name_version(&mut self, version: &str, query: Option<&str>) {
        let query = query.filter(|_| self.keeps_query).unwrap_or_default();
        if query.split('&').any(|pair| pair.starts_with("api-version=")) {
            return;
        }
        let mark = if self.path.contains('?') { '&' } else { '?' };
        self.path = format!("{}{mark}api-version={version}", self.path).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::write::WrittenBody;

    #[test]
    fn dates_of_azures_older_api_stay_out_of_the_newer_one() {
        let mut written = Written {
            path: "/x".into(),
            from_root: false,
            keeps_query: true,
            fields: Vec::new(),
            body: WrittenBody::Own(Vec::new()),
            unwraps: false,
            crossing: None,
        };
        let asked = Some("api-version=2024-10-21&a=b");
        assert_eq!(written.query(asked, "/openai/v1").as_deref(), Some("a=b"));
        assert_eq!(written.query(Some("api-version=2024-10-21"), "/v1"), None);
        assert_eq!(written.query(asked, "/openai/deployments/m").as_deref(), asked);
        let preview = Some("api-version=preview");
        assert_eq!(written.query(preview, "/openai/v1").as_deref(), preview);
        written.name_version("v", asked);
        assert_eq!(&*written.path, "/x", "the client's own");
        written.keeps_query = false;
        assert_eq!(written.query(asked, "/x"), None);
        written.name_version("v", asked);
        assert_eq!(&*written.path, "/x?api-version=v");
    }
}
