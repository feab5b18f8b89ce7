//! From text to [`Settings`].

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use mlx_gate_api::{NotAnOrigin, Origin};
use mlx_gate_core::{ReasoningSyntax, Secret, ToolSyntax};
use mlx_gate_engine::text::{ParserChoice, Parsers};
use mlx_gate_lifecycle::{Grants, MalformedSpec, OptionValue, PluginSpec, static_keys};
use mlx_gate_models::{ModelRef, WeightType};
use serde_json::{Map, Value as Json};
use tracing_subscriber::EnvFilter;

use super::admin;
use super::options::{
    ADMIN_PUBLIC, ALLOW_ANONYMOUS, API_KEY, CACHE_DIR, CONFIG, CORS_ORIGIN, DTYPE, GRAMMAR_TIMEOUT, HOST,
    KEEP_ALIVE, KV_MEMORY, LOG_FORMAT, LOG_LEVEL, MAX_BODY, MAX_ROWS, MAX_TOKENS, MAX_WAITING, MODEL, Opt,
    PLUGIN, PORT, RATE_LIMIT, REASONING_PARSER, TIMEOUT, TOOL_PARSER, TRUSTED_PROXY,
};
use super::{Given, GivenOptions, LogFormat, Mistake, Settings, Value};
use crate::gate;

/// Checks everything that was given. What is wrong goes to `mistakes`, and the default takes its place so that the rest
/// is checked too.
pub(super) fn resolve(
    given: &GivenOptions,
    cache_dir: Option<PathBuf>,
    mistakes: &mut Vec<Mistake>,
) -> Settings {
    let mut check = Check { given, mistakes };
    check.not_empty(&CONFIG);
    let admin_public = check.switch(&ADMIN_PUBLIC);
    let admin = admin::resolve(given, admin_public, check.mistakes);
    Settings {
        models: check.many(&MODEL, model),
        dtype: check.choice(
            &DTYPE,
            &[WeightType::Auto, WeightType::F32, WeightType::Native].map(|kind| (kind.as_str(), kind)),
        ),
        parsers: Parsers {
            tools: check.parser(&TOOL_PARSER, &ToolSyntax::ALL.map(|syntax| (syntax.as_str(), syntax))),
            reasoning: check
                .parser(&REASONING_PARSER, &ReasoningSyntax::ALL.map(|syntax| (syntax.as_str(), syntax))),
        },
        host: check.one(&HOST, "an address such as 127.0.0.1 or ::1, or a host name", host),
        port: check.number(&PORT, 0..=65_535),
        api: mlx_gate_api::Config {
            request_timeout: Duration::from_secs(check.number(&TIMEOUT, 1..=86_400)),
            trusted_proxies: check.many(&TRUSTED_PROXY, network),
            keep_alive: Duration::from_secs(check.number(&KEEP_ALIVE, 1..=3_600)),
            max_body_bytes: check.one(&MAX_BODY, "a number of MiB, from 0.01 to 1024", mebibytes),
            cors_origins: check.many(&CORS_ORIGIN, origin),
            ..mlx_gate_api::Config::default()
        },
        engine: mlx_gate_engine::Config {
            max_rows: check.count(&MAX_ROWS, 1..=256),
            max_waiting: check.count(&MAX_WAITING, 1..=1_000_000),
            max_output_tokens: check.number(&MAX_TOKENS, 1..=1_000_000),
            kv_bytes: check.one(&KV_MEMORY, "a number of GiB, from 0.01 to 10000", gibibytes),
            grammar_time_limit: Duration::from_secs(check.number(&GRAMMAR_TIMEOUT, 1..=300)),
            ..mlx_gate_engine::Config::default()
        },
        plugins: check.many(&PLUGIN, plugin),
        cache_dir: check.cache_dir(cache_dir),
        api_key: check.api_key(),
        requests_per_minute: check.rate_limit(),
        allow_anonymous: check.switch(&ALLOW_ANONYMOUS),
        admin,
        log_format: check.choice(&LOG_FORMAT, &[("text", LogFormat::Text), ("json", LogFormat::Json)]),
        log_filter: check.one(&LOG_LEVEL, "error, warn, info, debug, trace, off or a filter", log_filter),
    }
}

struct Check<'a> {
    given: &'a GivenOptions,
    mistakes: &'a mut Vec<Mistake>,
}

impl Check<'_> {
    /// An option with one value, or its default.
    fn one<T>(&mut self, option: &Opt, expected: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        if let Some(Given { source, values }) = self.given.get(option) {
            match values.as_slice() {
                [Value::Text(text)] if !text.is_empty() => match parse(text) {
                    Some(value) => return value,
                    None => self.mistakes.push(Mistake::unexpected(source, &values[0], expected)),
                },
                [value] => self.mistakes.push(Mistake::unexpected(source, value, expected)),
                _ => self.mistakes.push(Mistake::unexpected(source, "several values", expected)),
            }
        }
        parse(option.default).expect("the defaults in the table are valid; a test resolves them")
    }

    /// Somebody without a home has no such folder.
    fn cache_dir(&mut self, usual: Option<PathBuf>) -> Option<PathBuf> {
        let Some(Given { source, values }) = self.given.get(&CACHE_DIR) else { return usual };
        match values.as_slice() {
            [Value::Text(text)] if text == "off" => return None,
            [Value::Text(text)] if !text.is_empty() => return Some(text.into()),
            [value] => self.mistakes.push(Mistake::unexpected(source, value, "a folder, or off")),
            _ => self.mistakes.push(Mistake::unexpected(source, "several values", "a folder, or off")),
        }
        None
    }

    fn number<T: TryFrom<u64>>(&mut self, option: &Opt, range: RangeInclusive<u64>) -> T {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.one(option, &expected, |text| {
            text.parse()
                .ok()
                .filter(|number| range.contains(number))
                .and_then(|number| T::try_from(number).ok())
        })
    }

    fn count(&mut self, option: &Opt, range: RangeInclusive<u64>) -> NonZeroUsize {
        NonZeroUsize::new(self.number(option, range)).unwrap_or(NonZeroUsize::MIN)
    }

    fn choice<T: Copy>(&mut self, option: &Opt, choices: &[(&str, T)]) -> T {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.one(option, &format!("one of {}", names.join(", ")), |text| {
            choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
        })
    }

    /// A parser of answers, by its name.
    fn parser<T: Copy>(&mut self, option: &Opt, parsers: &[(&str, T)]) -> ParserChoice<T> {
        let fixed = [("auto", ParserChoice::Auto), ("none", ParserChoice::Off)];
        let named = parsers.iter().map(|&(name, parser)| (name, ParserChoice::Named(parser)));
        let choices: Vec<_> = fixed.into_iter().chain(named).collect();
        self.choice(option, &choices)
    }

    fn switch(&mut self, option: &Opt) -> bool {
        self.choice(option, &[("true", true), ("false", false), ("1", true), ("0", false)])
    }

    /// An option with any number of values. None may come twice.
    fn many<T: PartialEq>(&mut self, option: &Opt, parse: impl Fn(&Value) -> Result<T, String>) -> Vec<T> {
        let Some(Given { source, values }) = self.given.get(option) else { return Vec::new() };
        let mut parsed = Vec::with_capacity(values.len());
        for (place, value) in values.iter().enumerate() {
            match parse(value) {
                // Not shown: a plugin's options may hold a credential.
                Ok(item) if parsed.contains(&item) => {
                    self.mistakes
                        .push(Mistake::new(source, format!("value {} repeats an earlier one", place + 1)));
                }
                Ok(item) => parsed.push(item),
                Err(problem) => self.mistakes.push(Mistake::new(source, problem)),
            }
        }
        parsed
    }

    fn not_empty(&mut self, option: &Opt) {
        if let Some(Given { source, values }) = self.given.get(option)
            && matches!(values.as_slice(), [Value::Text(text)] if text.is_empty())
        {
            self.mistakes.push(Mistake::unexpected(source, "nothing", option.value));
        }
    }

    /// A set but empty key is most often a variable that was not filled in. Taking it for "no key" would open the server.
    fn api_key(&mut self) -> Option<Secret> {
        let Given { source, values } = self.given.get(&API_KEY)?;
        let Some(Value::Secret(key)) = values.first() else { return None };
        let problem = if key.expose().trim().is_empty() {
            "the key is empty; leave the option out to run without one"
        } else if !key.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            "the key holds characters that an HTTP header cannot carry; use visible ASCII without spaces"
        } else if self.names(static_keys::PLUGIN) {
            "is short for the auth_static_keys plugin, which --plugin names too; add the key to that plugin's file with \
             `mlx-gate key new`"
        } else {
            return Some(key.clone());
        };
        self.mistakes.push(Mistake::new(source, problem));
        None
    }

    /// Whether `--plugin` names this one.
    fn names(&self, wanted: &str) -> bool {
        let plugins = self.given.get(&PLUGIN).map_or(&[][..], |given| &given.values);
        plugins.iter().filter_map(|value| plugin(value).ok()).any(|plugin| plugin.source == wanted.into())
    }

    fn rate_limit(&mut self) -> Option<u64> {
        const EXPECTED: &str = "none, or a whole number of requests from 1 to 1000000000";
        let limit = self.one(&RATE_LIMIT, EXPECTED, requests)?;
        if self.names(gate::RATE_LIMIT) {
            let source = self.given.get(&RATE_LIMIT).map(|given| &given.source)?;
            self.mistakes.push(Mistake::new(
                source,
                "is short for the rate_limit plugin, which --plugin names too; give that plugin the option \
                 requests-per-minute",
            ));
        }
        Some(limit)
    }
}

/// A number of requests, or none.
#[expect(clippy::option_option, reason = "what was read, and whether it could be")]
fn requests(text: &str) -> Option<Option<u64>> {
    if text == "none" {
        return Some(None);
    }
    text.parse().ok().filter(|number| (1..=1_000_000_000).contains(number)).map(Some)
}

fn host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_name = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
    };
    (bare.parse::<std::net::IpAddr>().is_ok() || is_name(bare)).then(|| bare.to_owned())
}

/// A single word would also be a filter, one for the crate of that name; here it is a misspelt level.
fn log_filter(text: &str) -> Option<String> {
    let is_level = ["error", "warn", "info", "debug", "trace", "off"].contains(&text);
    let is_filter = text.contains([',', '=']) && EnvFilter::builder().parse(text).is_ok();
    (is_level || is_filter).then(|| text.to_owned())
}

/// A network, or an address as the smallest of networks.
fn network(value: &Value) -> Result<IpNet, String> {
    let wrong = || format!("found {value}, expected an address or a network such as 10.0.0.0/8 or fd00::/8");
    let Value::Text(text) = value else { return Err(wrong()) };
    let network: IpNet =
        text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| wrong())?;
    // 10.0.0.1/8 is more likely a slip than the wish to trust all of 10.0.0.0/8.
    if network != network.trunc() {
        return Err(format!("{}; did you mean {} or {}?", wrong(), network.trunc(), network.addr()));
    }
    Ok(network)
}

fn origin(value: &Value) -> Result<Origin, String> {
    let Value::Text(text) = value else { return Err(format!("found {value}, expected an origin")) };
    text.parse().map_err(|problem: NotAnOrigin| format!("found {value}, {problem}"))
}

fn mebibytes(text: &str) -> Option<usize> {
    const MIB: f64 = (1_u64 << 20) as f64;
    let number: f64 = text.parse().ok()?;
    (0.01..=1024.0).contains(&number).then_some((number * MIB) as usize)
}

fn gibibytes(text: &str) -> Option<u64> {
    const GIB: f64 = (1_u64 << 30) as f64;
    let number: f64 = text.parse().ok()?;
    (0.01..=10_000.0).contains(&number).then_some((number * GIB) as u64)
}

fn model(value: &Value) -> Result<ModelRef, String> {
    const EXPECTED: &str = "[ALIAS=]FOLDER or [ALIAS=]OWNER/NAME[@REVISION]";
    let Value::Text(text) = value else { return Err(format!("found {value}, expected {EXPECTED}")) };
    ModelRef::parse(text).map_err(|error| match error {
        mlx_gate_models::Error::Argument { problem, .. } => {
            format!("found {value}, expected {EXPECTED}: {problem}")
        }
        other => other.to_string(),
    })
}

fn plugin(value: &Value) -> Result<PluginSpec, String> {
    match value {
        Value::Text(text) => text.parse().map_err(|malformed: MalformedSpec| match malformed {
            MalformedSpec::Option(_) => {
                format!("{malformed}; a value that holds a comma has to stand in the configuration file")
            }
            other => other.to_string(),
        }),
        Value::Table(table) => plugin_table(table),
        Value::Secret(_) => Err("a plugin is not a secret".to_owned()),
    }
}

/// `{ source = "NAME_OR_PATH", options = { .. }, host = { .. }, grant = { .. } }`. Options have a table of their own, so that
/// a plugin may call one of them `source`.
fn plugin_table(table: &Map<String, Json>) -> Result<PluginSpec, String> {
    let source = table.get("source").and_then(Json::as_str).unwrap_or_default();
    if let Some(key) =
        table.keys().find(|key| !matches!(key.as_str(), "source" | "options" | "host" | "grant"))
    {
        return Err(format!(
            "found `{key}` in the table of plugin `{source}`, expected `source`, `options`, `host` and `grant`"
        ));
    }
    let Some(location) = Some(source).filter(|text| !text.is_empty()) else {
        return Err("a plugin's table needs `source`, a bundled plugin's name or a path".to_owned());
    };
    let section = |name: &str| match table.get(name) {
        None => Ok(Vec::new()),
        Some(Json::Object(options)) => {
            Ok(options.iter().map(|(name, value)| (name.clone(), OptionValue::Json(value.clone()))).collect())
        }
        Some(_) => Err(format!("plugin `{location}`: `{name}` has to be a table")),
    };
    let mut spec = PluginSpec::new(location.into(), section("options")?);
    for (name, value) in section("host")? {
        spec.host.set(&name, &value).map_err(|malformed| format!("plugin `{location}`: {malformed}"))?;
    }
    if let Some(grants) = table.get("grant") {
        let grants =
            grants.as_object().ok_or_else(|| format!("plugin `{location}`: `grant` has to be a table"))?;
        spec.grants =
            Grants::from_table(grants).map_err(|malformed| format!("plugin `{location}`: {malformed}"))?;
    }
    Ok(spec)
}
