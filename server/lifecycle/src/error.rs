use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the gate cannot be made. Texts are for the person who starts the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// wasmtime does not run on this machine.
    #[error("the plugin runtime cannot be set up: {0}")]
    Runtime(String),
    /// A plugin cannot be used.
    #[error("plugin `{plugin}`: {problem}")]
    Plugin {
        /// The name or path it was asked for by.
        plugin: String,
        /// What is wrong with it.
        problem: Box<Problem>,
    },
}

/// Why a plugin cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// No such bundled plugin.
    #[error(
        "there is no bundled plugin of this name; there are: {}. The path of a file contains a `/` or ends in `.wasm`",
        or_none(.known)
    )]
    UnknownBundled {
        /// The names there are.
        known: Vec<String>,
    },
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    /// The file is longer than any plugin.
    #[error("the file has {bytes} bytes; a plugin has at most {most}")]
    TooLarge {
        /// Its length.
        bytes: u64,
        /// The bound.
        most: u64,
    },
    /// Not the code that is pinned.
    #[error("its SHA-256 is {found}, and `host.sha256` allows {pinned} alone")]
    OtherCode {
        /// Of the code found, in hexadecimal.
        found: String,
        /// Of the code that may be loaded, in hexadecimal.
        pinned: String,
    },
    /// Not WebAssembly.
    #[error("this is not WebAssembly: it begins with {0}")]
    NotWasm(String),
    /// WebAssembly text.
    #[error("this is WebAssembly text; turn it into a binary with `wasm-tools parse`")]
    Text,
    /// A core module.
    #[error(
        "this is a core WebAssembly module, and a plugin is a component; build it with the plugin SDK, or turn it into one with `wasm-tools component new`"
    )]
    CoreModule,
    /// Machine code.
    #[error(
        "this is compiled code (`.cwasm`), which cannot be checked and is never loaded; give the `.wasm` it was made from"
    )]
    Precompiled,
    /// wasmtime refuses it.
    #[error("this is not a valid component: {0}")]
    Invalid(String),
    /// Built for an interface this server does not have.
    #[error("it was built for {found}; this server runs {supported}")]
    Version {
        /// The interface it wants or offers.
        found: String,
        /// The versions there are.
        supported: &'static str,
    },
    /// Not a plugin.
    #[error("it does not export `{0}`, which every plugin has to; it was built for something else")]
    NoLifecycle(String),
    /// Takes part in nothing.
    #[error(
        "it exports no phase; a plugin has at least one of: authenticate, authorize, rate-limit, tagging, logging"
    )]
    NoPhase,
    /// Wants what only a grant gives, and has none. Says how to give it.
    #[error("{0}")]
    Ungranted(String),
    /// Has a grant it does not want.
    #[error("it is granted `{grant}`, which it does not import; {}", grantable(.imports))]
    UnusedGrant {
        /// The grant.
        grant: String,
        /// What it imports of that which can be granted.
        imports: Vec<String>,
    },
    /// Its output is named twice, and differently.
    #[error("the grant `output` is {grant}, and an option says {option}; the option alone is enough")]
    TwoOutputs {
        /// What the grant says.
        grant: String,
        /// What the option says.
        option: String,
    },
    /// Its output cannot be written.
    #[error("its output {target} cannot be opened: {source}")]
    Output {
        /// Where it is to go.
        target: String,
        /// Why it cannot.
        source: io::Error,
    },
    /// The certificates it is to trust cannot be used.
    #[error("the certificates that the grant `http-ca` names cannot be used: {}: {problem}", .path.display())]
    Certificates {
        /// Their file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Wants what nobody gives.
    #[error("it imports {}; a plugin gets the host's own interfaces and no others: {}", list(.found), .hint)]
    UnknownImports {
        /// The imports.
        found: Vec<String>,
        /// What to do about them.
        hint: &'static str,
    },
    /// `describe` said something unusable.
    #[error("its description is unusable: {0}")]
    Description(String),
    /// An option the plugin does not have.
    #[error("there is no option `{option}`; there are: {}", or_none(.known))]
    UnknownOption {
        /// The option.
        option: String,
        /// The options there are.
        known: Vec<String>,
    },
    /// A required option is missing.
    #[error("the option `{0}` is missing")]
    MissingOption(String),
    /// An option was given twice.
    #[error("the option `{0}` is given twice")]
    RepeatedOption(String),
    /// An option's value does not fit.
    #[error("the option `{option}` has to be {expected}")]
    BadOption {
        /// The option, with the path inside it.
        option: String,
        /// What the schema asks for.
        expected: String,
    },
    /// The file an option names cannot be read.
    #[error("the option `{option}`: {} cannot be read: {source}", .path.display())]
    OptionFile {
        /// The option.
        option: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The plugin refuses its configuration.
    #[error("it refuses its configuration{files}: {message}", files = in_files(.files))]
    Refused {
        /// What it says.
        message: String,
        /// The files its options name.
        files: Vec<PathBuf>,
    },
    /// The plugin's own test fails.
    #[error("its self-test fails: {0}")]
    SelfTest(String),
    /// A call fails.
    #[error("`{function}` {failure}")]
    Call {
        /// The function called.
        function: &'static str,
        /// How it failed.
        failure: Failure,
    },
}

impl From<wasmtime::Error> for Problem {
    fn from(error: wasmtime::Error) -> Self {
        Self::Invalid(format!("{error:#}"))
    }
}

/// How a call into a plugin failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It took too long.
    #[error("did not return within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// It asked for too much memory.
    #[error("wanted {wanted} bytes of memory; the limit is {limit}")]
    Memory {
        /// What it would have had.
        wanted: usize,
        /// What it may have.
        limit: usize,
    },
    /// It recursed too deep.
    #[error("used up its stack")]
    Stack,
    /// It handed over too much.
    #[error("answered with more than {0} bytes")]
    Transfer(usize),
    /// It trapped in some other way. A panic does.
    #[error("trapped: {0}")]
    Trap(String),
    /// It answered what it may not.
    #[error("answered {0}")]
    Answer(String),
    /// It is not asked: what it reserved for earlier requests waits to be settled, and there is too much of it.
    #[error("has too many reservations to settle before it can make another one")]
    Behind,
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn grantable(imports: &[String]) -> String {
    match imports {
        [] => "it imports nothing that can be granted".to_owned(),
        imports => format!("of what can be granted it imports {}", list(imports)),
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn in_files(files: &[PathBuf]) -> String {
    if files.is_empty() {
        return String::new();
    }
    let names: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    format!(" ({})", names.join(", "))
}
