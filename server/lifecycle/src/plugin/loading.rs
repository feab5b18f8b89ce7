use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256, digest};
use mlx_gate_core::Phase;

use super::pacing::Pacing;
use super::snapshot::{Code, blocking};
use super::stock::Stock;
use super::{Inspection, Plugin, code};
use crate::cache::Decisions;
use crate::call::Pace;
use crate::grants::Wanted;
use crate::guest::{Configuration, Guest};
use crate::host::Services;
use crate::options::Resolved;
use crate::outbound::Trusted;
use crate::runtime::Runtime;
use crate::watch::Digest;
use crate::{
    Bundled, Error, Grants, HostOptions, Isolation, Limits, PluginSpec, Problem, Source, options, regular,
};

/// Makes plugins.
pub(crate) struct Loader {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) bundled: Vec<Bundled>,
    /// The usual ones.
    pub(crate) limits: Limits,
}

/// A plugin whose code has been compiled and whose options have been checked. It has not seen them yet.
pub(crate) struct Prepared {
    /// For errors.
    source: String,
    code: Arc<Code>,
    configuration: Configuration,
    grants: Grants,
    trusted: Trusted,
    limits: Limits,
    host: HostOptions,
    files: Vec<(PathBuf, Digest)>,
    fingerprint: Digest,
}

impl Loader {
    /// Reads, compiles and inspects a plugin's code, unless it is among the known, resolves its options, and compares what
    /// it imports with what it is granted.
    pub(crate) async fn prepare(&self, spec: &PluginSpec, known: &[Arc<Code>]) -> Result<Prepared, Error> {
        self.read(spec, known).await.map_err(|problem| about(spec.source.to_string(), problem))
    }

    async fn read(&self, spec: &PluginSpec, known: &[Arc<Code>]) -> Result<Prepared, Problem> {
        let limits = spec.host.limits(&self.limits);
        let (bytes, digest) = self.file(&spec.source).await?;
        if let Some(pinned) = spec.host.sha256.filter(|pinned| *pinned != digest) {
            return Err(Problem::OtherCode { found: hex(&digest), pinned: hex(&pinned) });
        }
        let code = self.code(bytes, digest, known, &limits).await?;
        let (options, described) = (spec.options.clone(), code.clone());
        let resolve = move || options::resolve(&options, &described.description.schema);
        let Resolved { configuration, grants: by_options } = blocking(resolve).await??;
        let grants = granted(spec, &code, by_options)?;
        let certificates = grants.http_ca.clone();
        let trusted = move || certificates.map_or_else(|| Ok(Trusted::default()), certificates_in);
        let trusted = blocking(trusted).await??;
        let mut files: Vec<_> = configuration
            .files
            .iter()
            .map(|file| (PathBuf::from(&file.path), sha256(&file.content)))
            .collect();
        files.extend(grants.http_ca.iter().map(|path| (path.clone(), sha256(trusted.pem()))));
        if let Source::File(path) = &spec.source {
            files.insert(0, (path.clone(), digest));
        }
        let fingerprint = fingerprint(&digest, &configuration, &trusted);
        let source = spec.source.to_string();
        let limits = code.limits(&limits, spec.host.memory);
        let host = spec.host.clone();
        Ok(Prepared { source, code, configuration, grants, trusted, limits, host, files, fingerprint })
    }

    /// Reads and compiles a plugin's code, unless it is among the known, and asks it what it is.
    pub(crate) async fn inspect(
        &self,
        source: &Source,
        known: &[Arc<Code>],
    ) -> Result<(Arc<Code>, Inspection), Error> {
        let inspect = async {
            let (bytes, digest) = self.file(source).await?;
            let length = bytes.len();
            let code = self.code(bytes, digest, known, &self.limits).await?;
            let inspection = Inspection::of(&code, length, matches!(source, Source::Bundled(_)));
            Ok((code, inspection))
        };
        inspect.await.map_err(|problem| about(source.to_string(), problem))
    }

    async fn file(&self, source: &Source) -> Result<(Vec<u8>, Digest), Problem> {
        let (source, bundled) = (source.clone(), self.bundled.clone());
        let read = move || {
            let bytes = code::read(&source, &bundled)?;
            let digest = sha256(&bytes);
            Ok((bytes, digest))
        };
        blocking(read).await?
    }

    async fn code(
        &self,
        bytes: Vec<u8>,
        digest: Digest,
        known: &[Arc<Code>],
        limits: &Limits,
    ) -> Result<Arc<Code>, Problem> {
        Ok(match known.iter().find(|code| *code.digest() == digest) {
            Some(code) => code.clone(),
            None => Arc::new(Code::compile(&self.runtime, bytes, digest, limits).await?),
        })
    }
}

/// What a plugin is granted, in all. Errors where it imports more, and where more is written down than it imports.
fn granted(spec: &PluginSpec, code: &Code, by_options: Grants) -> Result<Grants, Problem> {
    let imports = code.inspected.grantable.clone();
    let mut written = spec.grants.clone();
    // A bundled plugin is part of this server, and what it counts stays in it.
    written.kv |= matches!(spec.source, Source::Bundled(_)) && imports.iter().any(|name| name == "kv");
    let wanted = Wanted { imports, options: options::granting(&code.description.schema) };
    written.check(&wanted, &spec.source)?;
    written.with(by_options)
}

/// Reads the certificates that the grant `http-ca` names, which is done again with every change of the plugin.
fn certificates_in(path: PathBuf) -> Result<Trusted, Problem> {
    const MOST_BYTES: u64 = 16 << 20;

    let mut pem = Vec::new();
    let read = regular::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut pem));
    let trusted = read.map_err(|error| error.to_string()).and_then(|_| Trusted::read(pem));
    trusted.map_err(|problem| Problem::Certificates { path, problem })
}

impl Prepared {
    /// Its code.
    pub(crate) fn code(&self) -> &Arc<Code> {
        &self.code
    }

    /// See [`Plugin::fingerprint`].
    pub(crate) fn fingerprint(&self) -> &Digest {
        &self.fingerprint
    }

    /// What it is granted, by what is written down and by its options.
    pub(crate) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// The phases it takes part in.
    pub(crate) fn phases(&self) -> &[Phase] {
        &self.code.inspected.phases
    }

    /// Configures and tests the plugin. `place` holds the services of the plugin whose place it takes, or new ones.
    pub(crate) async fn finish(self, place: &Services) -> Result<Plugin, Error> {
        let source = self.source.clone();
        self.configure(place).await.map_err(|problem| about(source, problem))
    }

    async fn configure(self, place: &Services) -> Result<Plugin, Problem> {
        let Self { code, configuration, grants, trusted, limits, host, files, fingerprint, .. } = self;
        let services = Arc::new(place.with_grants(grants, trusted).await?);
        let (component, captured) = code.configure(&configuration, &limits, &services).await?;
        let is_reused = host.isolation(captured.is_some(), &code.description.name) == Isolation::Reuse;
        let decides_by_credentials = code.inspected.phases.contains(&Phase::Authenticate)
            && !code.description.credential_headers.is_empty();
        let answer_at_once = code.inspected.grantable.iter().all(|name| services.answers_at_once(name));
        let pacing = Pacing::new(answer_at_once && !code.inspected.waits);
        let linked = |pace| code.sandbox().linker(code.inspected.version, pace).instantiate_pre(&component);
        let (yielding, direct) = (linked(Pace::Yielding)?, linked(Pace::Direct)?);
        let plugin = Plugin {
            name: code.description.name.as_str().into(),
            guest: Guest::new(code.inspected.version, &yielding, &code.inspected.phases)?,
            sandbox: code.sandbox().clone(),
            services,
            code,
            yielding,
            direct,
            configuration: captured.is_none().then_some(configuration),
            captured,
            limits,
            files,
            fingerprint,
            pacing,
            stock: Stock::new(is_reused),
            decisions: (host.cache && decides_by_credentials).then(Decisions::new).flatten(),
        };
        plugin.self_test().await?;
        Ok(plugin)
    }
}

fn about(source: String, problem: Problem) -> Error {
    Error::Plugin { plugin: source, problem: Box::new(problem) }
}

fn sha256(bytes: &[u8]) -> Digest {
    let mut found = [0; 32];
    found.copy_from_slice(digest(&SHA256, bytes).as_ref());
    found
}

/// In hexadecimal, as `sha256sum` writes it.
pub(crate) fn hex(digest: &Digest) -> String {
    use std::fmt::Write as _;

    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Each part is preceded by its length, so that no two sequences of parts read the same.
fn fingerprint(code: &Digest, configuration: &Configuration, trusted: &Trusted) -> Digest {
    let mut context = Context::new(&SHA256);
    let mut part = |bytes: &[u8]| {
        context.update(&(bytes.len() as u64).to_le_bytes());
        context.update(bytes);
    };
    part(code);
    part(configuration.json.expose().as_bytes());
    for file in &configuration.files {
        part(file.path.as_bytes());
        part(&file.content);
    }
    part(trusted.pem());
    let mut found = [0; 32];
    found.copy_from_slice(context.finish().as_ref());
    found
}
