//! `mlx-gate config` and `mlx-gate key`.

use mlx_gate_tests::{Folder, Server, run};

#[test]
fn show_says_which_place_won() {
    let folder = Folder::new();
    let file = folder.write("gate.toml", "port = 3\nhost = \"::1\"\ntimeout = 5\n");
    let variables = [("MLX_GATE_PORT", "2"), ("MLX_GATE_CONFIG", file.as_str()), ("MLX_SERVER_TIMEOUT", "6")];
    let shown = run(&["config", "show", "--port", "1", "--api-key", "marker"], &variables);
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    for line in [
        "port            1 (--port)".to_owned(),
        "timeout         6 (MLX_SERVER_TIMEOUT)".to_owned(),
        format!("host            ::1 ({file}:2: host)"),
        "max-tokens      4096 (default)".to_owned(),
        "api-key         [redacted] (--api-key)".to_owned(),
    ] {
        assert!(shown.stdout.lines().any(|shown| shown == line), "`{line}` is not in\n{}", shown.stdout);
    }
    assert!(shown.stderr.contains("MLX_SERVER_TIMEOUT is the name of mlx-server; use MLX_GATE_TIMEOUT"));
}

#[test]
fn check_reports_every_mistake_at_once() {
    let said = run(&["config", "check", "--port", "none"], &[("MLX_GATE_TIMEOUT", "0")]);
    assert_eq!(said.code, Some(2));
    assert_eq!(
        said.stderr,
        "error: the configuration has 2 mistakes
  --port: found `none`, expected a whole number from 0 to 65535
  MLX_GATE_TIMEOUT: found `0`, expected a whole number from 1 to 86400
"
    );
}

#[test]
fn check_loads_the_plugins() {
    let folder = Folder::new();
    let file = folder.at("keys.toml");
    assert_eq!(run(&["key", "new", "--file", &file, "--name", "anna"], &[]).code, Some(0));
    let plugin = format!("auth_static_keys,file={file}");
    let good = run(&["config", "check", "--host", "0.0.0.0", "--plugin", &plugin], &[]);
    assert_eq!(good.code, Some(0), "{}", good.stderr);

    let open = run(&["config", "check", "--host", "0.0.0.0"], &[]);
    assert_eq!(open.code, Some(1), "{}", open.stdout);
    assert!(open.stderr.contains("--allow-anonymous"), "{}", open.stderr);
}

#[test]
fn a_new_key_opens_the_gate_and_is_written_as_a_hash() {
    let folder = Folder::new();
    let file = folder.at("keys.toml");
    let arguments = [
        "key",
        "new",
        "--file",
        &file,
        "--name",
        "anna",
        "--tenant",
        "acme",
        "--role",
        "admin",
        "--expires",
        "90d",
    ];
    let made = run(&arguments, &[]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let key = made.stdout.trim();
    assert_eq!(made.stdout.lines().count(), 1, "standard output is the key and nothing else");
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(written.contains("anna") && !written.contains(key), "{written}");
    assert_eq!(mode(&file), 0o600);

    let second = run(&["key", "new", "--file", &file, "--name", "ben"], &[]);
    let plugin = format!("auth_static_keys,file={file}");
    let server = Server::start(&["--plugin", &plugin]);
    assert_eq!(server.client().get("/v1/models").status, 401);
    assert_eq!(server.client().bearer(key).get("/v1/models").status, 200);
    assert_eq!(server.client().bearer(second.stdout.trim()).get("/v1/models").status, 200);
}

#[test]
fn key_new_refuses_what_would_do_harm() {
    let folder = Folder::new();
    let file = folder.at("keys.toml");
    assert_eq!(run(&["key", "new", "--file", &file, "--name", "anna"], &[]).code, Some(0));
    let before = std::fs::read(&file).unwrap();
    let broken = folder.write("broken.toml", "this is not TOML");
    for (arguments, expected) in [
        (vec!["--file", file.as_str(), "--name", "anna"], "`anna`"),
        (vec!["--file", file.as_str(), "--name", ""], "--name"),
        (vec!["--file", file.as_str(), "--name", "ben", "--expires", "soon"], "--expires"),
        (vec!["--file", file.as_str(), "--name", "ben", "--expires", "2001-01-01"], "--expires"),
        (vec!["--file", broken.as_str(), "--name", "ben"], "broken.toml"),
        (vec!["--file", "/nowhere/keys.toml", "--name", "ben"], "/nowhere/keys.toml"),
    ] {
        let said = run(&[vec!["key", "new"], arguments.clone()].concat(), &[]);
        assert_ne!(said.code, Some(0), "{arguments:?}");
        assert!(said.stderr.contains(expected) && said.stdout.is_empty(), "{arguments:?}: {}", said.stderr);
    }
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[cfg(unix)]
fn mode(file: &str) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}
