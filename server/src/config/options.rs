//! The table of options. Flags, environment variables, keys of the file and the reference page all come from it, so that
//! none of them can know an option the others do not.

/// One option, the same on the command line, in the environment and in the file.
#[derive(Debug)]
pub(crate) struct Opt {
    /// Name of the flag and of the file's key.
    pub name: &'static str,
    /// What a value is called in help texts; empty for a switch.
    pub value: &'static str,
    /// How many values it takes.
    pub shape: Shape,
    /// The variable's name in mlx-server, from which people come. Still understood, with a warning.
    pub was: Option<&'static str>,
    /// What holds where nobody says anything, in words.
    pub default: &'static str,
    /// What it is for.
    pub help: &'static str,
}

/// How many values an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Exactly one.
    One,
    /// One, never shown again.
    Secret,
    /// Any number. The flag is repeated, the variable separates with `;`, the file has a list.
    Many,
    /// `true` or `false`; the bare flag is `true`.
    Switch,
}

impl Opt {
    /// Name of the environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("MLX_GATE_{}", self.name.replace('-', "_").to_uppercase())
    }
}

pub(crate) const MODEL: Opt = Opt {
    name: "model",
    value: "[ALIAS=]PATH_OR_ID",
    shape: Shape::Many,
    was: Some("MLX_SERVER_MODEL"),
    default: "the built-in demo model",
    help: "Model to serve: a folder with MLX safetensors, or a Hugging Face id such as mlx-community/Qwen3-0.6B-4bit, \
           under its own name or an alias. The first one answers requests that name none",
};

pub(crate) const DTYPE: Opt = Opt {
    name: "dtype",
    value: "auto|f32|native",
    shape: Shape::One,
    was: None,
    default: "auto",
    help: "Number format of the weights in memory: what the files hold (native), 32-bit floats (f32), or whichever is \
           faster on this device (auto)",
};

pub(crate) const TOOL_PARSER: Opt = Opt {
    name: "tool-parser",
    value: "auto|none|NAME",
    shape: Shape::One,
    was: None,
    default: "auto",
    help: "How models write tool calls: what the chat template says (auto), in no way (none), or one of hermes, qwen3_coder, \
           llama3_json, pythonic, mistral, mistral_args, deepseek_v3, deepseek_v31, glm45, harmony, functiongemma, gemma4, \
           tool_code, kimi_k2, minimax_m2, seed_oss, granite, lfm2, json",
};

pub(crate) const REASONING_PARSER: Opt = Opt {
    name: "reasoning-parser",
    value: "auto|none|NAME",
    shape: Shape::One,
    was: None,
    default: "auto",
    help: "How models set reasoning apart from the answer: what the chat template says (auto), in no way (none), or one of \
           think, mistral, seed_oss, kimi, granite, gemma4, harmony",
};

pub(crate) const HOST: Opt = Opt {
    name: "host",
    value: "ADDRESS",
    shape: Shape::One,
    was: Some("MLX_SERVER_HOST"),
    default: "127.0.0.1",
    help: "Address to listen on. One that other machines can reach needs an authenticator, or --allow-anonymous",
};

pub(crate) const PORT: Opt = Opt {
    name: "port",
    value: "PORT",
    shape: Shape::One,
    was: Some("MLX_SERVER_PORT"),
    default: "8000",
    help: "Port to listen on; 0 takes any free one and says which",
};

pub(crate) const MAX_TOKENS: Opt = Opt {
    name: "max-tokens",
    value: "COUNT",
    shape: Shape::One,
    was: Some("MLX_SERVER_MAX_TOKENS"),
    default: "4096",
    help: "The most tokens an answer may have, whatever the request says",
};

pub(crate) const MAX_ROWS: Opt = Opt {
    name: "max-rows",
    value: "COUNT",
    shape: Shape::One,
    was: None,
    default: "8",
    help: "How many answers of one model are generated side by side",
};

pub(crate) const MAX_WAITING: Opt = Opt {
    name: "max-waiting",
    value: "COUNT",
    shape: Shape::One,
    was: None,
    default: "256",
    help: "How many requests of one model may wait for a place; the next one gets 503",
};

pub(crate) const KV_MEMORY: Opt = Opt {
    name: "kv-memory",
    value: "GIB",
    shape: Shape::One,
    was: None,
    default: "4",
    help: "Memory for the keys and values of all answers in progress, in GiB. A request starts when all it may need fits",
};

pub(crate) const TIMEOUT: Opt = Opt {
    name: "timeout",
    value: "SECONDS",
    shape: Shape::One,
    was: Some("MLX_SERVER_TIMEOUT"),
    default: "600",
    help: "The longest an answer may take, and the longest the server waits for answers in flight when it is stopped",
};

pub(crate) const KEEP_ALIVE: Opt = Opt {
    name: "keep-alive",
    value: "SECONDS",
    shape: Shape::One,
    was: None,
    default: "10",
    help: "How long a stream may be silent, while a long prompt is read for instance, before a comment is sent, so that \
           proxies do not take the connection for dead",
};

pub(crate) const GRAMMAR_TIMEOUT: Opt = Opt {
    name: "grammar-timeout",
    value: "SECONDS",
    shape: Shape::One,
    was: None,
    default: "5",
    help: "The longest that compiling the grammar of an answer may take (a JSON schema, forced calls of tools); what takes \
           longer is a 400",
};

pub(crate) const MAX_BODY: Opt = Opt {
    name: "max-body",
    value: "MIB",
    shape: Shape::One,
    was: None,
    default: "8",
    help: "The largest request body, in MiB; a larger one gets 413",
};

pub(crate) const CORS_ORIGIN: Opt = Opt {
    name: "cors-origin",
    value: "ORIGIN",
    shape: Shape::Many,
    was: None,
    default: "none",
    help: "Web pages of this origin, such as https://app.example.com, may call the API from a browser; * is anybody's. \
           They need a credential like everybody else",
};

pub(crate) const PLUGIN: Opt = Opt {
    name: "plugin",
    value: "NAME_OR_PATH[,OPTION=VALUE...]",
    shape: Shape::Many,
    was: None,
    default: "none",
    help: "Plugin to load: a bundled one by name, or a .wasm component by path, with its options. Plugins are asked in \
           this order",
};

pub(crate) const CACHE_DIR: Opt = Opt {
    name: "cache-dir",
    value: "PATH|off",
    shape: Shape::One,
    was: None,
    default: "mlx-gate in the user's cache folder",
    help: "Folder in which plugins with a whole interpreter (Python, JavaScript) are kept once they are compiled, which takes \
           tens of seconds. Used only if it can be made private to this user; off compiles them at every start",
};

pub(crate) const API_KEY: Opt = Opt {
    name: "api-key",
    value: "KEY",
    shape: Shape::Secret,
    was: Some("MLX_SERVER_API_KEY"),
    default: "none",
    help: "Asks every client for this one key. Short for the auth_static_keys plugin; anybody who can list processes \
           reads a flag, so prefer the variable or the file",
};

pub(crate) const RATE_LIMIT: Opt = Opt {
    name: "rate-limit",
    value: "REQUESTS_PER_MINUTE",
    shape: Shape::One,
    was: Some("MLX_SERVER_RATE_LIMIT"),
    default: "none",
    help: "How many requests a minute each caller may make. Short for the rate_limit plugin, which has more limits and rules",
};

pub(crate) const ALLOW_ANONYMOUS: Opt = Opt {
    name: "allow-anonymous",
    value: "",
    shape: Shape::Switch,
    was: None,
    default: "false",
    help: "When no plugin authenticates: lets everybody who can reach a public address use the server, and takes requests from this machine by any name in Host, which may be a web page's",
};

pub(crate) const TRUSTED_PROXY: Opt = Opt {
    name: "trusted-proxy",
    value: "NETWORK",
    shape: Shape::Many,
    was: None,
    default: "none",
    help: "Address or network (10.0.0.0/8) of a proxy in front of the server, whose X-Forwarded-For or Forwarded header \
           names the client. From anybody else such headers are ignored",
};

pub(crate) const ADMIN: Opt = Opt {
    name: "admin",
    value: "ADDRESS:PORT|unix:PATH",
    shape: Shape::One,
    was: None,
    default: "none",
    help: "Where the admin API listens, by which plugins are looked at and changed while requests run: an address such as \
           127.0.0.1:8001, which needs an admin key, or unix:PATH, a socket that only this user can connect to. \
           `mlx-gate plugin` is a client of it",
};

pub(crate) const ADMIN_KEY: Opt = Opt {
    name: "admin-key",
    value: "KEY",
    shape: Shape::Secret,
    was: None,
    default: "none",
    help: "Key to the admin API, at least 16 characters. Anybody who can list processes reads a flag, so prefer the \
           variable or --admin-key-file",
};

pub(crate) const ADMIN_KEY_FILE: Opt = Opt {
    name: "admin-key-file",
    value: "FILE",
    shape: Shape::One,
    was: None,
    default: "none",
    help: "File that holds the admin key and nothing else. Read at the start",
};

pub(crate) const ADMIN_PUBLIC: Opt = Opt {
    name: "admin-public",
    value: "",
    shape: Shape::Switch,
    was: None,
    default: "false",
    help: "Lets the admin API listen on an address that other machines can reach. Key and options then travel in clear \
           text, unless something in front of it adds TLS",
};

pub(crate) const LOG_FORMAT: Opt = Opt {
    name: "log-format",
    value: "text|json",
    shape: Shape::One,
    was: None,
    default: "text",
    help: "How the log on standard error looks: for people, or one JSON object a line",
};

pub(crate) const LOG_LEVEL: Opt = Opt {
    name: "log-level",
    value: "FILTER",
    shape: Shape::One,
    was: None,
    default: "info",
    help: "error, warn, info, debug or trace, or a filter such as info,mlx_gate_engine=debug. RUST_LOG is understood too",
};

/// Where the file is. Known on the command line and in the environment only.
pub(crate) const CONFIG: Opt = Opt {
    name: "config",
    value: "FILE",
    shape: Shape::One,
    was: None,
    default: "none",
    help: "TOML file with any of these options",
};

/// Every option but [`CONFIG`], in the order of help and reference.
pub(crate) const ALL: [&Opt; 27] = [
    &MODEL,
    &DTYPE,
    &TOOL_PARSER,
    &REASONING_PARSER,
    &HOST,
    &PORT,
    &MAX_TOKENS,
    &MAX_ROWS,
    &MAX_WAITING,
    &KV_MEMORY,
    &TIMEOUT,
    &KEEP_ALIVE,
    &GRAMMAR_TIMEOUT,
    &MAX_BODY,
    &PLUGIN,
    &CACHE_DIR,
    &API_KEY,
    &RATE_LIMIT,
    &ALLOW_ANONYMOUS,
    &TRUSTED_PROXY,
    &CORS_ORIGIN,
    &ADMIN,
    &ADMIN_KEY,
    &ADMIN_KEY_FILE,
    &ADMIN_PUBLIC,
    &LOG_FORMAT,
    &LOG_LEVEL,
];

/// What a client of the admin API needs.
pub(crate) const CLIENT: [&Opt; 3] = [&ADMIN, &ADMIN_KEY, &ADMIN_KEY_FILE];

/// Variables that other programs define and mlx-gate understands, with what they do.
pub(crate) const FOREIGN: [(&str, &str); 6] = [
    ("RUST_LOG", "the log filter, where neither `--log-level` nor `MLX_GATE_LOG_LEVEL` is given"),
    ("XDG_CACHE_HOME", "the user's cache folder (default `~/.cache`, on macOS `~/Library/Caches`)"),
    ("HF_TOKEN", "token for gated models on the Hugging Face hub"),
    ("HF_HOME", "where the hub's cache is (default `~/.cache/huggingface`)"),
    ("HF_HUB_OFFLINE", "`1` uses what is in the cache and never the network"),
    ("HF_ENDPOINT", "another hub, a mirror for instance"),
];
