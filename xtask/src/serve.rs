//! `cargo xtask serve`: from a fresh machine to a server with a key, and how to call it.

use std::net::{TcpListener, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::error::Error;
use crate::shell::{Profile, Program, built, cargo};
use crate::{native, setup};

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 8000;
/// What the server calls the model inside it.
const DEMO_MODEL: &str = "mlx-gate-demo";

/// Options of the server that decide themselves who may call: with one of them no demo key is made.
const FRONT_DOOR: [&str; 4] = ["--plugin", "--api-key", "--allow-anonymous", "--config"];

/// Sets up, builds, and becomes the server: signals reach it directly, and its exit code is ours.
pub(crate) fn run(root: &Path, options: &setup::Options, args: &[String]) -> Result<(), Error> {
    setup::run(root, options)?;
    // The whole workspace decides about the features of what it depends on: for one package alone, cargo would
    // build half of it once more.
    cargo(root).args(["build", "--release", "--workspace", "--bin", "mlx-gate"]).run()?;
    let binary = built(root, Profile::Release, "mlx-gate");
    let host = value(args, "--host").unwrap_or_else(|| DEFAULT_HOST.into());
    let chosen = value(args, "--port").or_else(|| std::env::var("MLX_GATE_PORT").ok());
    let port = chosen.clone().unwrap_or_else(|| free_port(&host).to_string());

    let mut server = Program::new(&binary).arg("serve").args(args);
    if chosen.is_none() {
        server = server.args(["--port", &port]);
    }
    if !FRONT_DOOR.iter().any(|flag| given(args, flag)) {
        let keys = native::folder(root).join(format!("demo-keys-{port}.toml"));
        let key = demo_key(&binary, &keys)?;
        server = server.arg("--plugin").arg(format!("auth_static_keys,file={}", keys.display()));
        eprint!("{}", instructions(&host, &port, &key, &model(args)));
    }
    let source = native::CONFIGURED_ENV.iter().fold(server, |server, name| server.env_remove(name));
    let error = source.into_command().exec();
    Err(Error::NotStarted { program: binary.display().to_string(), source: error })
}

/// A key that only this run's server knows, in a file of its own.
fn demo_key(binary: &Path, keys: &Path) -> Result<String, Error> {
    match std::fs::remove_file(keys) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::file("removing", keys)(error));
        }
        _ => {}
    }
    let key = Program::new(binary).args(["key", "new", "--name", "demo", "--file"]).arg(keys).read()?;
    Ok(key.trim().to_owned())
}

/// The server's usual port, or where that is taken any other.
fn free_port(host: &str) -> u16 {
    let free = |port| {
        let address = (host, port).to_socket_addrs().ok()?.next()?;
        TcpListener::bind(address).ok()?.local_addr().ok().map(|address| address.port())
    };
    // Where nothing can be bound the server says why, better than we could.
    free(DEFAULT_PORT).or_else(|| free(0)).unwrap_or(DEFAULT_PORT)
}

fn given(args: &[String], flag: &str) -> bool {
    args.iter().any(|arg| arg == flag || arg.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
}

/// The value of `--flag value` or `--flag=value`.
fn value(args: &[String], flag: &str) -> Option<String> {
    let joined = || args.iter().find_map(|arg| arg.strip_prefix(flag)?.strip_prefix('='));
    let apart = || args.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1].as_str());
    apart().or_else(joined).map(str::to_owned)
}

/// The name under which the server offers the first model: its alias, the name of its folder, or its whole id.
fn model(args: &[String]) -> String {
    let Some(model) = value(args, "--model") else { return DEMO_MODEL.into() };
    if let Some((alias, _)) = model.split_once('=') {
        return alias.into();
    }
    let folder = Path::new(&model);
    let name = folder.file_name().filter(|_| folder.is_dir());
    name.map_or(model.clone(), |name| name.to_string_lossy().into_owned())
}

/// What a person who wants to try the server copies.
fn instructions(host: &str, port: &str, key: &str, model: &str) -> String {
    // A server that listens everywhere is reached on this machine by name.
    let host = if ["0.0.0.0", "::"].contains(&host) { "localhost" } else { host };
    let url = format!("http://{host}:{port}/v1");
    let question = "What is the capital of France?";
    format!(
        r#"
address  {url}
key      {key}

With curl:

curl {url}/chat/completions \
    -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \
    -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "{question}"}}]}}'

With Python, after `pip install openai`:

from openai import OpenAI

client = OpenAI(base_url="{url}", api_key="{key}")
answer = client.chat.completions.create(
    model="{model}", messages=[{{"role": "user", "content": "{question}"}}]
)
print(answer.choices[0].message.content)

"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn values_are_found_in_both_spellings() {
        assert_eq!(value(&args("--port 1 --host=h"), "--port").as_deref(), Some("1"));
        assert_eq!(value(&args("--port 1 --host=h"), "--host").as_deref(), Some("h"));
        assert_eq!(value(&args("--ports 1"), "--port"), None);
        assert!(given(&args("--api-key=k"), "--api-key"));
        assert!(!given(&args("--api-keys k"), "--api-key"));
    }

    #[test]
    fn the_model_is_named_as_the_server_names_it() {
        assert_eq!(model(&[]), DEMO_MODEL);
        assert_eq!(model(&args("--model fast=./models/llama")), "fast");
        assert_eq!(model(&args("--model maker/llama")), "maker/llama");
        assert_eq!(model(&args("--model ./src/native/")), "native");
    }

    #[test]
    fn a_taken_port_is_not_chosen() {
        let taken = TcpListener::bind((DEFAULT_HOST, DEFAULT_PORT));
        let port = free_port(DEFAULT_HOST);
        assert_ne!(port, 0);
        drop(taken);
    }
}
