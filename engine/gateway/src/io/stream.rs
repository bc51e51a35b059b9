//! A connection as the rest of the gateway sees it: plain or TLS, TCP or Unix.
//!
//! In: buffers to fill and slices to send. Out: plaintext. With TLS the ciphertext stays in here.

use std::{
    future::Future,
    io::{self, IoSlice},
    pin::pin,
    task::{Context, Poll},
};

use super::{Slot, socket::Socket};
use crate::tls::Session;

/// Slices in one `sendmsg`.
const PARTS_MAX: usize = 16;

/// Ciphertext received at once.
const RECORD_BYTES: usize = 16 * 1024;

/// A connection.
pub(crate) struct Stream {
    socket: Socket,
    tls: Option<Box<Secured>>,
}

/// TLS state beside the buffer that waits for plaintext.
struct Secured {
    session: Session,
    waiting: Option<Vec<u8>>,
}

impl Stream {
    /// A connection without TLS.
    pub(crate) fn plain(socket: Socket) -> Self {
        Self { socket, tls: None }
    }

    /// A connection under TLS; the handshake happens with [`handshake`](Self::handshake).
    pub(crate) fn secured(socket: Socket, session: Session) -> Self {
        Self { socket, tls: Some(Box::new(Secured { session, waiting: None })) }
    }

    /// The socket below.
    pub(crate) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Completes the TLS handshake; returns at once without TLS.
    ///
    /// # Errors
    ///
    /// The connection's error, or `InvalidData` with rustls' reason.
    pub(crate) async fn handshake(&mut self) -> io::Result<()> {
        let mut cipher = Vec::new();
        while let Some(tls) = &mut self.tls {
            tls.session.take_output(&mut cipher)?;
            if !cipher.is_empty() {
                let result = send_all(&self.socket, &cipher).await;
                cipher.clear();
                result?;
                continue;
            }
            if !tls.session.is_handshaking() {
                break;
            }
            self.socket.begin(Vec::with_capacity(RECORD_BYTES));
            let (result, received) = std::future::poll_fn(|cx| self.socket.poll_received(cx)).await;
            if result? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let fed = tls.session.feed(&received);
            if fed.is_err() && tls.session.take_output(&mut cipher).is_ok() {
                let _ = self.socket.send_now(&[IoSlice::new(&cipher)]); // the alert
            }
            fed?;
        }
        Ok(())
    }

    /// Starts receiving into the room behind the bytes of `buf`. One receive may be pending at a time.
    pub(crate) fn begin(&mut self, buf: Vec<u8>) {
        match &mut self.tls {
            None => self.socket.begin(buf),
            Some(tls) => {
                debug_assert!(tls.waiting.is_none(), "one receive at a time");
                tls.waiting = Some(buf);
            }
        }
    }

    /// Whether a receive is pending.
    pub(crate) fn is_receiving(&self) -> bool {
        match &self.tls {
            None => self.socket.is_receiving(),
            Some(tls) => tls.waiting.is_some(),
        }
    }

    /// The end of the pending receive. `Ok(0)` means that the peer has finished.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<(io::Result<usize>, Vec<u8>)> {
        match &mut self.tls {
            None => self.socket.poll_received(cx),
            Some(tls) => tls.poll(&mut self.socket, cx),
        }
    }

    /// Waits for the end of the pending receive.
    pub(crate) async fn received(&mut self) -> (io::Result<usize>, Vec<u8>) {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Receives what is there without waiting, behind the bytes of `buf`; `WouldBlock` when that is nothing.
    /// At most `max` bytes where there is no TLS.
    pub(crate) fn receive_now(&mut self, buf: &mut Vec<u8>, max: usize) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.receive_now(buf, max),
            Some(tls) => match tls.session.take_plaintext(buf) {
                Ok(0) if !tls.session.peer_has_closed() => Err(io::ErrorKind::WouldBlock.into()),
                taken => taken,
            },
        }
    }

    /// Sends what fits of `parts` without waiting; `WouldBlock` when that is nothing.
    pub(crate) fn send_now(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tls {
            None => self.socket.send_now(parts),
            Some(tls) => tls.send_now(&self.socket, parts),
        }
    }

    /// Sends all of `parts`; waits for room where the socket is full, until `slot` expires.
    ///
    /// # Errors
    ///
    /// `TimedOut` when the deadline passed first, else the error of the connection.
    pub(crate) async fn send(&mut self, parts: &[&[u8]], slot: &Slot) -> io::Result<()> {
        let mut left = Left::new(parts);
        loop {
            self.send_left(&mut left)?;
            if left.is_done() {
                return Ok(());
            }
            let mut room = pin!(self.writable());
            std::future::poll_fn(|cx| {
                if slot.poll_expired(cx).is_ready() {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                room.as_mut().poll(cx)
            })
            .await?;
        }
    }

    /// Sends of `left` what fits; more is left when the socket is full.
    pub(crate) fn send_left(&mut self, left: &mut Left<'_>) -> io::Result<()> {
        while !left.is_done() {
            let mut slices = [IoSlice::new(&[]); PARTS_MAX];
            let n = left.fill(&mut slices);
            match self.send_now(&slices[..n]) {
                Ok(sent) => left.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(tls) = &mut self.tls
            && left.is_done()
            && !tls.flush(&self.socket)?
        {
            left.hold_open();
        }
        Ok(())
    }

    /// Sends of `bytes` what fits: how many that was, and whether all of it has left TLS too.
    pub(crate) fn send_some(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let mut sent = 0;
        while sent < bytes.len() {
            match self.send_now(&[IoSlice::new(&bytes[sent..])]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok((sent, false));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let flushed = match &mut self.tls {
            Some(tls) => tls.flush(&self.socket)?,
            None => true,
        };
        Ok((sent, flushed))
    }

    /// Waits until there is room to send; may be dropped at any time, and borrows nothing.
    pub(crate) fn writable(&self) -> impl Future<Output = io::Result<()>> + use<> {
        self.socket.writable()
    }

    /// Says that nothing more will be sent.
    pub(crate) fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.session.close();
            let _ = tls.flush(&self.socket);
        }
        self.socket.finish();
    }
}

impl Secured {
    fn poll(
        &mut self,
        socket: &mut Socket,
        cx: &mut Context<'_>,
    ) -> Poll<(io::Result<usize>, Vec<u8>)> {
        let Some(mut buf) = self.waiting.take() else { return Poll::Pending };
        loop {
            match self.session.take_plaintext(&mut buf) {
                Ok(0) if self.session.peer_has_closed() => return Poll::Ready((Ok(0), buf)),
                Ok(0) => {}
                result => return Poll::Ready((result, buf)),
            }
            if !socket.is_receiving() {
                socket.begin(Vec::with_capacity(RECORD_BYTES));
            }
            let Poll::Ready((result, cipher)) = socket.poll_received(cx) else {
                self.waiting = Some(buf);
                return Poll::Pending;
            };
            match result {
                // An end without close_notify is a cut: TLS 1.3, RFC 8446 section 6.1.
                Ok(0) => return Poll::Ready((Err(io::ErrorKind::UnexpectedEof.into()), buf)),
                Ok(_) => {
                    if let Err(error) = self.session.feed(&cipher) {
                        return Poll::Ready((Err(error), buf));
                    }
                    if let Err(error) = self.flush(socket) {
                        return Poll::Ready((Err(error), buf));
                    }
                }
                Err(error) => return Poll::Ready((Err(error), buf)),
            }
        }
    }

    fn send_now(&mut self, socket: &Socket, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = self.session.encrypt(parts)?;
        self.flush(socket)?;
        Ok(n)
    }

    /// Sends ciphertext that waits; false when some is left.
    fn flush(&mut self, socket: &Socket) -> io::Result<bool> {
        self.session.flush(|cipher| socket.send_now(&[IoSlice::new(cipher)]))
    }
}

/// What is left to send of a list of slices.
pub(crate) struct Left<'a> {
    parts: &'a [&'a [u8]],
    index: usize,
    offset: usize,
    ciphertext: bool,
}

impl<'a> Left<'a> {
    /// All of `parts`.
    pub(crate) fn new(parts: &'a [&'a [u8]]) -> Self {
        let mut left = Self { parts, index: 0, offset: 0, ciphertext: false };
        left.advance(0);
        left
    }

    /// Whether everything has been handed to the kernel.
    pub(crate) fn is_done(&self) -> bool {
        self.index == self.parts.len() && !self.ciphertext
    }

    fn hold_open(&mut self) {
        self.ciphertext = true;
    }

    fn fill<'s>(&self, slices: &'s mut [IoSlice<'a>; PARTS_MAX]) -> usize {
        let mut n = 0;
        let mut offset = self.offset;
        for part in self.parts.iter().skip(self.index).take(PARTS_MAX) {
            slices[n] = IoSlice::new(&part[offset..]);
            offset = 0;
            n += 1;
        }
        n
    }

    fn advance(&mut self, mut sent: usize) {
        self.ciphertext = false;
        while let Some(part) = self.parts.get(self.index) {
            let rest = part.len() - self.offset;
            if sent < rest {
                self.offset += sent;
                return;
            }
            sent -= rest;
            self.index += 1;
            self.offset = 0;
        }
    }
}

async fn send_all(socket: &Socket, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.send_now(&[IoSlice::new(bytes)]) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => socket.writable().await?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
