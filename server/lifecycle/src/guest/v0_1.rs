//! `mlx-gate:plugin@0.1.0`: what the calls of [`guest`](super) are in this version.

use mlx_gate_core::{Constraints, Denial, Operation, Phase, Principal, Priority, Secret, Tags, Usage};
use wasmtime::component::InstancePre;

use super::function::{Function, Signature, signatures};
use super::{Admit, Authenticate, Authorize, Completed, Configuration, Info, Log, Settle, Tag};
use crate::Failure;
use crate::answer::{Admission, Authentication, Authorization, Grant, Reservation, TagSet};
use crate::bindings::v0_1::exports::mlx_gate::plugin::{authenticate, authorize, lifecycle, rate_limit};
use crate::bindings::v0_1::mlx_gate::plugin::types as wit;
use crate::call::Instance;
use crate::host::State;

signatures! {
    Describe: () => (lifecycle::Info,);
    Configure: (&'a str, &'a [lifecycle::HostFile<'a>]) => (Result<(), String>,);
    SelfTest: () => (Result<(), String>,);
    Check: (wit::RequestHead<'a>,) => (authenticate::Verdict,);
    Allow: (Option<wit::PrincipalParam<'a>>, wit::Operation<'a>) => (authorize::Verdict,);
    Reserve: (Option<wit::PrincipalParam<'a>>, wit::Operation<'a>) => (rate_limit::Verdict,);
    Release: (Option<wit::PrincipalParam<'a>>, wit::Operation<'a>, u64, rate_limit::Ending, wit::Usage) => ();
    Mark: (Option<wit::PrincipalParam<'a>>, wit::Operation<'a>) => (wit::TagsResult,);
    Write: (&'a [wit::Completed<'a>],) => ();
}

/// A plugin's functions. A plugin is only asked in phases that it exports.
pub(crate) struct Exports {
    describe: Function<Describe>,
    configure: Function<Configure>,
    self_test: Function<SelfTest>,
    authenticate: Option<Function<Check>>,
    authorize: Option<Function<Allow>>,
    admit: Option<Function<Reserve>>,
    settle: Option<Function<Release>>,
    tag: Option<Function<Mark>>,
    log: Option<Function<Write>>,
}

const LIFECYCLE: &str = "mlx-gate:plugin/lifecycle@0.1.0";
const AUTHENTICATE: &str = "mlx-gate:plugin/authenticate@0.1.0";
const AUTHORIZE: &str = "mlx-gate:plugin/authorize@0.1.0";
const RATE_LIMIT: &str = "mlx-gate:plugin/rate-limit@0.1.0";
const TAGGING: &str = "mlx-gate:plugin/tagging@0.1.0";
const LOGGING: &str = "mlx-gate:plugin/logging@0.1.0";

impl Exports {
    pub(crate) fn find(component: &InstancePre<State>, phases: &[Phase]) -> wasmtime::Result<Self> {
        fn of<S: Signature>(
            component: &InstancePre<State>,
            is_exported: bool,
            interface: &str,
            name: &str,
        ) -> wasmtime::Result<Option<Function<S>>> {
            is_exported.then(|| Function::find(component, interface, name)).transpose()
        }
        let has = |phase| phases.contains(&phase);
        Ok(Self {
            describe: Function::find(component, LIFECYCLE, "describe")?,
            configure: Function::find(component, LIFECYCLE, "configure")?,
            self_test: Function::find(component, LIFECYCLE, "self-test")?,
            authenticate: of(component, has(Phase::Authenticate), AUTHENTICATE, "check")?,
            authorize: of(component, has(Phase::Authorize), AUTHORIZE, "check")?,
            admit: of(component, has(Phase::RateLimit), RATE_LIMIT, "admit")?,
            settle: of(component, has(Phase::RateLimit), RATE_LIMIT, "settle")?,
            tag: of(component, has(Phase::Tag), TAGGING, "tag")?,
            log: of(component, has(Phase::Log), LOGGING, "log")?,
        })
    }

    pub(super) async fn describe(&self, instance: &mut Instance) -> Result<Info, Failure> {
        let info = self.describe.call(instance, ()).await?.0;
        Ok(Info {
            name: info.name,
            version: info.version,
            config_schema: info.config_schema,
            credential_headers: info.credential_headers,
            headers: info.headers,
        })
    }

    pub(super) async fn configure(
        &self,
        instance: &mut Instance,
        configuration: &Configuration,
    ) -> Result<Result<(), String>, Failure> {
        let files: Vec<_> = configuration
            .files
            .iter()
            .map(|file| lifecycle::HostFile { path: &file.path, content: &file.content })
            .collect();
        Ok(self.configure.call(instance, (configuration.json.expose(), &files)).await?.0)
    }

    pub(super) async fn self_test(&self, instance: &mut Instance) -> Result<Result<(), String>, Failure> {
        Ok(self.self_test.call(instance, ()).await?.0)
    }

    pub(super) async fn authenticate(
        &self,
        instance: &mut Instance,
        call: &Authenticate<'_>,
    ) -> Result<Authentication, Failure> {
        let Authenticate { head, description } = call;
        let credentials: Vec<_> = call.credentials().map(exposed).collect();
        let headers: Vec<_> = call.headers().map(exposed).collect();
        let peer = head.peer.map(|peer| peer.to_string());
        let head = wit::RequestHead {
            id: &head.id,
            method: &head.method,
            path: &head.path,
            dialect: head.dialect.as_str(),
            peer: peer.as_deref(),
            tls_subject: None,
            credentials: &credentials,
            headers: &headers,
        };
        let (verdict,) = exported(self.authenticate.as_ref()).call(instance, (head,)).await?;
        Ok(match verdict {
            authenticate::Verdict::Abstain(challenge) => Authentication::Abstain(challenge),
            authenticate::Verdict::Allow(grant) => Authentication::Allow(Grant {
                principal: principal_from(grant.principal, &description.name),
                cache_for_ms: grant.cache_for_ms,
            }),
            authenticate::Verdict::Deny(denial) => Authentication::Deny(denial_from(denial)),
        })
    }

    pub(super) async fn authorize(
        &self,
        instance: &mut Instance,
        call: &Authorize<'_>,
    ) -> Result<Authorization, Failure> {
        let who = call.principal.map(Caller::new);
        let who = who.as_ref().map(Caller::principal);
        let asked = (who, operation(call.operation));
        let (verdict,) = exported(self.authorize.as_ref()).call(instance, asked).await?;
        Ok(match verdict {
            authorize::Verdict::NoOpinion => Authorization::NoOpinion,
            authorize::Verdict::Allow(constraints) => Authorization::Allow(constraints_from(constraints)),
            authorize::Verdict::Deny(denial) => Authorization::Deny(denial_from(denial)),
        })
    }

    pub(super) async fn admit(
        &self,
        instance: &mut Instance,
        call: &Admit<'_>,
    ) -> Result<Admission, Failure> {
        let who = call.principal.map(Caller::new);
        let who = who.as_ref().map(Caller::principal);
        let asked = (who, operation(call.operation));
        let (verdict,) = exported(self.admit.as_ref()).call(instance, asked).await?;
        Ok(match verdict {
            rate_limit::Verdict::Pass => Admission::Pass,
            rate_limit::Verdict::Reserve(reservation) => {
                Admission::Reserve(Reservation { ticket: reservation.ticket, headers: reservation.headers })
            }
            rate_limit::Verdict::Deny(denial) => Admission::Deny(denial_from(denial)),
        })
    }

    pub(super) async fn settle(&self, instance: &mut Instance, call: &Settle<'_>) -> Result<(), Failure> {
        let who = call.principal.map(Caller::new);
        let who = who.as_ref().map(Caller::principal);
        let ending = if call.ran { rate_limit::Ending::Ran } else { rate_limit::Ending::NotRun };
        let told = (who, operation(call.operation), call.ticket, ending, usage(call.usage));
        exported(self.settle.as_ref()).call(instance, told).await
    }

    pub(super) async fn tag(&self, instance: &mut Instance, call: &Tag<'_>) -> Result<TagSet, Failure> {
        let who = call.principal.map(Caller::new);
        let who = who.as_ref().map(Caller::principal);
        let asked = (who, operation(call.operation));
        let (tags,) = exported(self.tag.as_ref()).call(instance, asked).await?;
        Ok(TagSet {
            tenant: tags.tenant,
            priority: tags.priority.map(|priority| match priority {
                wit::Priority::Batch => Priority::Batch,
                wit::Priority::Normal => Priority::Normal,
                wit::Priority::High => Priority::High,
            }),
            weight: tags.weight,
            adapter: tags.adapter,
            cache_scope: tags.cache_scope,
            labels: tags.labels,
            upstream_headers: tags.upstream_headers,
        })
    }

    pub(super) async fn log(&self, instance: &mut Instance, call: &Log<'_>) -> Result<(), Failure> {
        let events: Vec<_> = call.events.iter().map(|event| Event::new(event)).collect();
        let events: Vec<_> = events.iter().map(Event::completed).collect();
        exported(self.log.as_ref()).call(instance, (&events,)).await
    }
}

fn exported<T>(export: Option<&T>) -> &T {
    export.expect("the chain of a phase holds only plugins that export it")
}

fn exposed<'a>((name, value): (&'a str, &'a Secret)) -> (&'a str, &'a str) {
    (name, value.expose())
}

/// A principal with what a borrowed one needs besides.
struct Caller<'a> {
    principal: &'a Principal,
    roles: Vec<&'a str>,
    scopes: Vec<&'a str>,
    claims: Vec<(&'a str, &'a str)>,
}

impl<'a> Caller<'a> {
    fn new(principal: &'a Principal) -> Self {
        Self {
            principal,
            roles: principal.roles.iter().map(String::as_str).collect(),
            scopes: principal.scopes.iter().map(String::as_str).collect(),
            claims: pairs(&principal.claims),
        }
    }

    fn principal(&self) -> wit::PrincipalParam<'_> {
        wit::PrincipalParam {
            subject: &self.principal.subject,
            tenant: self.principal.tenant.as_deref(),
            roles: &self.roles,
            scopes: &self.scopes,
            expires_at: self.principal.expires_at_ms,
            claims: &self.claims,
        }
    }
}

/// A request that has ended, with what a borrowed one needs besides.
struct Event<'a> {
    completed: &'a Completed,
    peer: Option<String>,
    caller: Option<Caller<'a>>,
    labels: Vec<(&'a str, &'a str)>,
    upstream_headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Event<'a> {
    fn new(completed: &'a Completed) -> Self {
        let tags = completed.tags.as_ref();
        Self {
            completed,
            peer: completed.ended.peer.map(|peer| peer.to_string()),
            caller: completed.principal.as_deref().map(Caller::new),
            labels: tags.map(|tags| pairs(&tags.labels)).unwrap_or_default(),
            upstream_headers: tags.map(|tags| pairs(&tags.upstream_headers)).unwrap_or_default(),
        }
    }

    fn completed(&self) -> wit::Completed<'_> {
        let ended = &self.completed.ended;
        wit::Completed {
            id: &ended.id,
            method: &ended.method,
            route: ended.route,
            dialect: ended.dialect.as_str(),
            peer: self.peer.as_deref(),
            principal: self.caller.as_ref().map(Caller::principal),
            operation: self.completed.operation.as_deref().map(operation),
            tags: self.completed.tags.as_ref().map(|tags| self.tags(tags)),
            usage: usage(ended.usage),
            status: ended.status,
            outcome: ended.outcome.as_str(),
            code: ended.code.as_deref(),
            refused_by: ended.refused_by.as_deref(),
            started_at_ms: milliseconds_since_1970(ended.started_at),
            queue_us: microseconds(ended.queued),
            first_token_us: ended.first_token.map(microseconds),
            total_us: microseconds(ended.total),
        }
    }

    fn tags<'t>(&'t self, tags: &'t Tags) -> wit::TagsParam<'t> {
        wit::TagsParam {
            tenant: tags.tenant.as_deref(),
            priority: Some(match tags.priority {
                Priority::Batch => wit::Priority::Batch,
                Priority::Normal => wit::Priority::Normal,
                Priority::High => wit::Priority::High,
            }),
            weight: Some(tags.weight),
            adapter: tags.adapter.as_deref(),
            cache_scope: tags.cache_scope.as_deref(),
            labels: &self.labels,
            upstream_headers: &self.upstream_headers,
        }
    }
}

fn operation(operation: &Operation) -> wit::Operation<'_> {
    wit::Operation {
        api: operation.api.as_str(),
        model: operation.model.as_deref(),
        adapter: operation.adapter.as_deref(),
        streaming: operation.streaming,
        input_tokens: operation.input_tokens.into(),
        max_output_tokens: operation.max_output_tokens.map(u64::from),
        tools: operation.tools,
        images: operation.images,
        end_user: operation.end_user.as_deref(),
    }
}

fn usage(usage: Usage) -> wit::Usage {
    wit::Usage {
        input_tokens: usage.input_tokens.into(),
        cached_tokens: usage.cached_tokens.into(),
        output_tokens: usage.output_tokens.into(),
        reasoning_tokens: usage.reasoning_tokens.into(),
    }
}

fn principal_from(given: wit::PrincipalResult, plugin: &str) -> Principal {
    Principal {
        subject: given.subject,
        tenant: given.tenant,
        roles: given.roles,
        scopes: given.scopes,
        expires_at_ms: given.expires_at,
        claims: given.claims,
        authenticated_by: plugin.to_owned(),
    }
}

fn denial_from(given: wit::Denial) -> Denial {
    Denial {
        status: given.status,
        code: given.code,
        message: given.message,
        challenge: given.challenge,
        retry_after_ms: given.retry_after_ms,
        headers: given.headers,
    }
}

fn constraints_from(given: wit::Constraints) -> Constraints {
    // More than the server can count is no bound that it could break.
    let tokens = |most: u64| u32::try_from(most).unwrap_or(u32::MAX);
    Constraints {
        max_output_tokens: given.max_output_tokens.map(tokens),
        model: given.model,
        models: given.models.into_iter().collect(),
        adapters: given.adapters,
    }
}

fn pairs(pairs: &[(String, String)]) -> Vec<(&str, &str)> {
    pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

fn milliseconds_since_1970(time: std::time::SystemTime) -> u64 {
    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn microseconds(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
