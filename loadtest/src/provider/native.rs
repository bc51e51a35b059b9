//! Requests of the dialects beside OpenAI's chat, answered.
//!
//! In: a whole request and its dialect. Out: the [`Reply`] or the [`Refusal`]. What is remembered is
//! the desk's: scripts, the prefix cache, the number of the next answer.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::ask::Members;
use super::dialect::plan::{Plan, Question};
use super::dialect::servers::{Answer, Offer};
use super::dialect::{Dialect, Fields, Route, Service, cloud, words};
use super::pieces::{Event, Format, Pieces};
use super::plain::Identity;
use super::refusal::{Reason, Refusal};
use super::replay;
use super::reply::Reply;
use super::script::{Script, UsageForm};
use super::stored::Stay;
use super::surface::{Desk, Request, headers};
use crate::clock::Nanos;

impl Desk {
    /// The reply to a request of `dialect`, which is not OpenAI's chat.
    pub(crate) fn native(
        &mut self,
        dialect: Dialect,
        request: Request<'_>,
        now: Nanos,
    ) -> Result<Reply, Refusal> {
        let identity = self.identity(dialect);
        let Some(route) = Route::of(dialect, request.method(), &request.own_target()) else {
            return Err(Refusal::new(Reason::PathUnknown, "Not Found").told_by(dialect));
        };
        if request.own_target() != request.target() {
            cloud::azure_version(request.target())?;
        }
        if route.service == Service::Models {
            let script = Rc::new(self.script_of(request)?);
            let body = match script.status {
                400.. => words::scripted(dialect, script.status, script.retry_after.as_deref()),
                _ => route.models(&self.settings().models)?.to_string().into_bytes(),
            };
            return Ok(Reply::whole(script, identity, body, now));
        }
        if route.service == Service::Stored {
            let script = Rc::new(self.script_of(request)?);
            let body = match script.status {
                400.. => words::scripted(dialect, script.status, script.retry_after.as_deref()),
                _ => self
                    .shared
                    .stored
                    .answer(request.method(), &request.own_target())?
                    .to_string()
                    .into_bytes(),
            };
            return Ok(Reply::whole(script, identity, body, now));
        }
        if request.method() != "POST" {
            return Err(Refusal::new(Reason::MethodWrong, "Method Not Allowed").told_by(dialect));
        }
        if !request.head.is_json {
            let message = "Content-Type must be application/json";
            return Err(Refusal::new(Reason::ContentType, message).told_by(dialect));
        }
        let members = Members::read(request.body).map_err(|refusal| refusal.told_by(dialect))?;
        let mut members = members.into_map();
        let script = members.remove("sim");
        self.asked(&route, request, members, script, identity, now)
    }

    /// The reply at a path that only servers of models have.
    pub(crate) fn offered(
        &mut self,
        offer: Offer,
        request: Request<'_>,
        now: Nanos,
    ) -> Result<Reply, Refusal> {
        let identity = self.identity(Dialect::OpenAi);
        if !request.head.is_json {
            let message = "Content-Type must be application/json";
            return Err(Refusal::new(Reason::ContentType, message));
        }
        let mut members = Members::read(request.body)?.into_map();
        let sim = members.remove("sim");
        let model = members.get("model").and_then(Value::as_str).unwrap_or_default();
        let script = self.laid_over(model, sim.as_ref().and_then(Value::as_str), request)?;
        if script.status >= 400 {
            let body =
                words::scripted(Dialect::OpenAi, script.status, script.retry_after.as_deref());
            return Ok(Reply::whole(script, identity, body, now));
        }
        Ok(match offer.answer(&members, &script, identity.serial)? {
            Answer::Whole(body) => {
                Reply::whole(script, identity, body.to_string().into_bytes(), now)
            }
            Answer::Lines(lines) => {
                let first_at = Reply::first_at(&script, now);
                let failure = Event::new(r#"{"error":"the model stopped"}"#);
                let pieces = Pieces::new(Format::Lines, lines, failure, &script, first_at);
                Reply::pieces(script, identity, pieces, now)
            }
        })
    }

    /// The reply to a chat of OpenAI's whose conversation steers it.
    pub(crate) fn steered(
        &mut self,
        question: &Question,
        script: Rc<Script>,
        identity: Identity,
        now: Nanos,
    ) -> Reply {
        let (dialect, service) = (Dialect::OpenAi, Service::Answer);
        let route = Route { dialect, service, model: None, stream: None };
        self.written(&route, question, script, identity, now)
    }

    #[expect(clippy::too_many_arguments, reason = "one caller, which has taken the request apart")]
    fn asked(
        &mut self,
        route: &Route,
        request: Request<'_>,
        mut members: Map<String, Value>,
        sim: Option<Value>,
        identity: Identity,
        now: Nanos,
    ) -> Result<Reply, Refusal> {
        let dialect = route.dialect;
        let fields = headers(request);
        let stay = match dialect {
            Dialect::Responses => self.shared.stored.go_on(&mut members, identity.serial)?,
            _ => Stay::default(),
        };
        let mut question = route.read(&Fields(&fields), &members)?;
        question.stay = stay;
        question.model = route.model.clone().unwrap_or(question.model);
        question.stream |= route.stream.is_some();
        let models = &self.settings().models;
        let known = models.is_empty() || models.contains(&question.model);
        if !known && !question.model.starts_with(super::script::MODEL_PREFIX) {
            return Err(route.model_unknown(&question.model));
        }
        let sim = sim.as_ref().and_then(Value::as_str);
        let script = self.laid_over(&question.model, sim, request)?;
        if let Some(reply) = self.recorded(&script, question.stream, request, identity, now) {
            return reply.map_err(|refusal| refusal.told_by(dialect));
        }
        if script.status >= 400 {
            let body = words::scripted(dialect, script.status, script.retry_after.as_deref());
            return Ok(Reply::whole(script, identity, body, now));
        }
        let tokens = question.prompt_tokens();
        if let Some(most) = self.settings().context_tokens.filter(|most| tokens > *most) {
            return Err(route.too_long(tokens, most));
        }
        Ok(self.written(route, &question, script, identity, now))
    }

    fn written(
        &mut self,
        route: &Route,
        question: &Question,
        script: Rc<Script>,
        identity: Identity,
        now: Nanos,
    ) -> Reply {
        let tokens_of_prompt = question.prompt_tokens();
        let is_marked =
            !matches!(route.dialect, Dialect::OpenAi | Dialect::Responses | Dialect::Gemini);
        let used = match is_marked {
            true => question.look_up_marked(&mut self.prefixes, &script),
            false => question.look_up(&mut self.prefixes, &script),
        };
        if route.service != Service::Answer {
            let body = match route.service {
                Service::Count => route.count(used),
                _ => route.embeddings(question),
            };
            let mut reply = Reply::whole(script, identity, body.to_string().into_bytes(), now);
            if route.service != Service::Count {
                reply.prompt = tokens_of_prompt;
            }
            return reply;
        }
        let plan = Plan::new(question, &script, used, identity.serial);
        if question.stream {
            if route.dialect == Dialect::Responses {
                let _ = self.shared.stored.keep(&question.stay, &route.whole(question, &plan));
            }
            let (format, mut events, failure) = route.events(question, &plan);
            if script.usage == UsageForm::Never {
                events.iter_mut().for_each(without_usage);
            }
            let first_at = Reply::first_at(&script, now);
            let pieces = Pieces::new(format, events, failure, &script, first_at);
            let mut reply = Reply::pieces(script, identity, pieces, now);
            reply.tokens = plan.used.output();
            reply.prompt = tokens_of_prompt;
            return reply;
        }
        let mut body = route.whole(question, &plan);
        if route.dialect == Dialect::Responses {
            body = self.shared.stored.keep(&question.stay, &body).unwrap_or(body);
        }
        if script.usage == UsageForm::Never {
            strip(&mut body);
        }
        let mut reply = Reply::whole(script, identity, body.to_string().into_bytes(), now);
        reply.tokens = plan.used.output();
        reply.prompt = tokens_of_prompt;
        reply
    }

    /// The reply from a recording, if the script or the header `x-replay` names one.
    pub(crate) fn recorded(
        &self,
        script: &Rc<Script>,
        stream: bool,
        request: Request<'_>,
        identity: Identity,
        now: Nanos,
    ) -> Option<Result<Reply, Refusal>> {
        let name = request.replay().or(script.odd.as_deref())?;
        let dir = self.settings().replay_dir.as_deref();
        let recording = match replay::read(dir, name, stream) {
            Ok(recording) => recording,
            Err(refusal) => return Some(Err(refusal)),
        };
        let script = Rc::clone(script);
        if !recording.is_stream {
            return Some(Ok(Reply::whole(script, identity, recording.bytes, now)));
        }
        let first_at = Reply::first_at(&script, now);
        let (bytes, kind) = (&recording.bytes, recording.content_type);
        let pieces = Pieces::recorded(bytes, kind, script.chunk_bytes, first_at);
        Some(Ok(Reply::pieces(script, identity, pieces, now)))
    }

    /// The script of a request, from the queue or the provider, with all that is laid over it.
    fn laid_over(
        &mut self,
        model: &str,
        sim: Option<&str>,
        request: Request<'_>,
    ) -> Result<Rc<Script>, Refusal> {
        let mut script = self.shared.queued.pop().unwrap_or_else(|| self.own_script());
        let mut overlay = || {
            script.apply_model(model)?;
            sim.map_or(Ok(()), |text| script.apply(text))?;
            request.script().map_or(Ok(()), |text| script.apply(text))
        };
        overlay().map_err(|message| Refusal::new(Reason::Script, message))?;
        Ok(Rc::new(script))
    }
}

fn without_usage(event: &mut Event) {
    if let Ok(mut data) = serde_json::from_str(&event.data) {
        strip(&mut data);
        event.data = data.to_string();
    }
}

/// Takes the usage out of an answer, wherever the dialect puts it.
fn strip(value: &mut Value) {
    let Value::Object(members) = value else { return };
    members.remove("usage");
    members.remove("usageMetadata");
    for name in ["message", "response"] {
        if let Some(inner) = members.get_mut(name) {
            strip(inner);
        }
    }
}
