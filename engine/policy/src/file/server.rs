//! The tables `server`, `retries` and `breaker`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use super::{Reader, Span, Word, section::Section};
use crate::{
    health::BreakerSettings,
    policy::{
        AccessLog, DriverWish, Ledger, LogLevel, ResponsesFile, Retries, Server, ServerDeadlines,
        ServerTls, UnknownResponses, Unpriced,
    },
};

/// Where the process listens when that is not said.
const ADDRESS_HELP: &str =
    "an address and a port: \"127.0.0.1:4000\", \"0.0.0.0:4000\", \"[::1]:4000\"";

/// Reads `[server]`. What it says about callers and providers is read with those.
pub(super) fn read(reader: &Reader<'_>, section: &Section<'_, '_>) -> Server {
    let listen = listen(reader, section);
    let admin = admin(reader, section);
    if let Some((admin, span)) = &admin
        && listen.contains(admin)
        && admin.port() != 0
    {
        let reason = format!("{admin} is also an address of listen");
        reader.clash(span, reason, "operators need a port of their own: \"127.0.0.1:4001\"");
    }
    Server {
        listen,
        admin: admin.map(|(admin, _)| admin),
        cores: section.number("cores").map(narrow),
        pin: section.flag("pin").unwrap_or(true),
        driver: match section.choice("driver") {
            "epoll" => DriverWish::Epoll,
            _ => DriverWish::Auto,
        },
        tls: tls(&section.table("tls")),
        connections: section.number("connections").map_or(u32::MAX, narrow),
        head_bytes: section.number("head_bytes").map_or(0, narrow),
        headers: section.number("headers").map_or(0, narrow),
        body_bytes: section.number("body_bytes").unwrap_or_default(),
        deadlines: deadlines(reader, &section.table("deadlines")),
        access_log: access_log(reader, section),
        log_level: log_level(section),
        passthrough: None,
        strict_translation: section.flag("strict_translation").unwrap_or(false),
        unknown_responses: match section.choice("unknown_responses") {
            "refuse" => UnknownResponses::Refuse,
            "pass" => UnknownResponses::Pass,
            _ => UnknownResponses::Auto,
        },
        responses_file: match section.text("responses_file") {
            None => ResponsesFile::Auto,
            Some(word) if word.text == "off" => ResponsesFile::Off,
            Some(word) => ResponsesFile::At(PathBuf::from(word.text)),
        },
        unpriced: match section.choice("unpriced") {
            "free" => Unpriced::Free,
            _ => Unpriced::Refuse,
        },
        price_catalogue: section.text("price_catalogue").map(|word| word.text.into()),
    }
}

/// Reads `[ledger]`.
pub(super) fn ledger(section: &Section<'_, '_>) -> Ledger {
    match section.text("dir") {
        None if section.is_there() => Ledger::Auto,
        None => Ledger::WithBudgets,
        Some(word) if word.text == "off" => Ledger::Off,
        Some(word) => Ledger::At(PathBuf::from(word.text)),
    }
}

/// How long `[ledger]` keeps rows; `None`: always.
pub(super) fn keep(section: &Section<'_, '_>) -> Option<Duration> {
    section.duration_or_off("keep")
}

/// Reads `[retries]`.
pub(super) fn retries(reader: &Reader<'_>, section: &Section<'_, '_>) -> Retries {
    let retries = Retries {
        attempts: section.number("attempts").map_or(1, narrow),
        backoff: section.duration("backoff"),
        backoff_max: section.duration("backoff_max"),
        budget_percent: section.number("budget").map_or(0, narrow),
    };
    if retries.backoff > retries.backoff_max
        && let Some(span) = section.given("backoff").or_else(|| section.given("backoff_max"))
    {
        reader.clash(
            &span,
            "backoff is longer than backoff_max",
            "the first wait is the shortest one",
        );
    }
    retries
}

/// Reads `[breaker]`.
pub(super) fn breaker(reader: &Reader<'_>, section: &Section<'_, '_>) -> BreakerSettings {
    let breaker = BreakerSettings {
        failures: section.number("failures").map_or(1, narrow),
        window: section.duration("window"),
        open: section.duration("open"),
        open_max: section.duration("open_max"),
    };
    if breaker.open > breaker.open_max
        && let Some(span) = section.given("open").or_else(|| section.given("open_max"))
    {
        reader.clash(&span, "open is longer than open_max", "the first rest is the shortest one");
    }
    breaker
}

fn listen(reader: &Reader<'_>, section: &Section<'_, '_>) -> Vec<SocketAddr> {
    let default = || vec![SocketAddr::from(([127, 0, 0, 1], 4000))];
    let Some(words) = section.texts("listen") else { return default() };
    let mut listen: Vec<SocketAddr> = Vec::new();
    for word in &words {
        let Some(address) = address(reader, word, 4000) else { continue };
        if listen.contains(&address) && address.port() != 0 {
            reader.wrong(&word.span, format!("{address} is there twice"), "");
        }
        listen.push(address);
    }
    if words.is_empty()
        && let Some(span) = section.given("listen")
    {
        reader.wrong(&span, "nobody can connect to an empty list", ADDRESS_HELP);
    }
    if listen.is_empty() { default() } else { listen }
}

fn admin(reader: &Reader<'_>, section: &Section<'_, '_>) -> Option<(SocketAddr, Span)> {
    match section.text("admin") {
        Some(word) if word.text == "off" => None,
        Some(word) => {
            let address = address(reader, &word, 4001)?;
            if !address.ip().is_loopback() {
                let reason =
                    format!("whoever reaches {address} sees figures and policy of this gateway");
                reader.warn(Some(&word.span), reason, "the admin listener asks for no key");
            }
            Some((address, word.span))
        }
        None => Some((SocketAddr::from(([127, 0, 0, 1], 4001)), section.span.clone())),
    }
}

fn address(reader: &Reader<'_>, word: &Word<'_>, port: u16) -> Option<SocketAddr> {
    let text = match word.text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => word.text.to_owned(),
    };
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let help = match text.parse::<std::net::IpAddr>() {
        Ok(ip) => format!("the port is missing: \"{}\"", SocketAddr::from((ip, port))),
        Err(_) => match text.trim_start_matches([':', '*']).parse::<u16>() {
            Ok(port) => {
                format!("for this machine alone \"127.0.0.1:{port}\", for all \"0.0.0.0:{port}\"")
            }
            Err(_) => ADDRESS_HELP.to_owned(),
        },
    };
    reader.wrong(&word.span, format!("`{}` is no address to listen at", word.text), help);
    None
}

fn tls(section: &Section<'_, '_>) -> Option<ServerTls> {
    if !section.is_there() {
        return None;
    }
    let path = |key| {
        let word = section.text(key);
        if section.given(key).is_none() {
            section.missing(key);
        }
        word.map_or_else(PathBuf::new, |word| word.text.into())
    };
    Some(ServerTls { cert: path("cert"), key: path("key") })
}

fn deadlines(reader: &Reader<'_>, section: &Section<'_, '_>) -> ServerDeadlines {
    let deadlines = ServerDeadlines {
        head: section.duration("head"),
        idle: section.duration("idle"),
        body: section.duration("body"),
        stall: section.duration("stall"),
        total: section.duration("total"),
        drain: section.duration("drain"),
        upstream_idle: section.duration("upstream_idle"),
        keep_alive_comment: section.duration_or_off("keep_alive_comment"),
    };
    for (key, value) in [("body", deadlines.body), ("stall", deadlines.stall)] {
        if value > deadlines.total
            && let Some(span) = section.given(key)
        {
            let reason = format!("{key} is longer than total, and so without effect");
            reader.clash(&span, reason, "raise server.deadlines.total, or leave it away");
        }
    }
    deadlines
}

fn access_log(reader: &Reader<'_>, section: &Section<'_, '_>) -> AccessLog {
    let Some(word) = section.text("access_log") else { return AccessLog::Stdout };
    match (word.text, word.text.strip_prefix("file:")) {
        ("stdout", _) => AccessLog::Stdout,
        ("stderr", _) => AccessLog::Stderr,
        ("off", _) => AccessLog::Off,
        (_, Some(path)) if !path.is_empty() => AccessLog::File(path.into()),
        (other, _) => {
            let reason = format!("`{other}` is no place for the access log");
            reader.wrong(&word.span, reason, "\"stdout\", \"stderr\", \"off\" or \"file:/path\"");
            AccessLog::Stdout
        }
    }
}

fn log_level(section: &Section<'_, '_>) -> LogLevel {
    match section.choice("log_level") {
        "error" => LogLevel::Error,
        "warn" => LogLevel::Warn,
        "debug" => LogLevel::Debug,
        "trace" => LogLevel::Trace,
        _ => LogLevel::Info,
    }
}

/// A number whose bounds in the reference fit the type that holds it.
fn narrow<T: TryFrom<u64>>(number: u64) -> T
where
    T::Error: std::fmt::Debug,
{
    T::try_from(number).expect("the reference bounds it: tested")
}
