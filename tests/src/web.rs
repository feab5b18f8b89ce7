use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

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

impl Web {
    /// Answers every request by this function.
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a test can listen on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), asked.clone());
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let (answer, seen) = (answer.clone(), seen.clone());
                // A client that has gone is its own affair.
                thread::spawn(move || drop(serve(connection, &*answer, &seen)));
            }
        });
        Self { address: format!("http://{address}"), asked }
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

fn serve(
    mut connection: TcpStream,
    answer: &dyn Fn(&Asked) -> Answer,
    seen: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
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
