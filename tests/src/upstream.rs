//! A provider written byte by byte: it keeps every request as it arrived and answers with the bytes it is told to.
//!
//! Where the scripted provider speaks HTTP, this one need not: heads that are none, answers before the request, silence.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use crate::wire::{find, set_linger_zero};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which connection it came on, from 0.
    pub connection: usize,
    /// Which request of that connection it is, from 0.
    pub place: usize,
    /// Its head, blank line included.
    pub head: String,
    /// Its body; empty for one that was answered before it was read.
    pub body: Vec<u8>,
    /// Bytes that had arrived behind it.
    pub behind: usize,
}

impl Request {
    /// The values of all fields of this name, which is given in lower case.
    pub fn fields(&self, name: &str) -> Vec<&str> {
        let lines = self.head.split("\r\n").skip(1);
        let fields = lines.filter_map(|line| line.split_once(": "));
        fields.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// The number in the field `x-case`, by which a test tells its requests apart.
    #[track_caller]
    pub fn case(&self) -> usize {
        let value = self.fields("x-case");
        value.first().and_then(|text| text.parse().ok()).expect("the request says which case it is")
    }
}

/// What to do next on a connection.
#[derive(Debug, Clone)]
pub enum Act {
    /// Read the request's body.
    Read,
    /// Send these bytes.
    Send(Vec<u8>),
    /// Send FIN and wait for the peer's.
    Close,
    /// Send RST.
    Reset,
    /// Do nothing until the peer has gone.
    Hold,
}

/// A provider that runs until the test ends.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    requests: Receiver<Request>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
    sent: AtomicUsize,
}

impl Upstream {
    /// A provider that reads each request whole and then does what `acts` says. Without an end among the acts, the next
    /// request is read.
    pub fn start(acts: impl Fn(&Request) -> Vec<Act> + Send + Sync + 'static) -> Self {
        Self::start_early(move |request| {
            let mut all = vec![Act::Read];
            all.extend(acts(request));
            all
        })
    }

    /// A provider that does what `acts` says as soon as it has read a head. `acts` sees no body.
    pub fn start_early(acts: impl Fn(&Request) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let (tell, requests) = channel();
        let counts = Arc::<Counts>::default();
        let (acts, shared) = (Arc::new(acts), Arc::clone(&counts));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let connection = shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.open.fetch_add(1, Ordering::SeqCst);
                let (acts, tell, counts) = (Arc::clone(&acts), tell.clone(), Arc::clone(&shared));
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    let line = Line { stream, connection, received: Vec::new(), tell };
                    line.serve(&*acts, &counts.sent);
                    counts.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, requests, counts }
    }

    /// The base URL that a policy gives it.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests that arrived since the last call.
    pub fn take(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }

    /// The next request.
    #[track_caller]
    pub fn next(&self) -> Request {
        self.requests.recv_timeout(crate::wait::LONG).expect("a request arrives")
    }

    /// Connections accepted.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// How many times bytes were sent.
    pub fn sent(&self) -> usize {
        self.counts.sent.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::SeqCst)
    }
}

/// The bytes of a whole answer: 200, JSON, with its length.
pub fn json(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// One connection.
struct Line {
    stream: TcpStream,
    connection: usize,
    received: Vec<u8>,
    tell: Sender<Request>,
}

impl Line {
    fn serve(mut self, acts: &dyn Fn(&Request) -> Vec<Act>, sent: &AtomicUsize) {
        for place in 0.. {
            let Some(head) = self.head() else { return };
            let behind = self.received.len();
            let mut request =
                Request { connection: self.connection, place, head, body: Vec::new(), behind };
            let mut told = false;
            for act in acts(&request) {
                match act {
                    Act::Read if self.body(&mut request).is_none() => return,
                    Act::Read => {
                        told = true;
                        let _ = self.tell.send(request.clone());
                    }
                    Act::Send(bytes) if self.stream.write_all(&bytes).is_err() => break,
                    Act::Send(_) => _ = sent.fetch_add(1, Ordering::SeqCst),
                    Act::Close => {
                        let _ = self.stream.shutdown(Shutdown::Write);
                        return self.drain();
                    }
                    Act::Reset => return set_linger_zero(&self.stream),
                    Act::Hold => return self.drain(),
                }
            }
            if !told {
                let _ = self.tell.send(request);
            }
        }
    }

    fn head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                let head: Vec<u8> = self.received.drain(..end + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            self.fill()?;
        }
    }

    fn body(&mut self, request: &mut Request) -> Option<()> {
        let length = request.fields("content-length").first().and_then(|text| text.parse().ok());
        let length: usize = length.unwrap_or(0);
        while self.received.len() < length {
            self.fill()?;
        }
        request.body = self.received.drain(..length).collect();
        request.behind = self.received.len();
        Some(())
    }

    fn fill(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        let n = self.stream.read(&mut buffer).ok().filter(|n| *n > 0)?;
        self.received.extend_from_slice(&buffer[..n]);
        Some(())
    }

    fn drain(mut self) {
        while self.fill().is_some() {
            self.received.clear();
        }
    }
}
