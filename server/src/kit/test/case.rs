//! What a case file says, in the words of the WIT package.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use mlx_gate_core::{
    Api, Dialect, Ended, FinishReason, HeaderValue, Operation, Outcome, Principal, RequestHead, Secret, Usage,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kit::Error;

/// A plugin's configuration, and what it is expected to do with requests under it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseFile {
    /// The plugin's options. Paths start at the folder of this file; `${http}` stands for the origin of `http`.
    #[serde(default)]
    pub(super) options: Map<String, Value>,
    /// What it is granted, as in a `[plugin.grant]` table.
    #[serde(default)]
    pub(super) grant: Map<String, Value>,
    /// How it is run, as in a `[plugin.host]` table.
    #[serde(default)]
    pub(super) host: Map<String, Value>,
    /// The plugin is expected to refuse this configuration, with this in its message.
    pub(super) rejected: Option<String>,
    /// What a server answers that stands in for those that the plugin asks, one answer for each method and path.
    #[serde(default)]
    pub(super) http: Vec<Answer>,
    #[serde(default)]
    pub(super) cases: Vec<Case>,
}

/// An answer of the server that stands in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answer {
    #[serde(default = "get")]
    pub(super) method: String,
    /// Path and query.
    pub(super) path: String,
    #[serde(default = "ok")]
    pub(super) status: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    /// Text as it is, anything else as JSON.
    #[serde(default)]
    pub(super) body: Value,
}

/// One request's way through the plugin's phases.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: String,
    /// For `authenticate`.
    pub(super) request: Option<RequestText>,
    /// Who is asking, where the plugin does not find out itself.
    pub(super) principal: Option<PrincipalText>,
    /// For the phases after `authenticate`.
    pub(super) operation: Option<OperationText>,
    /// How the request ends, for `settle` and `log`.
    #[serde(default)]
    pub(super) ended: EndedText,
    /// What each phase answers.
    pub(super) expect: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestText {
    #[serde(default = "get")]
    method: String,
    #[serde(default = "path")]
    path: String,
    peer: Option<IpAddr>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct PrincipalText {
    subject: String,
    tenant: Option<String>,
    roles: Vec<String>,
    scopes: Vec<String>,
    expires_at: Option<u64>,
    claims: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct OperationText {
    #[serde(default = "chat")]
    api: String,
    model: Option<String>,
    adapter: Option<String>,
    #[serde(default)]
    streaming: bool,
    #[serde(default)]
    input_tokens: u32,
    max_output_tokens: Option<u32>,
    #[serde(default)]
    tools: u32,
    #[serde(default)]
    images: u32,
    end_user: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct EndedText {
    /// Whether the engine took the request.
    pub(super) ran: bool,
    pub(super) input_tokens: u32,
    pub(super) cached_tokens: u32,
    pub(super) output_tokens: u32,
    pub(super) reasoning_tokens: u32,
    status: u16,
    total_us: u64,
}

impl Default for EndedText {
    fn default() -> Self {
        Self {
            ran: true,
            input_tokens: 0,
            cached_tokens: 0,
            output_tokens: 0,
            reasoning_tokens: 0,
            status: ok(),
            total_us: 0,
        }
    }
}

fn get() -> String {
    "GET".into()
}

fn ok() -> u16 {
    200
}

fn path() -> String {
    "/v1/models".into()
}

fn chat() -> String {
    Api::Chat.as_str().into()
}

impl CaseFile {
    /// Reads a file. Mistakes come with the place in it.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file("reading", path))?;
        let malformed = |problem: String| Error::Malformed { path: path.to_owned(), problem };
        let mut reader = serde_json::Deserializer::from_str(&text);
        let file: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let place = error.path().to_string();
            let problem = error.into_inner();
            malformed(if place == "." { problem.to_string() } else { format!("`{place}`: {problem}") })
        })?;
        if file.cases.is_empty() && file.rejected.is_none() {
            return Err(malformed(
                "it has neither `cases` nor `rejected`, so nothing would be tested".into(),
            ));
        }
        if let Some(case) = file.cases.iter().find(|case| case.expect.is_empty()) {
            return Err(malformed(format!("the case `{}` expects nothing", case.name)));
        }
        Ok(file)
    }

    /// The case files at a path: itself, or those in it by name.
    pub(super) fn find(path: &Path) -> Result<Vec<PathBuf>, Error> {
        if path.is_file() {
            return Ok(vec![path.to_owned()]);
        }
        let entries = std::fs::read_dir(path).map_err(Error::file("listing", path))?;
        let is_json = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_json).collect();
        files.sort();
        if files.is_empty() {
            let problem = "it holds no .json file with cases".to_owned();
            return Err(Error::Malformed { path: path.to_owned(), problem });
        }
        Ok(files)
    }
}

impl Case {
    /// The request's head; one without headers where the case has none.
    pub(super) fn head(&self) -> RequestHead {
        let request = self.request.as_ref();
        let headers = request.into_iter().flat_map(|request| &request.headers);
        RequestHead {
            id: self.id(),
            method: request.map_or_else(get, |request| request.method.clone()),
            path: request.map_or_else(path, |request| request.path.clone()),
            dialect: Dialect::OpenAi,
            peer: request.and_then(|request| request.peer),
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), HeaderValue::Text(Secret::new(value))))
                .collect(),
        }
    }

    pub(super) fn principal(&self) -> Option<Principal> {
        let text = self.principal.as_ref()?;
        Some(Principal {
            subject: text.subject.clone(),
            tenant: text.tenant.clone(),
            roles: text.roles.clone(),
            scopes: text.scopes.clone(),
            expires_at_ms: text.expires_at,
            claims: text.claims.clone().into_iter().collect(),
            authenticated_by: "case".into(),
        })
    }

    /// The operation, or the name of an API there is not.
    pub(super) fn operation(&self) -> Result<Option<Operation>, String> {
        let Some(text) = &self.operation else { return Ok(None) };
        let api = Api::ALL.into_iter().find(|api| api.as_str() == text.api).ok_or_else(|| {
            let known: Vec<_> = Api::ALL.iter().map(|api| api.as_str()).collect();
            format!("there is no api `{}`; there are: {}", text.api, known.join(", "))
        })?;
        Ok(Some(Operation {
            api,
            model: text.model.clone(),
            adapter: text.adapter.clone(),
            streaming: text.streaming,
            input_tokens: text.input_tokens,
            max_output_tokens: text.max_output_tokens,
            tools: text.tools,
            images: text.images,
            end_user: text.end_user.clone(),
        }))
    }

    pub(super) fn usage(&self) -> Usage {
        Usage {
            input_tokens: self.ended.input_tokens,
            cached_tokens: self.ended.cached_tokens,
            output_tokens: self.ended.output_tokens,
            reasoning_tokens: self.ended.reasoning_tokens,
        }
    }

    /// What a logger hears of it.
    pub(super) fn ended(&self) -> Ended {
        let head = self.head();
        Ended {
            id: head.id,
            method: head.method,
            route: None,
            dialect: head.dialect,
            peer: head.peer,
            ran: self.ended.ran,
            usage: self.usage(),
            status: self.ended.status,
            outcome: match self.ended.status {
                200..=299 => Outcome::Finished(FinishReason::Stop),
                400..=499 => Outcome::Denied,
                _ => Outcome::Error,
            },
            code: None,
            refused_by: None,
            started_at: UNIX_EPOCH,
            queued: Duration::ZERO,
            first_token: None,
            total: Duration::from_micros(self.ended.total_us),
        }
    }

    fn id(&self) -> String {
        format!("case-{}", self.name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"))
    }
}
