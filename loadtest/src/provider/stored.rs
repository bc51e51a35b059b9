//! The responses that the provider keeps, and what is asked of them later.
//!
//! In: an answer and the items before it; then method and path of a request for it. Out: the body of the answer, or the
//! [`Refusal`] in the real API's words. Remembered: the latest responses, up to a limit; an older one is gone.
//! Format: <https://platform.openai.com/docs/api-reference/responses/get>

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::{Map, Value, json};

use super::dialect::{Dialect, query_value};
use super::refusal::{Reason, Refusal};

/// Responses that are kept at a time.
const RESPONSES_MAX: usize = 4096;

/// Bytes of the items that a response may be kept with.
const CONTEXT_BYTES_MAX: usize = 1 << 20;

/// Items of a page when the client does not say how many.
const PAGE_ITEMS: usize = 20;

/// What a request says of being kept, and of what was kept before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stay {
    /// The id of the answer.
    pub(crate) id: String,
    pub(crate) is_stored: bool,
    /// It is made in the background: the answer comes before it is done.
    pub(crate) is_background: bool,
    pub(crate) previous: Option<String>,
    /// The input, and before it all that the response before was made from and said.
    pub(crate) items: Vec<Value>,
}

/// One response.
#[derive(Debug)]
struct Kept {
    id: String,
    response: Value,
    /// What it was made from.
    items: Vec<Value>,
    is_background: bool,
}

/// The responses of one provider.
#[derive(Debug)]
pub(crate) struct Stored {
    /// Tells this provider's ids from those of others.
    salt: u64,
    slots: Box<[ArcSwapOption<Kept>]>,
}

impl Stored {
    pub(crate) fn new() -> Stored {
        Stored {
            salt: RandomState::new().hash_one(0),
            slots: (0..RESPONSES_MAX).map(|_| ArcSwapOption::empty()).collect(),
        }
    }

    /// Reads what `members` say of being kept, and puts what was kept before in front of their input.
    pub(crate) fn go_on(
        &self,
        members: &mut Map<String, Value>,
        serial: u64,
    ) -> Result<Stay, Refusal> {
        let is = |name: &str| members.get(name).and_then(Value::as_bool);
        let is_background = is("background") == Some(true);
        let is_stored = is("store") != Some(false);
        if is_background && !is_stored {
            let message = "Background mode requires store to be true.";
            return Err(Dialect::Responses.refuse(Reason::Conflict, "background", message));
        }
        let previous = members.get("previous_response_id").and_then(Value::as_str);
        let previous = previous.map(str::to_owned);
        let mut items = match &previous {
            Some(id) => self.context_of(id)?,
            None => Vec::new(),
        };
        let first_own = items.len();
        match members.get("input") {
            Some(Value::String(text)) => items.push(json!({
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": text}],
            })),
            Some(Value::Array(own)) => items.extend(own.iter().cloned()),
            _ => {}
        }
        for (index, item) in items.iter_mut().enumerate().skip(first_own) {
            let is_message = item["type"].as_str().unwrap_or("message") == "message";
            if is_message && item.is_object() && item["id"].is_null() {
                item["id"] = format!("msg_{serial:016x}{index:08x}").into();
                item["type"] = "message".into();
            }
        }
        if previous.is_some() {
            members.insert("input".to_owned(), items.clone().into());
            // What it goes on from is kept, whether or not it will be itself.
            members.insert("store".to_owned(), true.into());
        }
        let id = format!("resp_{:016x}{serial:032x}", self.salt);
        Ok(Stay { id, is_stored, is_background, previous, items })
    }

    /// Keeps an answer, if it is to be kept. The one that goes out now, which is not done in the background.
    pub(crate) fn keep(&self, stay: &Stay, response: &Value) -> Option<Value> {
        let bytes =
            |items: &[Value]| items.iter().map(|item| item.to_string().len()).sum::<usize>();
        let now = stay.is_background.then(|| {
            let mut early = response.clone();
            early["status"] = "queued".into();
            early["output"] = json!([]);
            early["usage"] = Value::Null;
            early
        });
        if stay.is_stored && bytes(&stay.items) <= CONTEXT_BYTES_MAX {
            let kept = Kept {
                id: stay.id.clone(),
                response: response.clone(),
                items: stay.items.clone(),
                is_background: stay.is_background,
            };
            if let Some(slot) = self.slot(&stay.id) {
                slot.store(Some(Arc::new(kept)));
            }
        }
        now
    }

    /// The answer to a request for what is kept.
    pub(crate) fn answer(&self, method: &str, target: &str) -> Result<Value, Refusal> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let rest = path.strip_prefix("/v1/responses/").unwrap_or_default();
        let (id, part) = rest.split_once('/').unwrap_or((rest, ""));
        let kept = self.find(id).ok_or_else(|| {
            let message = format!("Response with id '{id}' not found.");
            Dialect::Responses.refuse(Reason::ResponseUnknown, "id", message)
        })?;
        match (method, part) {
            ("GET" | "HEAD", "") => Ok(kept.response.clone()),
            ("GET" | "HEAD", "input_items") => Ok(page(&kept.items, query)),
            ("DELETE", "") => {
                self.drop_out(id);
                Ok(json!({"id": id, "object": "response", "deleted": true}))
            }
            ("POST", "cancel") if kept.is_background => Ok(self.cancel(&kept)),
            ("POST", "cancel") => {
                let message = "Cannot cancel a synchronous response.";
                Err(Refusal::new(Reason::Synchronous, message).told_by(Dialect::Responses))
            }
            (_, "" | "input_items" | "cancel") => {
                let message = "Method Not Allowed";
                Err(Refusal::new(Reason::MethodWrong, message).told_by(Dialect::Responses))
            }
            _ => Err(Refusal::new(Reason::PathUnknown, "Not Found").told_by(Dialect::Responses)),
        }
    }

    fn context_of(&self, id: &str) -> Result<Vec<Value>, Refusal> {
        let kept = self.find(id).ok_or_else(|| {
            let message = format!("Previous response with id '{id}' not found.");
            let reason = Reason::PreviousUnknown;
            Dialect::Responses.refuse(reason, "previous_response_id", message)
        })?;
        let mut items = kept.items.clone();
        items.extend(kept.response["output"].as_array().into_iter().flatten().cloned());
        Ok(items)
    }

    fn cancel(&self, kept: &Kept) -> Value {
        let mut response = kept.response.clone();
        response["status"] = "cancelled".into();
        response["output"] = json!([]);
        response["usage"] = Value::Null;
        let (id, items) = (kept.id.clone(), kept.items.clone());
        let kept = Kept { id, response: response.clone(), items, is_background: true };
        if let Some(slot) = self.slot(&kept.id) {
            slot.store(Some(Arc::new(kept)));
        }
        response
    }

    fn drop_out(&self, id: &str) {
        if let Some(slot) = self.slot(id) {
            slot.store(None);
        }
    }

    fn find(&self, id: &str) -> Option<Arc<Kept>> {
        self.slot(id)?.load_full().filter(|kept| kept.id == id)
    }

    /// The place that the number in an id leads to.
    fn slot(&self, id: &str) -> Option<&ArcSwapOption<Kept>> {
        let digits = id.get(id.len().checked_sub(16)?..)?;
        let serial = u64::from_str_radix(digits, 16).ok()?;
        self.slots.get(usize::try_from(serial % RESPONSES_MAX as u64).ok()?)
    }
}

/// A page of items, the latest first unless the query says otherwise.
fn page(items: &[Value], query: &str) -> Value {
    let most = query_value(query, "limit").and_then(|most| most.parse().ok());
    let mut data = items.to_vec();
    if query_value(query, "order") != Some("asc") {
        data.reverse();
    }
    let all = data.len();
    data.truncate(most.unwrap_or(PAGE_ITEMS).clamp(1, 100));
    let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    let has_more = data.len() < all;
    json!({
        "object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn kept(stored: &Stored, value: Value, serial: u64) -> Stay {
        let stay = stored.go_on(&mut members(value), serial).unwrap();
        let output = json!([{"type": "message", "role": "assistant", "id": "msg_out"}]);
        let _ =
            stored.keep(&stay, &json!({"id": stay.id, "status": "completed", "output": output}));
        stay
    }

    fn reason(outcome: Result<Value, Refusal>) -> Reason {
        outcome.unwrap_err().reason
    }

    #[test]
    fn a_response_is_there_until_it_is_deleted() {
        let stored = Stored::new();
        let stay = kept(&stored, json!({"input": "hi"}), 7);
        let path = format!("/v1/responses/{}", stay.id);
        assert_eq!(stored.answer("GET", &path).unwrap()["id"], stay.id);
        let items = stored.answer("GET", &format!("{path}/input_items?limit=5")).unwrap();
        assert_eq!(items["data"][0]["content"][0]["text"], "hi");
        assert_eq!(reason(stored.answer("POST", &format!("{path}/cancel"))), Reason::Synchronous);
        assert_eq!(reason(stored.answer("PUT", &path)), Reason::MethodWrong);
        assert_eq!(reason(stored.answer("GET", &format!("{path}/x"))), Reason::PathUnknown);
        assert_eq!(stored.answer("DELETE", &path).unwrap()["deleted"], true);
        assert_eq!(reason(stored.answer("GET", &path)), Reason::ResponseUnknown);
        let foreign = Stored::new().answer("GET", &path);
        assert_eq!(reason(foreign), Reason::ResponseUnknown);
    }

    #[test]
    fn what_is_not_to_be_stored_is_not() {
        let stored = Stored::new();
        let stay = kept(&stored, json!({"input": "hi", "store": false}), 1);
        let path = format!("/v1/responses/{}", stay.id);
        assert_eq!(reason(stored.answer("GET", &path)), Reason::ResponseUnknown);
        let mut both = members(json!({"store": false, "background": true}));
        assert_eq!(stored.go_on(&mut both, 2).unwrap_err().reason, Reason::Conflict);
    }

    #[test]
    fn a_turn_goes_on_from_all_that_was_said() {
        let stored = Stored::new();
        let first = kept(&stored, json!({"input": "one"}), 1);
        let mut next = members(json!({"input": "two", "previous_response_id": first.id}));
        let stay = stored.go_on(&mut next, 2).unwrap();
        assert_eq!(stay.items.len(), 3);
        assert_eq!(next["input"].as_array().map(Vec::len), Some(3));
        let mut wrong = members(json!({"input": "two", "previous_response_id": "resp_1"}));
        let refusal = stored.go_on(&mut wrong, 3).unwrap_err();
        assert_eq!((refusal.reason, refusal.status()), (Reason::PreviousUnknown, 400));
    }

    #[test]
    fn what_is_made_in_the_background_can_be_cancelled() {
        let stored = Stored::new();
        let stay = stored.go_on(&mut members(json!({"background": true})), 1).unwrap();
        let early = stored.keep(&stay, &json!({"id": stay.id, "status": "completed"})).unwrap();
        assert_eq!(early["status"], "queued");
        let path = format!("/v1/responses/{}", stay.id);
        assert_eq!(stored.answer("GET", &path).unwrap()["status"], "completed");
        let cancelled = stored.answer("POST", &format!("{path}/cancel")).unwrap();
        assert_eq!(cancelled["status"], "cancelled");
        assert_eq!(stored.answer("GET", &path).unwrap()["status"], "cancelled");
    }

    #[test]
    fn the_oldest_gives_way() {
        let stored = Stored::new();
        let first = kept(&stored, json!({"input": "hi"}), 1);
        let _ = kept(&stored, json!({"input": "hi"}), 1 + RESPONSES_MAX as u64);
        let path = format!("/v1/responses/{}", first.id);
        assert_eq!(reason(stored.answer("GET", &path)), Reason::ResponseUnknown);
    }
}
