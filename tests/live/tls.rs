//! TLS both ways, and providers behind Unix sockets.

use std::{net::TcpStream, sync::Arc};

use faregate_tests::{
    Gateway, Launch, Wire, certs::Authority, client, folder::Folder, gateway, process, provider,
    server::Server, wait,
};
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

/// A connection to the gateway by TLS, for the name `localhost`.
fn dial(gateway: &Gateway, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let socket = TcpStream::connect(gateway.address).unwrap();
    socket.set_read_timeout(Some(wait::LONG)).unwrap();
    StreamOwned::new(connection, socket)
}

fn health(gateway: &Gateway, config: &Arc<ClientConfig>) -> Result<u16, String> {
    let mut wire = Wire::over(Box::new(dial(gateway, config)));
    wire.try_send(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").map_err(|e| e.to_string())?;
    wire.try_answer().map(|answer| answer.status)
}

const TLS: &str = "[server.tls]\ncert = \"{folder}/cert.pem\"\nkey = \"{folder}/key.pem\"";

#[test]
fn clients_are_shown_the_certificate_and_its_successor() {
    let provider = provider();
    let (old, new) = (Authority::new(), Authority::new());
    let pair = old.vouch(&["localhost"]);
    let gateway = Launch::open(&provider)
        .server(TLS)
        .file("cert.pem", &pair.cert)
        .file("key.pem", &pair.key)
        .start();
    assert_eq!(health(&gateway, &old.client()), Ok(200));
    assert!(health(&gateway, &new.client()).is_err(), "another authority is not trusted");

    // An open connection outlives the change.
    let mut kept = Wire::over(Box::new(dial(&gateway, &old.client())));
    kept.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(kept.answer().status, 200);
    let pair = new.vouch(&["localhost"]);
    for (name, text) in [("cert.pem", &pair.cert), ("key.pem", &pair.key)] {
        let fresh = gateway.folder.write("fresh.pem", text);
        std::fs::rename(fresh, gateway.folder.join(name)).unwrap();
    }
    wait::until_true("the new certificate is shown", || health(&gateway, &new.client()).is_ok());
    assert!(health(&gateway, &old.client()).is_err());
    kept.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert_eq!(kept.answer().status, 200);
}

#[test]
fn requests_and_streams_pass_by_tls() {
    let provider = provider();
    let authority = Authority::new();
    let pair = authority.vouch(&["localhost"]);
    let gateway = Launch::open(&provider)
        .server(TLS)
        .file("cert.pem", &pair.cert)
        .file("key.pem", &pair.key)
        .start();
    let tls = dial(&gateway, &authority.client());
    let mut wire = Wire::over(Box::new(tls));
    let long = "x".repeat(300_000);
    let mut body = client::chat("m");
    body["messages"][0]["content"] = long.into();
    for _ in 0..3 {
        wire.send(gateway.client("").request(
            "POST",
            "/v1/chat/completions",
            Some(body.to_string().as_bytes()),
        ));
        assert_eq!(wire.answer().status, 200);
    }
    let seen = provider.take_captured();
    assert!(seen.iter().all(|captured| captured.body == body.to_string().as_bytes()));
    let stream = client::streamed("m").to_string();
    wire.send(gateway.client("").request("POST", "/v1/chat/completions", Some(stream.as_bytes())));
    assert!(wire.answer().text().ends_with("data: [DONE]\n\n"));

    let mut agreed = dial(&gateway, &authority.client());
    agreed.conn.complete_io(&mut agreed.sock).unwrap();
    assert_eq!(agreed.conn.alpn_protocol(), Some(&b"http/1.1"[..]));

    // Who speaks in the clear gets nothing of use.
    let mut clear = gateway.connect();
    clear.send("GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let rest = clear.rest();
    assert!(!rest.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(health(&gateway, &authority.client()), Ok(200));
}

#[test]
fn a_certificate_that_is_not_there_keeps_the_gateway_from_starting() {
    let folder = Folder::new();
    let policy = folder.write(
        "faregate.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"off\"\nanonymous = true\n[server.tls]\ncert = \"/nowhere/cert.pem\"\n\
         key = \"/nowhere/key.pem\"\n[providers.sim]\nbase_url = \"http://127.0.0.1:9\"\n",
    );
    let output = faregate_tests::binary::command(&["serve", "-c"]).arg(policy).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/cert.pem"), "{output:?}");
}

/// A gateway whose provider is this server, by this URL.
fn behind(url: &str, lines: &str, ca: &Authority) -> Gateway {
    let policy = format!(
        "[providers.far]\nbase_url = \"{url}\"\n{lines}\n[models.\"*\"]\ntargets = [\"far/*\"]\n\
         [retries]\nattempts = 1\n[breaker]\nfailures = 1000\n"
    );
    Launch::new(policy).file("ca.pem", &ca.pem()).start()
}

const CA: &str = "ca_file = \"{folder}/ca.pem\"";

#[test]
fn a_provider_is_checked_against_its_authority_and_its_name() {
    let authority = Authority::new();
    let server = Server::tls(authority.vouch(&["localhost", "127.0.0.1"]).server());
    let port = server.address.port();
    let gateway = behind(&format!("https://localhost:{port}/v1"), CA, &authority);
    let mut client = gateway.client("");
    assert_eq!(client.chat("m").status, 200);
    let seen = server.next();
    assert_eq!(seen.name.as_deref(), Some("localhost"), "SNI");
    assert_eq!(seen.alpn.as_deref(), Some("http/1.1"));
    assert!(!seen.resumed);
    let head = seen.head.unwrap();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: localhost:{port}\r\n")), "{head}");
    let resumed = (0..8).any(|_| {
        assert_eq!(client.chat("m").status, 200);
        server.next().resumed
    });
    assert!(resumed, "sessions are taken up again");
}

#[test]
fn a_provider_that_is_not_who_it_says_gets_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let refused = |url: &str, lines: &str, server: &Server| {
        let gateway = behind(url, lines, &other);
        let answer = gateway.client("").chat("m");
        assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_tls_failed"), "{url}");
        assert_eq!(server.next().head, None, "no byte of the request was sent");
    };
    let server = Server::tls(authority.vouch(&["localhost", "127.0.0.1"]).server());
    let port = server.address.port();
    refused(&format!("https://localhost:{port}/v1"), CA, &server);
    // The system's authorities do not know it either.
    refused(&format!("https://localhost:{port}/v1"), "", &server);
    let misnamed = Server::tls(other.vouch(&["example.org"]).server());
    refused(&format!("https://localhost:{}/v1", misnamed.address.port()), CA, &misnamed);
}

#[test]
fn verification_can_be_switched_off_and_that_is_said_loudly() {
    let (authority, other) = (Authority::new(), Authority::new());
    let server = Server::tls(authority.vouch(&["example.org"]).server());
    let url = format!("https://127.0.0.1:{}/v1", server.address.port());
    let gateway = behind(&url, "insecure_skip_verify = true", &other);
    assert_eq!(gateway.client("").chat("m").status, 200);
    assert!(server.next().head.is_some());
    let log = gateway.log();
    let warning = log.lines().find(|line| line.contains("WARN") && line.contains("certificate"));
    assert!(warning.is_some() || log.contains("insecure_skip_verify"), "{log}");
}

#[test]
fn a_provider_can_listen_on_a_unix_socket() {
    let folder = Folder::new();
    let path = folder.join("model.sock");
    let server = Server::unix(&path);
    let gateway = behind(&format!("unix:{}", path.display()), "", &Authority::new());
    assert_eq!(gateway.client("").chat("m").status, 200);
    let head = server.next().head.unwrap();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{head}");
    assert_eq!(head.matches("host: ").count(), 1, "{head}");
}

#[test]
fn a_proxy_of_the_environment_is_not_consulted_silently() {
    let provider = provider();
    let nobody = "http://127.0.0.1:9";
    let gateway = Launch::open(&provider)
        .variable("HTTP_PROXY", nobody)
        .variable("http_proxy", nobody)
        .variable("ALL_PROXY", nobody)
        .start();
    assert_eq!(gateway.client("").chat("m").status, 200);
}

#[test]
fn handshakes_that_are_never_finished_leave_nothing_behind() {
    let provider = provider();
    let authority = Authority::new();
    let pair = authority.vouch(&["localhost"]);
    let gateway = Launch::new(gateway::sim(&provider))
        .server(TLS)
        .server("[server.deadlines]\nhead = \"1s\"")
        .file("cert.pem", &pair.cert)
        .file("key.pem", &pair.key)
        .start();
    assert_eq!(health(&gateway, &authority.client()), Ok(200));
    let before = process::Process::fds(gateway.process());
    let mut wires: Vec<Wire> = (0..50).map(|_| gateway.connect()).collect();
    for wire in &mut wires {
        wire.send([0x16, 3, 1]);
    }
    assert!(wires.iter_mut().all(Wire::is_closed), "the deadline of the head holds here too");
    wait::until_true("all descriptors are back", || gateway.process().fds() <= before);
    assert!(gateway.metrics().sum("faregate_tls_handshake_failures_total", &[]) >= 50.0);
}
