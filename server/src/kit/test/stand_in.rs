//! A server on loopback that stands in for those a plugin asks, so that its cases need no network.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::case::Answer;
use crate::kit::Error;

/// The server, where there is anything to answer.
pub(super) struct StandIn {
    origin: Option<String>,
}

impl StandIn {
    /// `http://127.0.0.1:PORT`.
    pub(super) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }
}

/// Answers until the program ends.
pub(super) fn serve(answers: &[Answer]) -> Result<StandIn, Error> {
    if answers.is_empty() {
        return Ok(StandIn { origin: None });
    }
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| Ok((listener.local_addr()?, listener)));
    let (address, listener) = bound.map_err(Error::file("listening on", "127.0.0.1".as_ref()))?;
    let answers = answers.to_vec();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A plugin that goes away in the middle of an answer is what its case is about.
            let _ = answer(stream, &answers);
        }
    });
    Ok(StandIn { origin: Some(format!("http://{address}")) })
}

fn answer(mut stream: TcpStream, answers: &[Answer]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ');
    let (method, path) =
        (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let mut length = 0;
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    // Read, so that closing the connection does not reset it under the answer.
    std::io::copy(&mut std::io::Read::take(&mut reader, length), &mut std::io::sink())?;
    let found = answers.iter().find(|answer| answer.method == method && answer.path == path);
    let (status, body) = match found {
        Some(Answer { status, body: Value::String(text), .. }) => (*status, text.clone()),
        Some(Answer { status, body: Value::Null, .. }) => (*status, String::new()),
        Some(Answer { status, body, .. }) => (*status, body.to_string()),
        None => (404, String::new()),
    };
    let headers = found.into_iter().flat_map(|answer| &answer.headers);
    let headers = headers.fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} -\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}
