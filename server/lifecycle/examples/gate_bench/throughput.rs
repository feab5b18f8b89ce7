//! Requests a second of the whole chat route: the same server without plugins, with the five in fresh and with the five in
//! warm instances, and as a server is without further options: in fresh ones, where the gate remembers callers. They take turns.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Result;
use crate::report::Report;
use crate::setting::{Isolation, Setting};

/// Turns of each server. The median counts.
const ROUNDS: usize = 5;

const CONNECTIONS: &str = "32";
const SECONDS: &str = "3";

/// Length of an answer.
const ANSWER_TOKENS: &str = "32";

/// The least that a step of the decoder takes.
const STEP_US: &str = "0";

/// A short question. The model without weights answers with as many tokens as the server was told.
const BODY: &str = r#"{"model":"fake","max_tokens":64,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Say hello to everybody who is here."}]}"#;

pub(crate) fn measure(server: &Path, wrk: &Path, setting: &Setting, report: &mut Report) -> Result<()> {
    let script = setting.file("chat.lua");
    let key = setting.keys[0].expose();
    std::fs::write(
        &script,
        format!(
            "wrk.method = 'POST'\nwrk.body = '{BODY}'\nwrk.headers['content-type'] = 'application/json'\n\
             wrk.headers['authorization'] = 'Bearer {key}'\n"
        ),
    )?;
    let kinds = [
        ("rps_without", Vec::new()),
        ("rps_fresh", setting.chain(Isolation::Fresh, false)),
        ("rps_warm", setting.chain(Isolation::Reuse, false)),
        ("rps_as_shipped", setting.chain(Isolation::Fresh, true)),
    ];
    let servers =
        kinds.iter().map(|(_, plugins)| Server::start(server, plugins)).collect::<Result<Vec<_>>>()?;
    let mut rates = [const { Vec::new() }; 4];
    for round in 0..=ROUNDS {
        for (server, rates) in servers.iter().zip(&mut rates) {
            let rate = drive(wrk, &script, server)?;
            // The first round warms up.
            if round > 0 {
                rates.push(rate);
            }
        }
    }
    let medians = rates.map(median);
    for ((name, _), rate) in kinds.iter().zip(medians) {
        report.add(name, rate);
    }
    report.add("rps_ratio", medians[1] / medians[0]);
    report.add("rps_ratio_warm", medians[2] / medians[0]);
    report.add("rps_ratio_as_shipped", medians[3] / medians[0]);
    Ok(())
}

/// A running server. It ends with its standard input.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(program: &Path, plugins: &[String]) -> Result<Self> {
        let mut process = Command::new(program)
            .args([ANSWER_TOKENS, STEP_US])
            .args(plugins)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("the server has no standard output")?;
        let mut address = String::new();
        BufReader::new(output).read_line(&mut address)?;
        match address.trim() {
            "" => Err("the server did not start".into()),
            address => Ok(Self { process, address: address.to_owned() }),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Nothing is left to do about a server that did not end well.
        let _ = self.process.wait();
    }
}

/// Requests a second of one turn. Every answer has to be a success.
fn drive(wrk: &Path, script: &Path, server: &Server) -> Result<f64> {
    let url = format!("http://{}/v1/chat/completions", server.address);
    let output = Command::new(wrk)
        .args(["-t", "2", "-c", CONNECTIONS, "-d", SECONDS, "-s"])
        .arg(script)
        .arg(url)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("wrk saw failures:\n{text}").into());
    }
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:"));
    Ok(rate.ok_or("wrk gave no rate")?.trim().parse()?)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
