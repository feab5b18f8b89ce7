use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A web server of one test's own, on loopback.
pub struct Web {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A request it got.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method.
    pub method: String,
    /// Path with the query.
    pub path: String,
    /// Headers, names lower case.
    pub headers: Vec<(String, String)>,
}

/// What it answers.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With a status, headers and a body.
    Whole(u16, Vec<(String, String)>, String),
    /// Nothing, until the client has had enough.
    Silence,
}

impl Answer {
    /// An answer with these headers and this body.
    pub fn new(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self::Whole(status, headers.collect(), body.into())
    }
}

impl Asked {
    /// The first value of a header, empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(given, _)| given == name).map_or("", |(_, value)| value)
    }
}

/// A certificate authority that nobody knows, and a certificate for this machine's names that it vouched for.
pub struct Authority {
    /// The authority's own certificate, in PEM.
    pub pem: String,
    server: Arc<ServerConfig>,
}

impl Authority {
    /// A new one, for `localhost`.
    pub fn new() -> Self {
        const SOUND: &str = "the names are sound";
        let mut params = CertificateParams::new(Vec::new()).expect(SOUND);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "mlx-gate test authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect(SOUND)).expect(SOUND);
        let key = KeyPair::generate().expect(SOUND);
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect(SOUND);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.signed_by(&key, &authority).expect(SOUND);
        let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect(SOUND)
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect(SOUND),
            )
            .expect(SOUND);
        Self { pem: authority.pem(), server: Arc::new(server) }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Web {
    /// Answers every request by this function.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen("http://127.0.0.1", answer, |connection, answer, seen| serve(connection, answer, seen))
    }

    /// The same over TLS, as `localhost`, with a certificate of this authority's.
    pub fn start_tls(
        authority: &Authority,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let config = authority.server.clone();
        Self::listen("https://localhost", answer, move |connection, answer, seen| {
            let session = ServerConnection::new(config.clone()).map_err(std::io::Error::other)?;
            let mut stream = StreamOwned::new(session, connection);
            serve(&mut stream, answer, seen)?;
            stream.conn.send_close_notify();
            stream.flush()
        })
    }

    fn listen(
        origin: &str,
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
        serve: impl Fn(TcpStream, &Script, &Mutex<Vec<Asked>>) -> std::io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a test can listen on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, serve, seen): (Arc<Script>, _, _) = (Arc::new(answer), Arc::new(serve), asked.clone());
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (answer, serve, seen) = (answer.clone(), serve.clone(), seen.clone());
                // A client that has gone is its own affair.
                thread::spawn(move || drop(serve(connection, &*answer, &seen)));
            }
        });
        Self { address: format!("{origin}:{}", address.port()), asked }
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// The requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no test panics while it holds this").clone()
    }
}

/// What a request is answered.
type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

fn serve(
    mut connection: impl Read + Write,
    answer: &Script,
    seen: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(&mut connection).lines().map_while(Result::ok);
    // A connection that came to nothing, as one whose certificate was not trusted, is no request.
    let Some(request) = lines.next() else { return Ok(()) };
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_owned()))
    });
    let headers = headers.collect();
    let mut words = request.split(' ').map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let asked = Asked { method, path, headers };
    seen.lock().expect("no test panics while it holds this").push(asked.clone());
    match answer(&asked) {
        Answer::Whole(status, headers, body) => {
            let headers = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"))
                .collect::<Vec<_>>()
                .concat();
            let length = body.len();
            write!(
                connection,
                "HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
        }
        Answer::Silence => connection.read_to_end(&mut Vec::new()).map(drop),
    }
}
