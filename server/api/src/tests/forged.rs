//! What clients claim to be.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;

use super::fakes::{FakeEngine, FakeGate, answer, app_with, request};
use crate::Config;
use crate::peer::Peer;

const PROXY: &str = "10.0.0.1:5000";
const STRANGER: &str = "192.0.2.9:5000";

/// A request with claims of every kind from this peer.
fn claiming(peer: &str) -> Request<Body> {
    let mut request = request("GET", "/v1/models", "");
    let peer: SocketAddr = peer.parse().unwrap();
    request.extensions_mut().insert(Peer(peer));
    for name in ["x-forwarded-for", "x-real-ip"] {
        request.headers_mut().insert(name, "198.51.100.1".parse().unwrap());
    }
    request.headers_mut().insert("forwarded", "for=198.51.100.1".parse().unwrap());
    for name in ["x-tenant-id", "x-priority", "x-forwarded-user", "remote-user"] {
        request.headers_mut().insert(name, "claimed".parse().unwrap());
    }
    request.headers_mut().insert("x-other", "kept".parse().unwrap());
    request
}

/// What the plugins see of such a request: the peer, and the names of the claims.
async fn seen(peer: &str, trusted: &[&str]) -> (String, Vec<String>) {
    let gate = FakeGate::default();
    let seen = Arc::clone(&gate.seen);
    let trusted_proxies = trusted.iter().map(|network| network.parse().unwrap()).collect();
    let config = Config { trusted_proxies, ..Config::default() };
    let answered = answer(&app_with(&FakeEngine::says(Vec::new()), gate, config), claiming(peer)).await;
    assert_eq!(answered.status.as_u16(), 200);
    let peer = seen.ended().await.peer.unwrap();
    let heads = seen.heads.lock().unwrap();
    assert_eq!(heads[0].peer, Some(peer), "phases and log agree about the peer");
    let claims = heads[0].headers.iter().map(|(name, _)| name.clone());
    let known = ["authorization", "content-type"];
    (peer.to_string(), claims.filter(|name| !known.contains(&name.as_str())).collect())
}

#[tokio::test]
async fn a_strangers_claims_reach_no_plugin() {
    for trusted in [&[][..], &["10.0.0.0/8"][..]] {
        let (peer, claims) = seen(STRANGER, trusted).await;
        assert_eq!(peer, "192.0.2.9", "{trusted:?}");
        assert_eq!(claims, ["x-other"], "{trusted:?}");
    }
    let (peer, claims) = seen(PROXY, &[]).await;
    assert_eq!((peer.as_str(), claims.len()), ("10.0.0.1", 1), "nobody is trusted by default");
}

#[tokio::test]
async fn a_trusted_proxys_word_is_taken() {
    let (peer, claims) = seen(PROXY, &["10.0.0.0/8"]).await;
    assert_eq!(peer, "198.51.100.1");
    assert_eq!(claims.len(), 8, "{claims:?}");
}

#[tokio::test]
async fn a_page_with_this_machines_address_under_its_own_name_is_refused_where_nobody_has_to_say_who_they_are()
 {
    let ask = async |peer: &str, host: &str, open: bool, any_host: bool| {
        let config = Config { any_host, ..Config::default() };
        let gate = FakeGate { open, ..FakeGate::default() };
        let mut request = request("GET", "/v1/models", "");
        request.extensions_mut().insert(Peer(peer.parse().unwrap()));
        request.headers_mut().insert("host", host.parse().unwrap());
        answer(&app_with(&FakeEngine::says(Vec::new()), gate, config), request).await
    };
    let here = "127.0.0.1:5000";
    let refused = ask(here, "evil.example:8000", true, false).await;
    assert_eq!((refused.status.as_u16(), refused.error()["code"].as_str()), (421, Some("wrong_host")));
    assert_eq!(ask("[::1]:5000", "evil.example", true, false).await.status, 421);
    for (peer, host, open, any_host) in [
        (here, "localhost:8000", true, false),
        (here, "127.0.0.1:8000", true, false),
        (here, "host.docker.internal:8000", true, false),
        (here, "evil.example", false, false),
        (here, "example.com", true, true),
        (STRANGER, "server.example.com", true, false),
    ] {
        assert_eq!(ask(peer, host, open, any_host).await.status, 200, "{peer} {host} {open} {any_host}");
    }
}

#[tokio::test]
async fn where_a_proxys_headers_disagree_nobody_is_taken_for_the_proxy() {
    let gate = FakeGate::default();
    let seen = Arc::clone(&gate.seen);
    let config = Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Config::default() };
    let mut request = claiming(PROXY);
    request.headers_mut().insert("forwarded", "for=10.0.0.7".parse().unwrap());
    let answered = answer(&app_with(&FakeEngine::says(Vec::new()), gate, config), request).await;
    assert_eq!(answered.status, 200);
    assert_eq!(seen.ended().await.peer, None);
    assert_eq!(seen.heads.lock().unwrap()[0].peer, None);
}
