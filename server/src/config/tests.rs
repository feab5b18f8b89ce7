use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use clap::{Command, FromArgMatches};
use mlx_gate_core::{ReasoningSyntax, ToolSyntax};
use mlx_gate_lifecycle::{OptionValue, PluginSpec};
use mlx_gate_models::ModelRef;
use serde_json::json;

use super::options::ALL;
use super::*;

/// A file that is gone when the test is.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("mlx-gate-config-{}-{number}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn configured(flags: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> Result<Resolved, String> {
    let file = file.map(File::new);
    let path = file.as_ref().map(|file| file.0.display().to_string());
    let named = path.iter().flat_map(|path| ["--config", path.as_str()]);
    let words = std::iter::once("serve").chain(flags.iter().copied()).chain(named);
    let matches = <Flags as clap::Args>::augment_args(Command::new("serve")).get_matches_from(words);
    let flags = Flags::from_arg_matches(&matches).unwrap();
    let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    load(flags, variables)
        .map_err(|mistakes| mistakes.to_string().replace(path.as_deref().unwrap_or("nowhere"), "FILE"))
}

#[test]
fn nothing_said_gives_the_defaults() {
    let settings = configured(&[], &[], None).unwrap().settings;
    assert_eq!((settings.host.as_str(), settings.port), ("127.0.0.1", 8000));
    assert_eq!(settings.models, []);
    assert_eq!(settings.plugins, []);
    assert_eq!(settings.api_key, None);
    assert!(!settings.allow_anonymous);
}

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let port = |flags: &[&str], variables: &[(&str, &str)], file: Option<&str>| {
        configured(flags, variables, file).unwrap().settings.port
    };
    let file = Some("port = 3");
    assert_eq!(port(&["--port", "1"], &[("MLX_GATE_PORT", "2")], file), 1);
    assert_eq!(port(&[], &[("MLX_GATE_PORT", "2")], file), 2);
    assert_eq!(port(&[], &[], file), 3);
    assert_eq!(port(&[], &[], Some("")), 8000);
}

#[test]
fn the_old_names_work_and_say_the_new_one() {
    let resolved = configured(&[], &[("MLX_SERVER_PORT", "7")], None).unwrap();
    assert_eq!(resolved.settings.port, 7);
    assert_eq!(resolved.warnings, ["MLX_SERVER_PORT is the name of mlx-server; use MLX_GATE_PORT"]);

    let both = configured(&[], &[("MLX_SERVER_PORT", "7"), ("MLX_GATE_PORT", "8")], None).unwrap();
    assert_eq!(both.settings.port, 8);
    assert_eq!(
        both.warnings,
        ["MLX_SERVER_PORT is the name of mlx-server and is left out: MLX_GATE_PORT is set"]
    );
}

#[test]
fn a_slip_in_a_variable_is_pointed_out() {
    let warnings = |name| configured(&[], &[(name, "x")], None).unwrap().warnings;
    assert_eq!(
        warnings("MLX_GATE_API_KEYS"),
        ["MLX_GATE_API_KEYS is not a variable of mlx-gate; MLX_GATE_API_KEY is"]
    );
    assert_eq!(warnings("MLX_GATE_PLUGINS"), [""; 0]);
    assert_eq!(warnings("MLX_GATE_SERVICE_HOST"), [""; 0]);
}

#[test]
fn what_kubernetes_sets_for_a_service_of_our_name_is_no_port() {
    let resolved = configured(&[], &[("MLX_GATE_PORT", "tcp://10.0.0.1:80")], None).unwrap();
    assert_eq!(resolved.settings.port, 8000);
    assert_eq!(resolved.warnings.len(), 1);
}

#[test]
fn lists_come_from_all_three_places() {
    let models = |flags: &[&str], variables: &[(&str, &str)], file| {
        configured(flags, variables, file).unwrap().settings.models
    };
    let expected = ["a=x/y", "./b=c"].map(|text| ModelRef::parse(text).unwrap());
    assert_eq!(models(&["--model", "a=x/y", "--model", "./b=c"], &[], None), expected);
    assert_eq!(models(&[], &[("MLX_GATE_MODEL", "a=x/y; ./b=c")], None), expected);
    assert_eq!(models(&[], &[], Some(r#"model = ["a=x/y", "./b=c"]"#)), expected);
    assert_eq!(models(&[], &[], Some(r#"model = "a=x/y""#)), expected[..1]);
}

#[test]
fn plugins_take_options_as_text_or_as_tables() {
    let plugins = |flags: &[&str], file| configured(flags, &[], file).unwrap().settings.plugins;
    let text = |value: &str| OptionValue::Text(value.to_owned());
    assert_eq!(
        plugins(&["--plugin", "p.wasm,file=a=b,n=1"], None),
        [PluginSpec::new(
            "p.wasm".into(),
            vec![("file".to_owned(), text("a=b")), ("n".to_owned(), text("1"))]
        )]
    );
    let file =
        "[[plugin]]\nsource = 'one'\noptions = { n = { list = [true, 1.5] } }\n[[plugin]]\nsource = 'two'";
    let list = json!({"list": [true, 1.5]});
    assert_eq!(
        plugins(&[], Some(file)),
        [PluginSpec::bundled("one", [("n".to_owned(), list)]), PluginSpec::bundled("two", [])]
    );
}

#[test]
fn a_plugins_table_holds_its_grants() {
    let load = |table: &str| configured(&[], &[], Some(&format!("[[plugin]]\nsource = './p.wasm'\n{table}")));
    let settings =
        load("[plugin.grant]\nkv = true\nhttp = ['https://a.example']\noutput = '-'").unwrap().settings;
    assert_eq!(
        settings.plugins[0].grants.describe(),
        ["kv", "http https://a.example", "output standard output"]
    );
    for (table, problem) in [
        ("grant = 'kv'", "plugin `./p.wasm`: `grant` has to be a table"),
        (
            "[plugin.grant]\nkvs = true",
            "plugin `./p.wasm`: there is no grant `kvs`; there are: kv, http, http-private, http-ca, output",
        ),
        (
            "grants = {}",
            "found `grants` in the table of plugin `./p.wasm`, expected `source`, `options`, `host` and `grant`",
        ),
    ] {
        let said = load(table).err().unwrap();
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn help_names_every_parser() {
    let syntaxes = ToolSyntax::ALL.map(ToolSyntax::as_str).into_iter();
    let tags = ReasoningSyntax::ALL.map(ReasoningSyntax::as_str).into_iter();
    for (option, names) in [
        (&super::options::TOOL_PARSER, syntaxes.collect::<Vec<_>>()),
        (&super::options::REASONING_PARSER, tags.collect()),
    ] {
        let listed = option.help.rsplit_once("one of ").expect("a list").1;
        assert_eq!(listed, names.join(", "), "{}", option.name);
    }
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let said = configured(
        &["--port", "70000", "--dtype", "int3"],
        &[("MLX_GATE_TIMEOUT", "soon"), ("MLX_GATE_MODEL", "")],
        Some("prot = 1\nmax-tokens = -1\n\nallow-anonymous = 'maybe'\nhost = ['a', 'b']"),
    );
    assert_eq!(
        said.err().unwrap(),
        "the configuration has 8 mistakes
  FILE:5: host: found a list, expected one value: ADDRESS
  FILE:1: prot: unknown key; `port` is one
  MLX_GATE_MODEL: found nothing, expected [ALIAS=]FOLDER or [ALIAS=]OWNER/NAME[@REVISION]: no folder or id is named
  --dtype: found `int3`, expected one of auto, f32, native
  --port: found `70000`, expected a whole number from 0 to 65535
  MLX_GATE_TIMEOUT: found `soon`, expected a whole number from 1 to 86400
  FILE:2: max-tokens: found `-1`, expected a whole number from 1 to 1000000
  FILE:4: allow-anonymous: found `maybe`, expected one of true, false, 1, 0"
    );
}

#[test]
fn mistakes() {
    // Flags, variables, file, and what is said.
    type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, &'a str);
    let table: &[Case] = &[
        (&["--api-key", ""], &[], "", "--api-key: the key is empty; leave the option out to run without one"),
        (
            &[],
            &[("MLX_GATE_API_KEY", " ")],
            "",
            "MLX_GATE_API_KEY: the key is empty; leave the option out to run without one",
        ),
        (
            &["--api-key", "sk with spaces"],
            &[],
            "",
            "--api-key: the key holds characters that an HTTP header cannot carry; use visible ASCII without spaces",
        ),
        (&[], &[], "api-key = 7", "FILE:1: api-key: found a number, expected KEY"),
        (
            &["--api-key", "k", "--plugin", "auth_static_keys,file=f"],
            &[],
            "",
            "--api-key: is short for the auth_static_keys plugin, which --plugin names too; add the key to that plugin's \
             file with `mlx-gate key new`",
        ),
        (
            &["--rate-limit", "0"],
            &[],
            "",
            "--rate-limit: found `0`, expected none, or a whole number of requests from 1 to 1000000000",
        ),
        (
            &["--rate-limit", "60", "--plugin", "rate_limit,tokens-per-minute=1000"],
            &[],
            "",
            "--rate-limit: is short for the rate_limit plugin, which --plugin names too; give that plugin the option \
             requests-per-minute",
        ),
        (
            &[],
            &[("MLX_GATE_HOST", "")],
            "",
            "MLX_GATE_HOST: found nothing, expected an address such as 127.0.0.1 or ::1, or a host name",
        ),
        (
            &["--model", "=x"],
            &[],
            "",
            "--model: found `=x`, expected [ALIAS=]FOLDER or [ALIAS=]OWNER/NAME[@REVISION]: the alias before `=` is empty",
        ),
        (
            &["--cors-origin", "https://app.example.com/"],
            &[],
            "",
            "--cors-origin: found `https://app.example.com/`, expected `*` or an origin such as https://app.example.com: in \
             lower case, without a path",
        ),
        (&["--max-body", "0"], &[], "", "--max-body: found `0`, expected a number of MiB, from 0.01 to 1024"),
        (&["--model", "x", "--model", "x"], &[], "", "--model: value 2 repeats an earlier one"),
        (
            &["--plugin", "p,file=a,b"],
            &[],
            "",
            "--plugin: `b` is not of the form option=value; a value that holds a comma has to stand in the configuration \
             file",
        ),
        (
            &[],
            &[],
            "plugin = [{}]",
            "FILE:1: plugin: a plugin's table needs `source`, a bundled plugin's name or a path",
        ),
        (
            &[],
            &[],
            "plugin = [{ source = 'p', file = 'f' }]",
            "FILE:1: plugin: found `file` in the table of plugin `p`, expected `source`, `options`, `host` and `grant`",
        ),
        (&[], &[], "port = 8000\nmax_tokens = 5", "FILE:2: max_tokens: unknown key; `max-tokens` is one"),
        (
            &[],
            &[("RUST_LOG", "chatty")],
            "",
            "RUST_LOG: found `chatty`, expected error, warn, info, debug, trace, off or a filter",
        ),
        (&[], &[], "port = ", "FILE:1: TOML: string values must be quoted, expected literal string"),
    ];
    for (flags, variables, file, expected) in table {
        let said = configured(flags, variables, Some(file)).err();
        assert_eq!(said.as_deref(), Some(*expected), "{flags:?} {variables:?} {file}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let matches = <Flags as clap::Args>::augment_args(Command::new("serve")).get_matches_from([
        "serve",
        "--config",
        "/nowhere/at/all.toml",
    ]);
    let error = load(Flags::from_arg_matches(&matches).unwrap(), []).err().unwrap().to_string();
    assert!(error.starts_with("--config: cannot read `/nowhere/at/all.toml`: "), "{error}");
}

#[test]
fn neither_mistakes_nor_show_tell_a_secret() {
    const MARK: &str = "sk-planted-marker";
    let plugin = format!("p,token={MARK},={MARK}");
    let broken = format!("api-key = \"{MARK}");
    for (flags, file) in [
        (vec!["--api-key", MARK, "--plugin", "auth_static_keys", "--port", "x"], ""),
        (vec!["--plugin", plugin.as_str()], ""),
        (vec![], broken.as_str()),
    ] {
        let error = configured(&flags, &[], Some(file)).err().unwrap();
        assert!(!error.contains(MARK), "{error}");
    }
    let file = format!("[[plugin]]\nsource = 'p'\noptions = {{ token = '{MARK}' }}");
    let shown = show(&configured(&["--api-key", MARK], &[], Some(&file)).unwrap());
    assert!(!shown.contains(MARK), "{shown}");
    assert!(shown.contains("[redacted] (--api-key)") && shown.contains("p with token"), "{shown}");
}

#[test]
fn every_option_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = ALL.iter().map(|option| option.name).collect();
    assert_eq!(names.len(), ALL.len());
}

#[test]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == reference(),
        "docs/configuration.md differs from the options: run `mlx-gate config reference > docs/configuration.md`"
    );
}
