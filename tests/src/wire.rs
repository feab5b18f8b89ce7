use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A connection that is kept and whose requests can be sent in two parts, as slow clients do.
pub struct Wire {
    stream: BufReader<TcpStream>,
    host: String,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The head, as it came.
    pub head: String,
    /// The body, as text.
    pub body: String,
}

impl Wire {
    /// Connects to `http://127.0.0.1:PORT`.
    pub fn connect(address: &str) -> Result<Self> {
        let host = address.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_mins(2)))?;
        Ok(Self { stream: BufReader::new(stream), host })
    }

    /// Sends a `POST` of JSON. Between head and body it does something else.
    pub fn post(&mut self, path: &str, headers: &str, body: &str, between: impl FnOnce()) -> Result<Answer> {
        self.send_head(path, headers, body)?;
        between();
        self.stream.get_mut().write_all(body.as_bytes())?;
        self.read()
    }

    /// The same, but waits between head and body until the server asks for the body (`100 Continue`).
    pub fn post_when_asked(
        &mut self,
        path: &str,
        headers: &str,
        body: &str,
        between: impl FnOnce(),
    ) -> Result<Answer> {
        self.send_head(path, &format!("expect: 100-continue\r\n{headers}"), body)?;
        let interim = self.read_head()?;
        if !interim.starts_with("HTTP/1.1 100 ") {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("the server did not ask for the body: {interim}"),
            ));
        }
        between();
        self.stream.get_mut().write_all(body.as_bytes())?;
        self.read()
    }

    fn send_head(&mut self, path: &str, headers: &str, body: &str) -> Result<()> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(head.as_bytes())
    }

    fn read_head(&mut self) -> Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the connection was closed"));
            }
        }
        Ok(head)
    }

    fn read(&mut self) -> Result<Answer> {
        let head = self.read_head()?;
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let status = head.get(9..12).and_then(number).unwrap_or_default() as u16;
        let length = header(&head, "content-length").and_then(number);
        let length =
            length.ok_or_else(|| Error::new(ErrorKind::InvalidData, "an answer without a length"))?;
        let mut body = vec![0; length as usize];
        self.stream.read_exact(&mut body)?;
        Ok(Answer { status, head, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Answer {
    /// A header of the answer, by its lower case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
