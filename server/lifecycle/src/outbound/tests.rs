use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Error, LONGEST, MOST_BODY, Outbound, Request, Response, Transport, Trusted};
use crate::Grants;
use peer::{Peer, Reply, response};

pub(crate) mod peer;

/// What may reach these origins; `private:` before one grants its name private addresses.
pub(crate) fn outbound(origins: &[&str]) -> Outbound {
    with_names(origins, |_| Err(io::Error::other("no such name")))
}

fn with_names(
    origins: &[&str],
    lookup: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
) -> Outbound {
    let mut grants = Grants::default();
    for origin in origins {
        match origin.strip_prefix("private:") {
            Some(origin) => grants.add("http-private", origin).unwrap(),
            None => grants.add("http", origin).unwrap(),
        }
    }
    Outbound::new(Arc::new(Transport::with_lookup(Arc::new(lookup), Trusted::default())), grants.http)
}

fn request(outbound: &Outbound, url: &str) -> Result<Request, Error> {
    Ok(Request {
        method: Method::GET,
        url: outbound.parse(url)?,
        headers: HeaderMap::new(),
        body: None,
        time: LONGEST,
        most_body: MOST_BODY,
        follow: true,
    })
}

async fn get(outbound: &Outbound, url: &str) -> Result<Response, Error> {
    outbound.send(request(outbound, url)?).await
}

fn refused(outcome: Result<Response, Error>) -> String {
    match outcome {
        Err(Error::NotGranted(reason)) => reason,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn failed(outcome: Result<Response, Error>) -> String {
    match outcome {
        Err(Error::Failed(reason)) => reason,
        other => panic!("expected a failure, got {other:?}"),
    }
}

#[tokio::test]
async fn a_granted_origin_is_reached() {
    let peer = Peer::start(|_| response("201 Created", "x-a: b\r\nx-bytes: \u{e4}\r\n", "done")).await;
    let outbound = outbound(&[&peer.origin()]);
    let mut request = request(&outbound, &peer.url("/path?query#fragment")).unwrap();
    request.method = Method::POST;
    request.headers.insert("x-key", HeaderValue::from_static("secret"));
    request.body = Some(b"body".to_vec());
    let response = outbound.send(request).await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (201, &b"done"[..]));
    let header = |name: &str| response.headers.iter().find(|(given, _)| given == name);
    assert_eq!(header("x-a").map(|(_, value)| value.as_str()), Some("b"));
    assert_eq!(header("x-bytes"), None, "what is not text is left out");
    let head = &peer.heads()[0];
    assert!(head.starts_with("post /path?query http/1.1\r\n"), "{head}");
    for line in
        ["x-key: secret", "content-length: 4", concat!("user-agent: mlx-gate/", env!("CARGO_PKG_VERSION"))]
    {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{head}");
    }
    assert!(!head.contains("accept-encoding"), "{head}");
}

#[tokio::test]
async fn other_origins_are_not() {
    let peer = Peer::start(|_| response("200 OK", "", "")).await;
    let outbound = outbound(&[&peer.origin()]);
    let port = peer.port();
    for url in [
        "https://example.com/token=secret".to_owned(),
        format!("https://127.0.0.1:{port}/"),
        format!("http://127.0.0.2:{port}/"),
        format!("http://localhost:{port}/"),
        "http://127.0.0.1/".to_owned(),
    ] {
        let reason = refused(get(&outbound, &url).await);
        assert!(reason.contains("is not granted; whoever runs the server can add `grant.http="), "{reason}");
        assert!(!reason.contains("secret"), "{reason}");
    }
    for url in ["file:///etc/passwd", "data:,x"] {
        refused(get(&outbound, url).await);
    }
    for url in ["/path", &format!("http://user:pw@127.0.0.1:{port}/")] {
        failed(get(&outbound, url).await);
    }
    assert_eq!(peer.heads().len(), 0);
    for host in ["0x7f000001", "127.0.0.1.", "127.1"] {
        let the_same = format!("http://{host}:{port}/");
        assert_eq!(get(&outbound, &the_same).await.unwrap().status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_name_must_not_stand_for_a_private_address() {
    let peer = Peer::start(|_| response("200 OK", "", "inside")).await;
    let port = peer.port();
    let lookup = |name: &str| match name {
        "inside.example" => Ok(vec!["127.0.0.1".parse().unwrap()]),
        "metadata.example" => Ok(vec!["169.254.169.254".parse().unwrap()]),
        "mapped.example" => Ok(vec!["::ffff:127.0.0.1".parse().unwrap()]),
        _ => Err(io::Error::other("no such name")),
    };
    let inside = format!("http://inside.example:{port}");
    let outbound = with_names(&[&inside, "http://metadata.example"], lookup);
    assert_eq!(
        refused(get(&outbound, &format!("{inside}/token")).await),
        format!(
            "`{inside}` stands for a private address; whoever runs the server can add `grant.http-private={inside}`"
        )
    );
    let never = "`http://metadata.example` stands for an address that no grant of a name covers";
    assert_eq!(refused(get(&outbound, "http://metadata.example/").await), never);
    assert_eq!(peer.heads().len(), 0);

    let private = |origin: &str| format!("private:{origin}");
    let mapped = format!("http://mapped.example:{port}");
    let outbound =
        with_names(&[&private(&inside), &private("http://metadata.example"), &private(&mapped)], lookup);
    assert_eq!(get(&outbound, &inside).await.unwrap().body, b"inside");
    assert_eq!(refused(get(&outbound, "http://metadata.example/").await), never);
    refused(get(&outbound, &mapped).await);
    assert_eq!(peer.heads().len(), 1);
}

#[tokio::test]
async fn redirects_are_followed_within_the_grants() {
    let target = Peer::start(|_| response("200 OK", "", "target")).await;
    let to = target.url("/landed");
    let peer = Peer::start(move |head| match head.split(' ').nth(1).unwrap() {
        "/here" => response("302 Found", "location: there?a=b\r\n", ""),
        "/there?a=b" => response("200 OK", "", "there"),
        "/loop" => response("301 Moved Permanently", "location: /loop\r\n", ""),
        "/away" | "/form" => response("307 Temporary Redirect", &format!("location: {to}\r\n"), ""),
        "/scheme" => response("302 Found", "location: file:///etc/passwd\r\n", ""),
        "/nowhere" => response("302 Found", "", "no location"),
        _ => response("303 See Other", &format!("location: {to}\r\n"), ""),
    })
    .await;
    let alone = outbound(&[&peer.origin()]);
    assert_eq!(get(&alone, &peer.url("/here")).await.unwrap().body, b"there");
    assert_eq!(get(&alone, &peer.url("/nowhere")).await.unwrap().status, 302);
    assert_eq!(failed(get(&alone, &peer.url("/loop")).await), "more than 5 redirects");
    assert_eq!(
        refused(get(&alone, &peer.url("/away")).await),
        format!("`{}` redirected to `{}`, which is not granted", peer.origin(), target.origin())
    );
    refused(get(&alone, &peer.url("/scheme")).await);
    assert_eq!(target.heads().len(), 0);

    let both = outbound(&[&peer.origin(), &target.origin()]);
    let mut request = request(&both, &peer.url("/see-other")).unwrap();
    request.method = Method::POST;
    request.body = Some(b"token=secret".to_vec());
    for (name, value) in [("authorization", "bearer secret"), ("x-key", "secret"), ("accept", "text/plain")] {
        request.headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    assert_eq!(both.send(request.clone()).await.unwrap().body, b"target");
    let head = &target.heads()[0];
    assert!(head.starts_with("get /landed ") && head.contains("accept: text/plain"), "{head}");
    assert!(!head.contains("secret"), "{head}");

    request.url = both.parse(&peer.url("/form")).unwrap();
    assert_eq!(failed(both.send(request).await), "a redirect to another origin of a request with a body");
    assert_eq!(target.heads().len(), 1);
}

#[tokio::test]
async fn slow_answers_run_out_of_time() {
    for reply in ["", "HTTP/1.1 200 OK\r\nx-half: ", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal"] {
        let peer = Peer::start(move |_| Reply::Stall(reply.as_bytes().to_vec())).await;
        let outbound = outbound(&[&peer.origin()]);
        let mut request = request(&outbound, &peer.origin()).unwrap();
        request.time = Duration::from_millis(100);
        assert_eq!(outbound.send(request).await, Err(Error::Timeout), "{reply:?}");
    }
}

#[tokio::test]
async fn endless_answers_are_cut_off() {
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let header_line =
        b"HTTP/1.1 200 OK\r\n".iter().chain(b"x-a: b\r\n".repeat(1000).iter()).copied().collect::<Vec<_>>();
    let body = [head, chunk.repeat(MOST_BODY / 0x10000 + 1)].concat();
    let peer = Peer::start(move |head| match head.split(' ').nth(1).unwrap() {
        "/body" => Reply::Stall(body.clone()),
        "/announced" => Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec()),
        _ => Reply::Endless(header_line.clone()),
    })
    .await;
    let outbound = outbound(&[&peer.origin()]);
    assert_eq!(get(&outbound, &peer.url("/body")).await, Err(Error::TooLarge));
    assert_eq!(get(&outbound, &peer.url("/announced")).await, Err(Error::TooLarge));
    failed(get(&outbound, &peer.url("/headers")).await);
}

#[tokio::test]
async fn what_is_no_http_is_a_failure_without_the_url() {
    let peer = Peer::start(|_| Reply::Bytes(b"220 mail.example ESMTP\r\n".to_vec())).await;
    let outbound = outbound(&[&peer.origin(), "http://127.0.0.1:1"]);
    for url in [peer.url("/?token=secret"), "http://127.0.0.1:1/?token=secret".to_owned()] {
        let reason = failed(get(&outbound, &url).await);
        assert!(!reason.contains("secret") && !reason.is_empty(), "{reason}");
    }
}
