//! Bodies of requests: whatever they hold, the answer is a success or the client's mistake, in JSON or as a stream.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mlx_gate_core::{Event, FinishReason, Finished, Usage};
use mlx_gate_fuzz::{Input, ROUTES, Server};
use serde_json::Value;

thread_local! {
    static SERVER: Server = {
        let server = Server::new();
        server.tell(vec![
            Event::Started { queued: Duration::ZERO },
            Event::Text("Hello.".to_owned()),
            Event::Finished(Finished {
                reason: FinishReason::Stop,
                stop_sequence: None,
                usage: Usage { output_tokens: 1, ..Usage::default() },
                prefill: Duration::ZERO,
                decode: Duration::ZERO,
            }),
        ]);
        server
    };
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::new(data);
    let route = ROUTES[usize::from(input.byte()) % ROUTES.len()];
    let body = input.rest();
    let (status, answer) = SERVER.with(|server| server.post(route, body.to_vec()));
    let asked = String::from_utf8_lossy(body);
    assert!(status.is_success() || status.is_client_error(), "{route} {status}: {asked}");
    if !answer.starts_with(b"data: ") && !answer.starts_with(b"event: ") {
        assert!(serde_json::from_slice::<Value>(&answer).is_ok(), "{route}: no JSON for {asked}");
    }
});
