//! TLS by rustls, both ways: sessions as bytes in, bytes out, and the configurations they start from.
//!
//! In: ciphertext. Out: plaintext, and ciphertext to send. The sockets are elsewhere (`io::Stream`).
//! Verification is never off without the policy key that says so (`insecure_skip_verify`).

use std::{
    io::{self, BufRead, IoSlice, Write},
    path::Path,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

/// The only protocol that is offered and accepted.
const ALPN_HTTP11: &[u8] = b"http/1.1";

/// One end of a TLS connection.
pub(crate) struct Session {
    side: Side,
    /// Ciphertext that the socket had no room for.
    output: Vec<u8>,
    sent: usize,
    closed: bool,
}

enum Side {
    Client(Box<ClientConnection>),
    Server(Box<ServerConnection>),
}

macro_rules! side {
    ($self:expr, $connection:ident => $body:expr) => {
        match &mut $self.side {
            Side::Client($connection) => $body,
            Side::Server($connection) => $body,
        }
    };
}

impl Session {
    /// The client's end of a connection to `name`.
    ///
    /// # Errors
    ///
    /// `InvalidData` with rustls' reason.
    pub(crate) fn client(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> io::Result<Self> {
        let connection = ClientConnection::new(Arc::clone(config), name).map_err(invalid)?;
        Ok(Self::new(Side::Client(Box::new(connection))))
    }

    /// The server's end of a connection that was accepted.
    ///
    /// # Errors
    ///
    /// `InvalidData` with rustls' reason.
    pub(crate) fn server(config: &Arc<ServerConfig>) -> io::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(invalid)?;
        Ok(Self::new(Side::Server(Box::new(connection))))
    }

    fn new(side: Side) -> Self {
        Self { side, output: Vec::new(), sent: 0, closed: false }
    }

    /// Whether the handshake still goes on.
    pub(crate) fn is_handshaking(&mut self) -> bool {
        side!(self, connection => connection.is_handshaking())
    }

    /// Whether the peer has said that it sends no more.
    pub(crate) fn peer_has_closed(&self) -> bool {
        self.closed
    }

    /// Takes in ciphertext as it arrived.
    ///
    /// # Errors
    ///
    /// `InvalidData` when it is not what TLS allows here.
    pub(crate) fn feed(&mut self, mut cipher: &[u8]) -> io::Result<()> {
        while !cipher.is_empty() {
            side!(self, connection => {
                connection.read_tls(&mut cipher)?;
                let state = connection.process_new_packets().map_err(invalid)?;
                self.closed |= state.peer_has_closed();
            });
        }
        Ok(())
    }

    /// Moves all plaintext that has arrived behind the bytes of `buf`; `Ok(0)` when there is none.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the connection was cut.
    pub(crate) fn take_plaintext(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        side!(self, connection => {
            let mut taken = 0;
            loop {
                let mut reader = connection.reader();
                let n = match reader.fill_buf() {
                    Ok(plain) => {
                        buf.extend_from_slice(plain);
                        plain.len()
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(error) => return Err(error),
                };
                if n == 0 {
                    return Ok(taken);
                }
                reader.consume(n);
                taken += n;
            }
        })
    }

    /// Takes plaintext to send, as much as fits into the session's bounded buffer.
    ///
    /// # Errors
    ///
    /// None that rustls documents; passed on all the same.
    pub(crate) fn encrypt(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        side!(self, connection => connection.writer().write_vectored(parts))
    }

    /// Hands ciphertext to `send` until all is sent; `Ok(false)` when there was no room for some of it.
    ///
    /// # Errors
    ///
    /// Those of `send` but `WouldBlock`.
    pub(crate) fn flush(&mut self, send: impl Fn(&[u8]) -> io::Result<usize>) -> io::Result<bool> {
        loop {
            while self.sent < self.output.len() {
                match send(&self.output[self.sent..]) {
                    Ok(n) => self.sent += n,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            self.output.clear();
            self.sent = 0;
            let mut output = std::mem::take(&mut self.output);
            let taken = self.take_output(&mut output);
            self.output = output;
            taken?;
            if self.output.is_empty() {
                self.output = Vec::new();
                return Ok(true);
            }
        }
    }

    /// Moves the ciphertext that waits to be sent behind the bytes of `out`.
    ///
    /// # Errors
    ///
    /// None in practice: writing to memory.
    pub(crate) fn take_output(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        side!(self, connection => while connection.wants_write() {
            connection.write_tls(out)?;
        });
        Ok(())
    }

    /// Queues the goodbye.
    pub(crate) fn close(&mut self) {
        side!(self, connection => connection.send_close_notify());
    }
}

fn invalid(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "aws-lc-rs")]
    return Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    #[cfg(not(feature = "aws-lc-rs"))]
    return Arc::new(rustls::crypto::ring::default_provider());
}

/// What clients are shown: the certificate chain and key of two PEM files.
///
/// # Errors
///
/// A sentence that names the file and says what is wrong with it.
pub(crate) fn server_config(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(cert)?;
    let key_der =
        PrivateKeyDer::from_pem_file(key).map_err(|e| format!("{}: {e}", key.display()))?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|e| format!("{} with {}: {e}", cert.display(), key.display()))?;
    config.alpn_protocols = vec![ALPN_HTTP11.to_vec()];
    Ok(Arc::new(config))
}

/// How providers are checked: against the system's roots, or those of a file, or (said loudly) not at all.
///
/// # Errors
///
/// A sentence that names the file and says what is wrong with it.
pub(crate) fn client_config(
    ca_file: Option<&Path>,
    skip_verify: bool,
) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let mut config = if skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unchecked(provider())))
            .with_no_client_auth()
    } else {
        builder.with_root_certificates(roots(ca_file)?).with_no_client_auth()
    };
    config.alpn_protocols = vec![ALPN_HTTP11.to_vec()];
    Ok(Arc::new(config))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, String> {
    let mut store = RootCertStore::empty();
    if let Some(file) = ca_file {
        for certificate in certificates(file)? {
            store.add(certificate).map_err(|e| format!("{}: {e}", file.display()))?;
        }
        return Ok(store);
    }
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    Ok(store)
}

/// How many authorities the system knows.
pub(crate) fn system_roots() -> usize {
    rustls_native_certs::load_native_certs().certs.len()
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(chain) if chain.is_empty() => Err(format!("{}: no certificate in it", file.display())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(format!("{}: {error}", file.display())),
    }
}

/// Accepts any certificate; signatures of the handshake are still checked.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
