//! Bodies that nobody looks into pass as they arrive: in little memory, at the slower side's pace, and cut where either
//! side cuts them.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use faregate_tests::{
    Act, Driver, Gateway, Launch, Upstream, key, upstream,
    wait::{self, LONG},
    wire::find,
};

const MIB: usize = 1 << 20;

/// What a provider saw of one request.
#[derive(Debug)]
enum Seen {
    Head(String),
    /// So many bytes behind the head, and the last ones of them.
    Ended(usize, Vec<u8>),
}

/// A provider that reads `body_bytes` behind each head, or all chunks, tells what it sees as it sees it, and answers.
fn reader(body_bytes: usize) -> (String, Receiver<Seen>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (tell, seen) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let tell = tell.clone();
            thread::spawn(move || {
                let mut received = Vec::new();
                let mut buffer = vec![0; 64 * 1024];
                let end = loop {
                    let n = stream.read(&mut buffer).unwrap_or(0);
                    received.extend_from_slice(&buffer[..n]);
                    match find(&received, b"\r\n\r\n") {
                        Some(end) => break end + 4,
                        None if n == 0 => return,
                        None => {}
                    }
                };
                let head = String::from_utf8_lossy(&received[..end]).into_owned();
                let chunked = head.contains("transfer-encoding: chunked");
                let _ = tell.send(Seen::Head(head));
                let mut last = received.split_off(end);
                let mut total = last.len();
                let is_whole = |total: usize, last: &[u8]| match chunked {
                    true => last.ends_with(b"0\r\n\r\n"),
                    false => total >= body_bytes,
                };
                while !is_whole(total, &last) {
                    let n = stream.read(&mut buffer).unwrap_or(0);
                    if n == 0 {
                        break;
                    }
                    total += n;
                    last.extend_from_slice(&buffer[..n]);
                    last.drain(..last.len().saturating_sub(4096));
                }
                let whole = is_whole(total, &last);
                let _ = tell.send(Seen::Ended(total, last));
                if whole {
                    let _ = stream.write_all(&upstream::json("{\"ok\":true}"));
                }
            });
        }
    });
    (url, seen)
}

fn start(url: &str, driver: Driver, more: &str) -> Gateway {
    Launch::new(format!(
        "[providers.sim]\nbase_url = \"{url}\"\n{more}\n[models.\"*\"]\ntargets = [\"sim/*\"]\n"
    ))
    .on(driver)
    .server("body_bytes = \"64 MiB\"")
    .start()
}

fn head(framing: &str) -> String {
    format!(
        "POST /v1/files HTTP/1.1\r\nhost: g\r\ncontent-type: application/octet-stream\r\n{framing}\r\n\r\n"
    )
}

fn next_head(seen: &Receiver<Seen>) -> String {
    match seen.recv_timeout(LONG) {
        Ok(Seen::Head(head)) => head,
        other => panic!("no head but {other:?}"),
    }
}

fn next_end(seen: &Receiver<Seen>) -> (usize, Vec<u8>) {
    match seen.recv_timeout(LONG) {
        Ok(Seen::Ended(total, last)) => (total, last),
        other => panic!("no end but {other:?}"),
    }
}

#[test]
fn a_large_upload_passes_in_little_memory() {
    const SIZE: usize = 50 * MIB;
    for driver in Driver::ALL {
        let (url, seen) = reader(SIZE);
        let gateway = start(&url, driver, "");
        assert_eq!(gateway.client("").get("/health").status, 200);
        let before = gateway.process().rss_kib();
        let mut wire = gateway.connect();
        wire.send(head(&format!("content-length: {SIZE}")));
        wire.send(b"start");
        let seen_head = next_head(&seen);
        assert!(seen_head.contains(&format!("content-length: {SIZE}\r\n")), "{seen_head}");
        let piece = vec![b'x'; 100_000];
        let mut left = SIZE - 5;
        let mut most = 0;
        while left > 0 {
            let n = left.min(piece.len());
            wire.send(&piece[..n]);
            left -= n;
            most = most.max(gateway.process().rss_kib());
        }
        let answer = wire.answer();
        assert_eq!((answer.status, answer.text()), (200, "{\"ok\":true}"));
        assert_eq!(next_end(&seen).0, SIZE);
        let grown = most.saturating_sub(before);
        assert!(grown < 2048, "{grown} KiB more for an upload of {SIZE} bytes");
        let line = gateway.access_line(answer.header("x-faregate-request-id").unwrap());
        assert_eq!(line["request_bytes"], SIZE);
    }
}

#[test]
fn chunks_pass_as_they_come() {
    for driver in Driver::ALL {
        let (url, seen) = reader(0);
        let gateway = start(&url, driver, "");
        let mut wire = gateway.connect();
        wire.send(head("transfer-encoding: chunked"));
        let seen_head = next_head(&seen);
        assert!(seen_head.contains("transfer-encoding: chunked\r\n"), "{seen_head}");
        wire.send(b"5;x=y\r\nhe");
        wire.send(b"llo\r\n");
        wire.send(b"6\r\n world\r\n0\r\n\r\n");
        let answer = wire.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
        let (_, body) = next_end(&seen);
        let text = String::from_utf8(body).unwrap();
        let data: String = text.split("\r\n").skip(1).step_by(2).collect();
        assert!(text.ends_with("0\r\n\r\n") && data == "hello world", "{text:?}");
        // The connection goes on.
        assert_eq!(answer.header("connection"), None);
        wire.send(b"GET /health HTTP/1.1\r\nhost: g\r\n\r\n");
        assert_eq!(wire.answer().status, 200);
    }
}

#[test]
fn a_client_that_leaves_cuts_its_upload() {
    let (url, seen) = reader(MIB);
    let gateway = start(&url, Driver::Auto, "");
    for framing in ["content-length: 1048576", "transfer-encoding: chunked"] {
        let mut wire = gateway.connect();
        wire.send(head(framing));
        next_head(&seen);
        wire.send(b"5\r\nhello\r\n");
        drop(wire);
        let (total, last) = next_end(&seen);
        assert!(total < 100 && !last.ends_with(b"0\r\n\r\n"), "{last:?}");
    }
    wait::until_true("both are recorded", || {
        gateway.access().iter().filter(|line| line["status"] == 499).count() == 2
    });
}

#[test]
fn an_early_answer_reaches_the_client() {
    for driver in Driver::ALL {
        let early = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 2\r\n\r\nno".to_vec();
        let provider = Upstream::start_early(move |_| vec![Act::Send(early.clone()), Act::Hold]);
        let gateway = start(&provider.base_url(), driver, "");
        let mut wire = gateway.connect();
        wire.send(head("content-length: 10000000"));
        wire.send([b'x'; 1000]);
        let answer = wire.answer();
        assert_eq!((answer.status, answer.text()), (413, "no"));
        assert_eq!(answer.header("connection"), Some("close"));
        wait::until_true("the provider's connection is closed", || provider.open() == 0);
    }
}

#[test]
fn what_has_passed_is_not_sent_again() {
    let provider = Upstream::start_early(|_| vec![Act::Reset]);
    let gateway = start(&provider.base_url(), Driver::Auto, "");
    let mut wire = gateway.connect();
    wire.send(head("content-length: 10000000"));
    let mut sent = 0;
    while sent < 200 && wire.try_send(&[b'x'; 50_000]).is_ok() {
        sent += 1;
    }
    let answer = wire.try_answer();
    if let Ok(answer) = answer {
        assert_eq!((answer.status, answer.code()), (502, "upstream_reset".to_owned()));
    }
    assert!(provider.accepted() <= 3, "{} connections", provider.accepted());
}

#[test]
fn a_provider_that_takes_nothing_slows_the_client_down() {
    let provider = Upstream::start_early(|_| {
        wait::pass(Duration::from_secs(3));
        vec![Act::Hold]
    });
    let gateway = start(&provider.base_url(), Driver::Auto, "");
    let before = gateway.process().rss_kib();
    let mut socket = TcpStream::connect(gateway.address).unwrap();
    socket.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    socket.write_all(head("content-length: 60000000").as_bytes()).unwrap();
    let piece = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while socket.write(&piece).is_ok_and(|n| n > 0) {
        sent += piece.len();
        assert!(sent < 60_000_000, "everything was taken");
    }
    let grown = gateway.process().rss_kib().saturating_sub(before);
    assert!(grown < 2048, "{grown} KiB more");
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let (url, seen) = reader(MIB);
    let gateway = Launch::new(format!(
        "[providers.sim]\nbase_url = \"{url}\"\n[models.\"*\"]\ntargets = [\"sim/*\"]\n"
    ))
    .server("[server.deadlines]\nbody = \"300ms\"")
    .start();
    let mut wire = gateway.connect();
    wire.send(head("content-length: 1048576"));
    wire.send(b"start");
    next_head(&seen);
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code()), (408, "body_timeout".to_owned()));
    assert_eq!(next_end(&seen).0, 5);
}

#[test]
fn chunks_beyond_what_is_allowed_are_cut() {
    let (url, seen) = reader(0);
    let gateway = Launch::new(format!(
        "[providers.sim]\nbase_url = \"{url}\"\n[models.\"*\"]\ntargets = [\"sim/*\"]\n"
    ))
    .server("body_bytes = \"64 KiB\"")
    .start();
    let mut wire = gateway.connect();
    wire.send(head("transfer-encoding: chunked"));
    next_head(&seen);
    let _ = wire.try_send(b"20000\r\n");
    let _ = wire.try_send(&[b'x'; 0x20000]);
    let answer = wire.answer();
    assert_eq!((answer.status, answer.code()), (413, "body_too_large".to_owned()));
    assert_eq!(answer.header("connection"), Some("close"));
    let (total, last) = next_end(&seen);
    assert!(total <= 66 * 1024 && !last.ends_with(b"0\r\n\r\n"), "{total} bytes");
}

#[test]
fn a_client_that_waits_for_a_100_gets_it() {
    let (url, seen) = reader(100_000);
    let gateway = start(&url, Driver::Auto, "");
    let mut wire = gateway.connect();
    wire.send(head("content-length: 100000\r\nexpect: 100-continue"));
    assert_eq!(wire.head().status, 100);
    wire.send(vec![b'x'; 100_000]);
    assert_eq!(wire.answer().status, 200);
    next_head(&seen);
    assert_eq!(next_end(&seen).0, 100_000);
}

/// A form with a model in front of a file of `size` bytes, and perhaps something behind it.
fn form(model: &str, size: usize, behind: &str) -> Vec<u8> {
    let mut body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n"
    )
    .into_bytes();
    body.extend(std::iter::repeat_n(b'x', size));
    body.extend_from_slice(format!("\r\n{behind}--b--\r\n").as_bytes());
    body
}

fn transcribe(gateway: &Gateway, caller: &str, body: &[u8]) -> faregate_tests::Answer {
    let mut client = gateway.client(caller).with("content-type", "multipart/form-data; boundary=b");
    client.send("POST", "/v1/audio/transcriptions", Some(body))
}

#[test]
fn a_form_is_routed_by_the_model_it_names() {
    let provider = Upstream::start(|_| vec![Act::Send(upstream::json("{\"text\":\"hi\"}"))]);
    let (all, few) = (key::named("all"), key::named("few"));
    let gateway = Launch::new(format!(
        "[providers.sim]\nbase_url = \"{}\"\n\
         [models.ears]\ntargets = [\"sim/whisper-large-v3\"]\n\
         [models.other]\ntargets = [\"sim/other\"]\n{}{}",
        provider.base_url(),
        key::row("all", ""),
        key::row("few", "models = [\"ears\"]"),
    ))
    .start();
    let (all, few) = (&*all, &*few);
    for (size, caller) in [(10, all), (10, few), (300_000, all), (300_000, few)] {
        let answer = transcribe(&gateway, caller, &form("ears", size, ""));
        assert_eq!(answer.status, 200, "{size}: {answer:?}");
        assert!(provider.next().body == form("whisper-large-v3", size, ""), "{size}");
    }
    for size in [10, 300_000] {
        let answer = transcribe(&gateway, few, &form("other", size, ""));
        assert_eq!((answer.status, answer.code()), (403, "model_not_allowed".to_owned()));
    }
    // A second name behind the first would be what the provider may read.
    let second = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nother\r\n";
    let answer = transcribe(&gateway, few, &form("ears", 10, second));
    assert_eq!((answer.status, answer.code()), (400, "duplicate_field".to_owned()));
    assert!(provider.take().is_empty());
}
