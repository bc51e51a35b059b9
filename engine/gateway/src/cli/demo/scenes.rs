//! What happens on the stage, one scene after the other.

use std::{
    io, thread,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;

use super::{client::Client, report::Report, stage::Stage};

/// Requests of the latency scene, each way.
const PAIRS: u32 = 400;

/// Streams of the streaming scene.
const STREAMS: u32 = 40;

/// How long a saved policy may take to be seen.
const RELOAD_PATIENCE: Duration = Duration::from_secs(5);

const PROMPT: &str = "Which of these three invoices is overdue, and by how many days?";

type Play = fn(&Stage, &mut Report, &ProgressBar) -> io::Result<String>;

/// A scene: what it shows, and how it is played. It returns one line about what happened.
pub(super) struct Scene {
    /// What it shows.
    pub(super) title: &'static str,
    /// Plays it.
    pub(super) play: Play,
}

/// All scenes, in order.
pub(super) const ALL: &[Scene] = &[
    Scene { title: "plain chats of team search, beside direct ones", play: plain },
    Scene { title: "streamed chats of two teams", play: streams },
    Scene { title: "a key that nobody minted", play: bad_key },
    Scene { title: "a model that is not offered", play: wrong_model },
    Scene { title: "a team over its limit", play: over_limit },
    Scene { title: "a team whose budget runs out", play: budget },
    Scene { title: "a provider that is down, with a second target", play: failover },
    Scene { title: "a provider that is too slow", play: slow },
    Scene { title: "a stream that breaks off", play: broken },
    Scene { title: "a policy edit, picked up live", play: edit },
];

fn plain(stage: &Stage, report: &mut Report, bar: &ProgressBar) -> io::Result<String> {
    let mut gateway = Client::connect(stage.address, &stage.search)?;
    let mut direct = Client::connect(stage.provider.address(), "none")?;
    for n in 0..PAIRS {
        bar.set_message(format!("plain chats: {n} of {PAIRS} pairs"));
        let by_hand = direct.chat("gpt-sim", PROMPT, false)?;
        let reply = gateway.chat("default", PROMPT, false)?;
        report.saw("search", &reply);
        if n >= PAIRS / 10 {
            report.pair(by_hand.total, reply.total);
        }
        expect(reply.status, 200)?;
    }
    Ok(format!("{PAIRS} answered"))
}

fn streams(stage: &Stage, report: &mut Report, bar: &ProgressBar) -> io::Result<String> {
    let mut search = Client::connect(stage.address, &stage.search)?;
    let mut support = Client::connect(stage.address, &stage.support)?;
    let mut events = 0;
    for n in 0..STREAMS {
        bar.set_message(format!("streamed chats: {n} of {STREAMS}"));
        let reply = search.chat("default", PROMPT, true)?;
        expect(reply.status, 200)?;
        report.first_token(reply.first);
        events += reply.body.matches("data: ").count();
        report.saw("search", &reply);
    }
    for _ in 0..2 {
        let reply = support.chat("default", PROMPT, true)?;
        expect(reply.status, 200)?;
        events += reply.body.matches("data: ").count();
        report.saw("support", &reply);
    }
    Ok(format!("{} streams, {events} events", STREAMS + 2))
}

fn bad_key(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, "sk-nobody-minted-this-one")?;
    let reply = client.chat("default", PROMPT, false)?;
    report.saw("(unknown)", &reply);
    expect(reply.status, 401)?;
    Ok(format!("{} {}", reply.status, reply.code()))
}

fn wrong_model(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, &stage.search)?;
    let reply = client.chat("gpt-17", PROMPT, false)?;
    report.saw("search", &reply);
    expect(reply.status, 404)?;
    Ok(format!("{} {}", reply.status, reply.code()))
}

fn over_limit(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, &stage.support)?;
    let mut answered = 0;
    for _ in 0..10 {
        let reply = client.chat("default", PROMPT, false)?;
        report.saw("support", &reply);
        match reply.status {
            200 => answered += 1,
            429 => {
                let wait = reply.retry_after.clone().unwrap_or_default();
                return Ok(format!(
                    "{answered} answered, then 429 {}, retry after {wait} s",
                    reply.code()
                ));
            }
            other => return expect(other, 429).map(|()| String::new()),
        }
    }
    Err(io::Error::other("the limit of team support did not hold"))
}

fn budget(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, &stage.trial)?;
    for answered in 0..1000 {
        let reply = client.chat("default", PROMPT, false)?;
        report.saw("trial", &reply);
        match reply.status {
            200 => {}
            402 => return Ok(format!("{answered} answered, then 402 {}", reply.code())),
            other => return expect(other, 402).map(|()| String::new()),
        }
    }
    Err(io::Error::other("the budget of team trial did not hold"))
}

fn failover(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, &stage.search)?;
    let mut route = String::new();
    for _ in 0..20 {
        let reply = client.chat("steady", PROMPT, false)?;
        report.saw("search", &reply);
        expect(reply.status, 200)?;
        route = reply.route;
    }
    Ok(format!("20 answered by {route}"))
}

fn slow(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, &stage.search)?;
    let reply = client.chat("sleepy", PROMPT, false)?;
    report.saw("search", &reply);
    expect(reply.status, 504)?;
    Ok(format!("{} {} after {} ms", reply.status, reply.code(), reply.total.as_millis()))
}

fn broken(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, &stage.search)?;
    let reply = client.chat("broken", PROMPT, true)?;
    report.saw("search", &reply);
    expect(reply.status, 200)?;
    if reply.body.contains("[DONE]") || !reply.body.contains("\"error\"") {
        return Err(io::Error::other("the broken stream did not end with an error"));
    }
    Ok(format!("ends with an error event, code {}, and no [DONE]", reply.code()))
}

fn edit(stage: &Stage, report: &mut Report, _: &ProgressBar) -> io::Result<String> {
    let mut client = Client::connect(stage.address, &stage.search)?;
    stage.edit(
        "[models.default]",
        "[models.brand-new]\ntargets = [\"sim/gpt-sim\"]\n\n[models.default]",
    )?;
    let begun = now();
    loop {
        let reply = client.chat("brand-new", PROMPT, false)?;
        let waited = begun.elapsed();
        if reply.status == 200 {
            report.saw("search", &reply);
            return Ok(format!("a new model answers {} ms after the save", waited.as_millis()));
        }
        if waited > RELOAD_PATIENCE {
            return Err(io::Error::other("the saved policy was not picked up"));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn expect(status: u16, wanted: u16) -> io::Result<()> {
    match status == wanted {
        true => Ok(()),
        false => Err(io::Error::other(format!("status {status} where {wanted} was due"))),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo measures what a user would; it is no part of the gateway"
)]
fn now() -> Instant {
    Instant::now()
}
