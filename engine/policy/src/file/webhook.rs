//! The table `budgets.webhook`.

use super::{Reader, Word, providers::secret, section::Section};
use crate::webhook::Webhook;

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 2048;

/// Reads `[budgets.webhook]`; `None` when it is not there, or wrong.
pub(super) fn read(reader: &Reader<'_>, budgets: &Section<'_, '_>) -> Option<Webhook> {
    let section = budgets.table("webhook");
    if !section.is_there() {
        return None;
    }
    for key in ["url", "secret"] {
        if section.given(key).is_none() {
            section.missing(key);
        }
    }
    let (url, word) = (section.text("url"), section.text("secret"));
    let ca_file = section.text("ca_file").map(|word| word.text.into());
    let secret = word.and_then(|word| secret(reader, &word));
    let url = url.filter(|url| is_right(reader, url))?;
    Some(Webhook { url: url.text.into(), secret: secret?, ca_file })
}

fn is_right(reader: &Reader<'_>, url: &Word<'_>) -> bool {
    let rest = ["http://", "https://"].iter().find_map(|scheme| url.text.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split(['/', '?']).next()).unwrap_or_default();
    let (reason, help) = if rest.is_none() {
        (
            format!("`{}` is no URL of http or https", url.text),
            "for example: https://hooks.example.com/faregate",
        )
    } else if authority.contains('@') {
        reader.hide(&url.span);
        (
            "a webhook's URL holds no user name and no password".to_owned(),
            "bodies are signed: see secret",
        )
    } else if authority.is_empty() || authority.starts_with(':') {
        (format!("`{}` names no host", url.text), "for example: https://hooks.example.com/faregate")
    } else if url.text.len() > URL_BYTES_MAX
        || url.text.contains('#')
        || !url.text.bytes().all(|b| (0x21..0x7f).contains(&b))
    {
        (
            format!("`{}` is no URL", url.text),
            "without blanks, fragments and characters beyond ASCII",
        )
    } else {
        return true;
    };
    reader.wrong(&url.span, reason, help);
    false
}
