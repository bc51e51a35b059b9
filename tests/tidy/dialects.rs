//! The document of the dialects: paths, kinds of providers, and what a translation loses, found by translating.

use std::fmt::Write;

use faregate_adapters::{
    chat::{Customs, Loss, Names},
    dialect::{Call, Form, StreamFraming, Terms},
    kind::{self, Auth},
    quirks::Quirks,
    surface::{Called, NotServed},
};
use faregate_wire::Method;

use super::{
    documents::{MADE, bar, same},
    features,
};

/// Paths that clients call, for the table of surfaces.
const PATHS: [(Method, &str); 33] = [
    (Method::Post, "/v1/chat/completions"),
    (Method::Post, "/openai/v1/chat/completions"),
    (Method::Post, "/openai/deployments/MODEL/chat/completions"),
    (Method::Post, "/v1/responses"),
    (Method::Post, "/v1/responses/input_tokens"),
    (Method::Get, "/v1/responses/ID"),
    (Method::Post, "/v1/completions"),
    (Method::Post, "/v1/embeddings"),
    (Method::Get, "/v1/models"),
    (Method::Get, "/v1/models/MODEL"),
    (Method::Get, "/v1/realtime"),
    (Method::Post, "/v1/audio/speech"),
    (Method::Post, "/v1/messages"),
    (Method::Post, "/anthropic/v1/messages"),
    (Method::Post, "/v1/messages/count_tokens"),
    (Method::Post, "/v1/messages/batches"),
    (Method::Get, "/anthropic/v1/models"),
    (Method::Post, "/v1beta/models/MODEL:generateContent"),
    (Method::Post, "/v1beta/models/MODEL:streamGenerateContent"),
    (Method::Post, "/v1/models/MODEL:generateContent"),
    (Method::Post, "/gemini/v1beta/models/MODEL:generateContent"),
    (Method::Post, "/v1beta/models/MODEL:countTokens"),
    (Method::Post, "/v1beta/models/MODEL:embedContent"),
    (Method::Post, "/v1beta/models/MODEL:batchEmbedContents"),
    (Method::Get, "/v1beta/models"),
    (Method::Post, "/v1beta/openai/chat/completions"),
    (Method::Post, "/v1/projects/P/locations/L/publishers/google/models/MODEL:generateContent"),
    (Method::Post, "/model/MODEL/converse"),
    (Method::Post, "/model/MODEL/converse-stream"),
    (Method::Post, "/bedrock/model/MODEL/converse"),
    (Method::Post, "/v1/rerank"),
    (Method::Post, "/api/chat"),
    (Method::Post, "/tokenize"),
];

#[test]
fn the_page_of_dialects_is_the_codes() {
    let mut text = format!(
        "# Dialects\n\n{MADE}\n\n\
         A client speaks one of five dialects, a provider one or more of them. Where both speak the same one, a request \
         and its answer pass byte for byte, but for the model's name and the wish for usage. Where they do not, Faregate \
         translates. What the provider's dialect cannot say is named in the header `x-faregate-lost` of the answer; with \
         `server.strict_translation = true` such a request is refused instead. How to point a client at Faregate is in \
         [clients.md](clients.md).\n\n"
    );
    paths(&mut text);
    keys(&mut text);
    counts(&mut text);
    streams(&mut text);
    kinds(&mut text);
    text.push_str(
        "## What is lost\n\n\
         Each row is a small request in the client's dialect, translated into the dialect of each column. *yes*: \
         nothing is lost. Otherwise the cell has the names that `x-faregate-lost` would tell, or why the request is \
         refused. A provider of OpenAI's dialect may know less than OpenAI: `dialect` and `like` in the policy, and \
         `adapters/src/quirks.rs`, say which members it refuses; they are lost there too. Marks for a prompt cache are \
         hints, and are not told as lost.\n",
    );
    Form::ALL.into_iter().for_each(|client| losses(&mut text, client));
    same("docs/dialects.md", &text);
}

fn paths(text: &mut String) {
    text.push_str(
        "## Paths\n\n\
         Every path of OpenAI's, Anthropic's and Gemini's is served with and without its version. `/openai`, \
         `/anthropic`, `/gemini` and `/bedrock` in front say whose API is meant. The last column is the name in logs and \
         metrics.\n\n\
         | method | path | dialect | surface |\n| --- | --- | --- | --- |\n",
    );
    for (method, path) in PATHS {
        let Ok(called) = Called::of(method, path) else { panic!("{path} is not served") };
        let dialect = match called.surface.form() {
            Some(form) => format!("`{}`", form.name()),
            None => "passed as it is".to_owned(),
        };
        let name = called.surface.name();
        writeln!(text, "| {} | `{path}` | {dialect} | `{name}` |", method.as_str()).unwrap();
    }
    assert_eq!(Called::of(Method::Post, "/nothing"), Err(NotServed::Path));
}

fn keys(text: &mut String) {
    text.push_str(
        "\n## Keys\n\n\
         A caller's key is taken wherever a client puts it: `Authorization: Bearer KEY`, `x-api-key: KEY`, `api-key: \
         KEY`, `x-goog-api-key: KEY`, the query `key=KEY`, or the access key id of an AWS signature (the signature \
         itself is not checked: the id is the key). Several at once are served when they say the same, and refused when \
         they do not. None of them reaches a provider.\n",
    );
}

fn counts(text: &mut String) {
    text.push_str(
        "\n## Counts of tokens\n\n\
         A request to count tokens goes to the target's provider where that speaks the client's dialect. Where it does \
         not, Faregate answers, and the header `x-faregate-count` says how the number was come by:\n\n\
         - `exact`: the model is one of OpenAI's whose framing of messages is published (`gpt-3.5-turbo`, `gpt-4`, \
         `gpt-4o` and their versions), at a provider that runs those (`openai`, `azure`, `openrouter`, or `like` one of \
         them), and the request is plain texts of a part each. Counted by the model's own vocabulary.\n\
         - `upper-bound`: there are no more. Texts are counted where the vocabulary is known (`gpt-4.1`, `gpt-5`, `o1`, \
         `o3`, `o4-mini` too); all else, and everything for other models and in bodies over 1 MiB, is a token a byte.\n\
         - `estimate`: the request holds an image, sound or a file, which no size bounds. There may be more.\n\n\
         A stream of Anthropic's dialect begins with its input tokens. Where it is translated, the provider may tell them \
         last: until then the number in `message_start` is Faregate's, `x-faregate-count` says whether it is `exact` or an \
         `estimate` (by sizes: of all but known texts, and while a vocabulary is being loaded), and `message_delta` has the \
         provider's at the end.\n\n\
         An answer whose provider tells no usage at all is estimated: its input as above, its output by the pieces and the \
         bytes of text that have passed, of a whole answer that passes by its bytes. The access log then has `usage` \
         `estimated` (`counted` where the input was counted and nothing came, `absent` where there is nothing to go by; \
         else it is `provider`), and so has what is settled. Limits charge all that was set aside for such a request, or \
         what came of a broken stream. Where an answer is translated, a client is told the estimate if its dialect tells \
         usage in any case, or, in a stream of chats, if it asked; metrics count providers' tokens alone.\n\n\
         What a provider adds unseen, such as instructions of its own, is in none of them. A request that refers to what a \
         provider has stored is refused.\n",
    );
}

fn streams(text: &mut String) {
    text.push_str(
        "\n## Streams\n\n\
         How a stream is asked for, cut, and ended.\n\n\
         | dialect | asked for by | comes as | ends with |\n| --- | --- | --- | --- |\n",
    );
    for form in Form::ALL {
        let (asked, end) = match form {
            Form::Chat => ("`stream: true`", "`data: [DONE]`"),
            Form::Responses => {
                ("`stream: true`", "`response.completed`, `.incomplete` or `.failed`")
            }
            Form::Messages => ("`stream: true`", "`message_stop`"),
            Form::Gemini => (
                "`:streamGenerateContent`",
                "the chunk with `finishReason`, then the end of the body",
            ),
            Form::Converse => ("`/converse-stream`", "`messageStop`, then `metadata`"),
        };
        let framing = match (form, form.outbound().stream_framing()) {
            (Form::Gemini, _) => "server-sent events with `alt=sse`, else one JSON array",
            (_, StreamFraming::Events) => "server-sent events",
            (_, StreamFraming::Frames) => "AWS event-stream frames",
            (_, StreamFraming::Lines) => "a JSON object a line",
        };
        writeln!(text, "| `{}` | {asked} | {framing} | {end} |", form.name()).unwrap();
    }
    text.push_str(
        "\nA stream that breaks off ends with an error in the client's dialect and without the last event above.\n",
    );
}

fn kinds(text: &mut String) {
    text.push_str(
        "\n## Kinds of providers\n\n\
         `dialect` in `[providers.x]` is one of these. The path goes behind the base URL; the first dialect is the one \
         that others are translated into. `speaks` in the policy adds dialects that a provider of kind `openai` or \
         another has beside its own.\n\n\
         | `dialect` | speaks | paths, plain and streamed | proof of who pays |\n| --- | --- | --- | --- |\n",
    );
    for kind in kind::ALL {
        let speaks: Vec<_> = kind.forms.iter().map(|form| format!("`{}`", form.name())).collect();
        let mut paths: Vec<String> = Vec::new();
        for form in kind.forms {
            for stream in [false, true] {
                let path = format!("`{}{}`", kind.path_default, kind.path(*form, "MODEL", stream));
                if !paths.contains(&path) {
                    paths.push(path);
                }
            }
        }
        let auth = match kind.auth {
            Auth::Bearer => "`Authorization: Bearer`".to_owned(),
            Auth::Field(name) => format!("`{name}`"),
            Auth::Google => "a token of Google's as a bearer".to_owned(),
            Auth::Aws => "AWS signature version 4, or a key as a bearer".to_owned(),
        };
        let (speaks, paths) = (speaks.join(", "), paths.join(", "));
        writeln!(text, "| `{}` | {speaks} | {paths} | {auth} |", kind.name).unwrap();
    }
    text.push('\n');
}

/// The table of one client's dialect.
fn losses(text: &mut String, client: Form) {
    let targets: Vec<Form> = Form::ALL.into_iter().filter(|target| *target != client).collect();
    writeln!(text, "\n### A client of `{}`\n", client.name()).unwrap();
    let names: Vec<_> = targets.iter().map(|target| format!("to `{}`", target.name())).collect();
    writeln!(text, "| feature | {} |", names.join(" | ")).unwrap();
    writeln!(text, "| --- |{}", " --- |".repeat(targets.len())).unwrap();
    for (name, members) in features::of(client) {
        let body = whole(client, members);
        let cells: Vec<_> =
            targets.iter().map(|target| bar(&translated(client, *target, &body))).collect();
        writeln!(text, "| {name} | {} |", cells.join(" | ")).unwrap();
    }
}

/// A request with these members, and those that every one of the dialect has.
fn whole(client: Form, members: &str) -> String {
    let asked: serde_json::Map<_, _> = serde_json::from_str(&format!("{{{members}}}")).unwrap();
    let mut parts: Vec<String> = features::base(client)
        .iter()
        .filter(|(name, _)| !asked.contains_key(*name))
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    if !members.is_empty() {
        parts.push(members.to_owned());
    }
    format!("{{{}}}", parts.join(","))
}

/// What becomes of a request, as the gateway translates it.
fn translated(client: Form, target: Form, body: &str) -> String {
    let refused = |message: &str| format!("refused: {message}");
    let inbound = client.inbound();
    let prepared = inbound.prepare(body.as_bytes());
    let bytes = prepared.as_deref().unwrap_or(body.as_bytes());
    let call = Call { model: Some("m"), stream: Some(false) };
    let mut request = match inbound.read_request(bytes, &call) {
        Ok(request) => request,
        Err(invalid) => return refused(&invalid.message),
    };
    if client == Form::Responses
        && let Some(invalid) = faregate_adapters::dialect::responses::stored_state(&request)
    {
        return refused(&invalid.message);
    }
    let outbound = target.outbound();
    if !matches!(target, Form::Chat | Form::Responses) {
        let _customs = Customs::lower(&mut request);
    }
    let _names = Names::fit(&mut request, &outbound.name_rule());
    let terms = Terms { model: "m", output_max: 8192, quirks: &Quirks::NONE };
    let (mut out, mut loss) = (Vec::new(), Loss::default());
    match outbound.write_request(&mut out, &request, &terms, &mut loss) {
        Err(invalid) => refused(&invalid.message),
        Ok(()) => {
            serde_json::from_slice::<serde_json::Value>(&out).unwrap();
            match loss.is_empty() {
                true => "yes".to_owned(),
                false => format!("lost: `{}`", loss.list().replace(',', "`, `")),
            }
        }
    }
}
