use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::{Jwks, SEARCHING, WAITING, Wanted};
use crate::outbound::tests::outbound;
use crate::outbound::tests::peer::{Peer, Reply, response};
use crate::outbound::{Error, LONGEST, Outbound};

fn set(kid: &str) -> String {
    format!(r#"{{"keys":[{{"kty":"EC","kid":"{kid}"}}]}}"#)
}

fn key(kid: &str) -> Vec<String> {
    vec![format!(r#"{{"kty":"EC","kid":"{kid}"}}"#)]
}

async fn keys(
    jwks: &Jwks,
    outbound: &Arc<Outbound>,
    url: &str,
    kid: Option<&str>,
) -> Result<Vec<String>, Error> {
    let wanted = Wanted { plugin: &Arc::from("p"), url: outbound.parse(url)?, kid, patience: LONGEST };
    jwks.keys(outbound, wanted).await
}

/// A server whose nth answer is given by a function of n.
async fn numbered(reply: impl Fn(usize) -> (&'static str, String) + Send + Sync + 'static) -> Peer {
    let count = AtomicUsize::new(0);
    Peer::start(move |_| {
        let (status, body) = reply(count.fetch_add(1, SeqCst));
        response(status, "cache-control: max-age=3600\r\n", &body)
    })
    .await
}

#[tokio::test]
async fn a_set_is_fetched_once_however_many_ask() {
    let peer = numbered(|_| ("200 OK", set("a"))).await;
    let (jwks, outbound) = (Jwks::default(), Arc::new(outbound(&[&peer.origin()])));
    let url = peer.url("/jwks");
    let ask = || keys(&jwks, &outbound, &url, Some("a"));
    let answers = tokio::join!(ask(), ask(), ask(), ask());
    assert_eq!(answers, (Ok(key("a")), Ok(key("a")), Ok(key("a")), Ok(key("a"))));
    assert_eq!(keys(&jwks, &outbound, &url, None).await, Ok(key("a")));
    assert_eq!(peer.heads().len(), 1);
    assert!(peer.heads()[0].contains("accept: application/json"));
}

#[tokio::test]
async fn a_key_that_is_new_is_found_and_one_that_is_not_is_looked_for_once() {
    let peer = numbered(|turn| ("200 OK", set(if turn == 0 { "old" } else { "new" }))).await;
    let (jwks, outbound) = (Jwks::default(), Arc::new(outbound(&[&peer.origin()])));
    let url = peer.url("/jwks");
    assert_eq!(keys(&jwks, &outbound, &url, Some("old")).await, Ok(key("old")));
    assert_eq!(keys(&jwks, &outbound, &url, Some("new")).await, Ok(key("new")), "rotated");
    for kid in ["old", "forged", "forged too"] {
        assert_eq!(keys(&jwks, &outbound, &url, Some(kid)).await, Ok(Vec::new()));
    }
    assert_eq!(peer.heads().len(), 2);
}

#[tokio::test]
async fn failures_say_why_and_leave_the_server_alone() {
    for (status, body, reason) in [
        ("503 Service Unavailable", set("a"), "the answer has status 503"),
        ("200 OK", "<html>".to_owned(), "it is not JSON"),
        ("200 OK", "x".repeat(300 << 10), "it has more than 262144 bytes"),
        ("302 Found\r\nlocation: /elsewhere", set("a"), "the answer has status 302"),
    ] {
        let peer = numbered(move |_| (status, body.clone())).await;
        let (jwks, outbound) = (Jwks::default(), Arc::new(outbound(&[&peer.origin()])));
        for _ in 0..2 {
            let answer = keys(&jwks, &outbound, &peer.url("/jwks"), Some("a")).await;
            assert_eq!(answer, Err(Error::Failed(reason.to_owned())));
        }
        assert_eq!(peer.heads().len(), 1);
    }
}

#[tokio::test]
async fn what_is_held_survives_a_failing_server() {
    let peer =
        numbered(|turn| if turn == 0 { ("200 OK", set("a")) } else { ("500 No", String::new()) }).await;
    let (jwks, outbound) = (Jwks::default(), Arc::new(outbound(&[&peer.origin()])));
    let url = peer.url("/jwks");
    assert_eq!(keys(&jwks, &outbound, &url, Some("a")).await, Ok(key("a")));
    let unknown = keys(&jwks, &outbound, &url, Some("b")).await;
    assert_eq!(
        unknown,
        Err(Error::Failed("the answer has status 500".to_owned())),
        "nobody knows whether it exists"
    );
    assert_eq!(keys(&jwks, &outbound, &url, Some("a")).await, Ok(key("a")));
}

#[tokio::test]
async fn a_plugin_has_only_so_many_sets() {
    let peer = numbered(|_| ("200 OK", set("a"))).await;
    let (jwks, outbound) = (Jwks::default(), Arc::new(outbound(&[&peer.origin()])));
    for index in 0..super::MOST_SETS {
        assert_eq!(keys(&jwks, &outbound, &peer.url(&format!("/{index}")), None).await, Ok(key("a")));
    }
    let one_more = keys(&jwks, &outbound, &peer.url("/more"), None).await;
    assert_eq!(one_more, Err(Error::Failed("a plugin has at most 16 key sets".to_owned())));
    assert!(matches!(keys(&jwks, &outbound, "https://example.com/", None).await, Err(Error::NotGranted(_))));

    // Another plugin is in force: what it asks for stays, and what it does not ask for goes.
    jwks.change();
    let asked = peer.heads().len();
    for index in 1..super::MOST_SETS {
        assert_eq!(keys(&jwks, &outbound, &peer.url(&format!("/{index}")), None).await, Ok(key("a")));
    }
    assert_eq!(peer.heads().len(), asked);
    assert_eq!(keys(&jwks, &outbound, &peer.url("/more"), None).await, Ok(key("a")));
    assert!(keys(&jwks, &outbound, &peer.url("/0"), None).await.is_err(), "it has made room");
}

/// Each that waits holds an instance, of which all plugins together have 500.
#[tokio::test]
async fn only_so_many_wait_for_a_set() {
    let answer = Arc::new(Semaphore::new(1));
    let gate = answer.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    // One answer for each permit.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            gate.acquire().await.expect("open").forget();
            let mut head = [0; 1024];
            let _ = stream.read(&mut head).await;
            if let Reply::Bytes(bytes) = response("200 OK", "connection: close\r\n", &set("a")) {
                let _ = stream.write_all(&bytes).await;
            }
        }
    });
    let (jwks, outbound) = (Jwks::default(), Arc::new(outbound(&[&origin])));
    let url = format!("{origin}/jwks");
    assert_eq!(keys(&jwks, &outbound, &url, Some("a")).await, Ok(key("a")));

    let mut searching = Vec::new();
    for _ in 0..SEARCHING {
        let mut asked = Box::pin(keys(&jwks, &outbound, &url, Some("forged")));
        assert_eq!((&mut asked).now_or_never(), None);
        searching.push(asked);
    }
    let busy = |most: usize| Err(Error::Failed(format!("more than {most} calls wait for it already")));
    assert_eq!(keys(&jwks, &outbound, &url, Some("forged")).now_or_never(), Some(busy(SEARCHING)));
    assert_eq!(keys(&jwks, &outbound, &url, Some("a")).now_or_never(), Some(Ok(key("a"))));

    let other = format!("{origin}/other");
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let mut asked = Box::pin(keys(&jwks, &outbound, &other, None));
        assert_eq!((&mut asked).now_or_never(), None);
        waiting.push(asked);
    }
    assert_eq!(keys(&jwks, &outbound, &other, None).now_or_never(), Some(busy(WAITING)));
    answer.add_permits(2);
    for asked in searching {
        assert_eq!(asked.await, Ok(Vec::new()));
    }
    for asked in waiting {
        assert_eq!(asked.await, Ok(key("a")));
    }
}
