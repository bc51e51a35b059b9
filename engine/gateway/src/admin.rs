//! The admin listener: health, metrics, the policy in force. A thread of its own, never a path of the data port.

mod cache;
mod money;
mod semantic;
mod upstreams;

use std::{
    cell::RefCell,
    io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    thread,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{delete, get},
};

use faregate_policy::{Nanos, Wall};

use crate::{
    allowance,
    metrics::{Gauge, Scraper},
    reload::Reloads,
    worker::Shared,
};

/// What the handlers see.
#[derive(Clone)]
struct Desk {
    shared: Arc<Shared>,
    scrapes: tokio::sync::mpsc::Sender<tokio::sync::oneshot::Sender<String>>,
}

/// Scrapes that may wait for their turn.
const SCRAPES_MAX: usize = 16;

/// Starts the thread.
///
/// # Errors
///
/// When the address is taken or no thread can be started.
pub(crate) fn start(
    address: SocketAddr,
    shared: Arc<Shared>,
    reloads: Arc<Reloads>,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).map_err(|e| {
        io::Error::new(e.kind(), format!("admin listener {address}: {e}; change server.admin"))
    })?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    thread::Builder::new().name("admin".to_owned()).spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build();
        match runtime {
            Ok(runtime) => runtime.block_on(serve(listener, shared, reloads)),
            Err(error) => tracing::error!(%error, "the admin listener does not run"),
        }
    })?;
    Ok(bound)
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, reloads: Arc<Reloads>) {
    let (scrapes, mut asked) =
        tokio::sync::mpsc::channel::<tokio::sync::oneshot::Sender<String>>(SCRAPES_MAX);
    let desk = Desk { shared: Arc::clone(&shared), scrapes };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/health", get(readiness))
        .route("/health/readiness", get(readiness))
        .route("/health/liveliness", get(liveliness))
        .route("/health/liveness", get(liveliness))
        .route("/policy", get(policy))
        .route("/budgets", get(budgets))
        .route("/cache", delete(cache::drop_all))
        .route("/cache/semantic", get(semantic::standings).delete(semantic::reset))
        .layer(axum::middleware::from_fn(refuse_rebinding))
        .with_state(desk);
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let scraper = Rc::new(RefCell::new(Scraper::default()));
    let render = async {
        while let Some(answer) = asked.recv().await {
            let text = scraper.borrow_mut().render(&shared.metrics, &gauges(&shared, &reloads));
            let _ = answer.send(text);
        }
    };
    let _ = tokio::join!(render, async { axum::serve(listener, router).await });
}

/// Only answers requests for an address or `localhost`: a page that rebinds its name to us gets nothing.
async fn refuse_rebinding(
    headers: HeaderMap,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let name = host
        .rsplit_once(':')
        .map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
    let address =
        name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>().is_ok();
    if address || name == "localhost" || !name.contains('.') {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "the admin listener answers to an address or a bare host name\n")
        .into_response()
}

async fn metrics(State(desk): State<Desk>) -> Response {
    let (answer, text) = tokio::sync::oneshot::channel();
    if desk.scrapes.send(answer).await.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let text = text.await.unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn readiness(State(desk): State<Desk>) -> Response {
    if desk.shared.draining.load(Ordering::Acquire) {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining\n").into_response();
    }
    // Callers without budgets are served all the same, so this gateway is still ready; the word is for who reads it.
    match desk.shared.books.as_ref().and_then(|books| books.trouble()) {
        Some(trouble) => format!(
            "ready, but nothing can be written down ({trouble}): callers with budgets are refused\n"
        )
        .into_response(),
        None => match desk.shared.books.as_ref().and_then(|books| books.lending.trouble()) {
            Some(trouble) => {
                format!("ready, but {trouble}: budgets are spent as far as they were leased\n")
                    .into_response()
            }
            None => "ready\n".into_response(),
        },
    }
}

async fn liveliness() -> &'static str {
    "alive\n"
}

async fn policy(State(desk): State<Desk>) -> Response {
    let live = desk.shared.live.load();
    let body = format!(
        "{{\"generation\":{},\"providers\":{},\"models\":{},\"keys\":{},\"driver\":\"{}\"}}\n",
        live.generation,
        live.policy.providers.len(),
        live.policy.models.list().len(),
        live.policy.keys.len(),
        desk.shared.driver.name()
    );
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn budgets(State(desk): State<Desk>) -> Response {
    let shared = &desk.shared;
    let live = shared.live.load();
    let at = allowance::At {
        wall: Wall(shared.clock.wall()),
        now: Nanos(shared.clock.now().nanos()),
        generation: live.generation,
        overdraft: allowance::overdraft(&live.policy),
    };
    let books = shared.books.as_ref();
    let trouble = books
        .and_then(|books| books.trouble().or_else(|| books.lending.trouble().map(str::to_owned)));
    let mut body = Vec::with_capacity(4096);
    allowance::write_all(&mut body, &live.policy, trouble.as_deref(), at);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn gauges(shared: &Shared, reloads: &Reloads) -> Vec<Gauge> {
    let one =
        |name, kind, help, value| Gauge { name, kind, help, values: vec![(String::new(), value)] };
    let connections = (0..)
        .zip(&shared.cores)
        .map(|(n, desk): (usize, _)| {
            (format!("{{core=\"{n}\"}}"), u64::from(desk.connections.load(Ordering::Relaxed)))
        })
        .collect();
    let mut gauges = vec![
        Gauge {
            name: "faregate_connections",
            kind: "gauge",
            help: "Open client connections.",
            values: connections,
        },
        Gauge {
            name: "faregate_build_info",
            kind: "gauge",
            help: "Version and driver.",
            values: vec![(
                format!(
                    "{{version=\"{}\",driver=\"{}\"}}",
                    env!("CARGO_PKG_VERSION"),
                    shared.driver.name()
                ),
                1,
            )],
        },
        one(
            "faregate_policy_generation",
            "gauge",
            "Generation of the policy in force.",
            shared.generation.load(Ordering::Acquire),
        ),
        one(
            "faregate_policy_reloads_total",
            "counter",
            "Changed policies that took effect.",
            reloads.applied.load(Ordering::Relaxed),
        ),
        one(
            "faregate_policy_reloads_refused_total",
            "counter",
            "Changed policies that were refused.",
            reloads.refused.load(Ordering::Relaxed),
        ),
        one(
            "faregate_policy_reload_micros",
            "gauge",
            "Time the last change took until every core had it.",
            reloads.last_micros.load(Ordering::Relaxed),
        ),
        one(
            "faregate_access_log_blocks_dropped_total",
            "counter",
            "Blocks of access-log lines dropped because the writer fell behind.",
            shared.log.as_ref().map_or(0, |sink| sink.dropped()),
        ),
    ];
    gauges.extend(upstreams::limits(&shared.live.load()));
    gauges.extend(upstreams::hedges(&shared.live.load()));
    gauges.extend(upstreams::keys(&shared.live.load(), Nanos(shared.clock.now().nanos())));
    gauges.extend(cache::figures(shared));
    gauges.extend(semantic::figures(shared));
    gauges.extend(money::budgets(&shared.live.load().policy, Wall(shared.clock.wall())));
    gauges.extend(shared.books.as_ref().map(|books| money::journal(books)).unwrap_or_default());
    gauges.extend(shared.books.as_ref().map(|books| money::lending(books)).unwrap_or_default());
    gauges
}
