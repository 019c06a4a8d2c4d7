//! A stand-in for an endpoint: it remembers what it is asked and answers as it is told to.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use axum::serve::Listener;
use futures_util::stream;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::support::certificates::Pair;

/// How it answers.
#[derive(Clone, Debug)]
pub enum Mode {
    /// With this status, these headers and this body.
    Answers(u16, Vec<(&'static str, String)>, String),
    Hangs,
    /// 200 and a body without an end.
    Endless,
}

/// What it was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The value of a key of the query.
    pub fn query(&self, key: &str) -> String {
        let url = reqwest::Url::parse(&format!("http://x{}", self.target)).unwrap();
        url.query_pairs()
            .find(|(found, _)| found == key)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

#[derive(Clone)]
pub struct Stub {
    mode: Arc<Mutex<Mode>>,
    asked: Arc<Mutex<Vec<Asked>>>,
    pub address: SocketAddr,
}

impl Stub {
    pub async fn listen(mode: Mode) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Stub::of(mode, listener.local_addr().unwrap());
        let routes = axum::Router::new().fallback(answer).with_state(stub.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        stub
    }

    /// By TLS, as the host of this certificate.
    pub async fn listen_by_tls(mode: Mode, pair: &Pair) -> Stub {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Stub::of(mode, tcp.local_addr().unwrap());
        let routes = axum::Router::new().fallback(answer).with_state(stub.clone());
        let listener = TlsListener { tcp, acceptor: acceptor(pair) };
        tokio::spawn(async move { axum::serve(listener, routes).await });
        stub
    }

    /// 200 with this JSON.
    pub async fn saying(body: &str) -> Stub {
        Stub::listen(Mode::Answers(200, Vec::new(), body.to_owned())).await
    }

    fn of(mode: Mode, address: SocketAddr) -> Stub {
        Stub { mode: Arc::new(Mutex::new(mode)), asked: Arc::default(), address }
    }

    pub fn now(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub fn says(&self, status: u16, body: &str) {
        self.now(Mode::Answers(status, Vec::new(), body.to_owned()));
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn last(&self) -> Asked {
        self.asked().pop().unwrap()
    }
}

async fn answer(State(stub): State<Stub>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    stub.asked.lock().unwrap().push(Asked {
        method: parts.method.to_string(),
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let mode = stub.mode.lock().unwrap().clone();
    match mode {
        Mode::Answers(status, headers, body) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Mode::Hangs => std::future::pending().await,
        Mode::Endless => {
            let chunk = || Ok::<_, io::Error>(bytes::Bytes::from_static(&[b'x'; 8192]));
            Response::new(Body::from_stream(stream::repeat_with(chunk)))
        }
    }
}

/// What speaks TLS with this certificate.
pub fn acceptor(pair: &Pair) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let read = |path: &Path| std::fs::read(path).unwrap();
    let chain = CertificateDer::pem_slice_iter(&read(&pair.certificate)).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(&read(&pair.key)).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, peer) = self.tcp.accept().await.unwrap();
            // Who refuses our certificate hangs up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
