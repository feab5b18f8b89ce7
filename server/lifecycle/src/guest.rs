//! Calls into plugins, in the server's own words. What they look like in a published version of the WIT package is known
//! to one module for each version, and to nothing else.

use std::future::Future;
use std::sync::Arc;

use mlx_gate_core::{Ended, HeaderValue, Operation, Phase, Principal, RequestHead, Secret, Tags, Usage};
use wasmtime::component::InstancePre;
use zeroize::Zeroizing;

use crate::answer::{Admission, Authentication, Authorization, TagSet};
use crate::call::Instance;
use crate::calls::Function;
use crate::host::{About, State};
use crate::plugin::Description;
use crate::{Failure, Problem};

mod function;
mod v0_1;

/// The versions of the interface this server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `mlx-gate:plugin@0.1.0`.
    V0_1,
}

impl Version {
    pub(crate) const ALL: [Self; 1] = [Self::V0_1];

    /// As it stands after the `@` of an interface's name.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1.0",
        }
    }
}

/// The exports of one plugin, found once.
pub(crate) enum Guest {
    V0_1(v0_1::Exports),
}

/// What a plugin says of itself, unchecked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Info {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) config_schema: String,
    pub(crate) credential_headers: Vec<String>,
    pub(crate) headers: Vec<String>,
}

/// What a plugin is configured with.
pub(crate) struct Configuration {
    /// A JSON object, as text.
    pub(crate) json: Secret,
    pub(crate) files: Vec<HostFile>,
}

/// A file that an option names, with its content, which may well be keys.
pub(crate) struct HostFile {
    /// As it stands in the configuration.
    pub(crate) path: String,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

impl Guest {
    pub(crate) fn new(
        version: Version,
        component: &InstancePre<State>,
        phases: &[Phase],
    ) -> Result<Self, Problem> {
        match version {
            Version::V0_1 => Ok(Self::V0_1(v0_1::Exports::find(component, phases)?)),
        }
    }

    pub(crate) async fn describe(&self, instance: &mut Instance) -> Result<Info, Failure> {
        match self {
            Self::V0_1(exports) => exports.describe(instance).await,
        }
    }

    /// The inner error is the plugin's own.
    pub(crate) async fn configure(
        &self,
        instance: &mut Instance,
        configuration: &Configuration,
    ) -> Result<Result<(), String>, Failure> {
        match self {
            Self::V0_1(exports) => exports.configure(instance, configuration).await,
        }
    }

    /// The inner error is the plugin's own.
    pub(crate) async fn self_test(&self, instance: &mut Instance) -> Result<Result<(), String>, Failure> {
        match self {
            Self::V0_1(exports) => exports.self_test(instance).await,
        }
    }
}

/// A call of a phase.
pub(crate) trait Call: Sync {
    const PHASE: Phase;
    const FUNCTION: Function;
    type Answer: Send;

    /// Makes the call and checks the answer.
    fn make(
        &self,
        guest: &Guest,
        instance: &mut Instance,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;

    /// What the host has to know of it.
    fn about(&self) -> About {
        About::default()
    }
}

/// Who is asking.
pub(crate) struct Authenticate<'a> {
    pub(crate) head: &'a RequestHead,
    /// Of the plugin that is called: says which headers it sees.
    pub(crate) description: &'a Description,
}

/// May they.
pub(crate) struct Authorize<'a> {
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) operation: &'a Operation,
}

/// May they now. The answer is not checked yet: what it reserves has to be given back even where its headers are bad.
pub(crate) struct Admit<'a> {
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) operation: &'a Operation,
}

/// What became of a reservation.
pub(crate) struct Settle<'a> {
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) operation: &'a Operation,
    pub(crate) ticket: u64,
    pub(crate) ran: bool,
    pub(crate) usage: Usage,
}

/// On whose account.
pub(crate) struct Tag<'a> {
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) operation: &'a Operation,
}

/// What is written down.
pub(crate) struct Log<'a> {
    pub(crate) events: &'a [&'a Completed],
}

/// A request that has ended, with all that is known of it.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) ended: Ended,
    pub(crate) principal: Option<Arc<Principal>>,
    pub(crate) operation: Option<Arc<Operation>>,
    pub(crate) tags: Option<Tags>,
}

impl Call for Authenticate<'_> {
    const PHASE: Phase = Phase::Authenticate;
    const FUNCTION: Function = Function::Authenticate;
    type Answer = Authentication;

    async fn make(&self, guest: &Guest, instance: &mut Instance) -> Result<Authentication, Failure> {
        match guest {
            Guest::V0_1(exports) => exports.authenticate(instance, self).await?.checked(),
        }
    }

    fn about(&self) -> About {
        let credentials = self.credentials().map(|(_, value)| value.clone()).collect();
        About { credentials, peer: self.head.peer, ..About::default() }
    }
}

impl<'a> Authenticate<'a> {
    /// The credentials the plugin sees.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = (&'a str, &'a Secret)> {
        self.declared(&self.description.credential_headers)
    }

    /// The other headers the plugin sees.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, &'a Secret)> {
        self.declared(&self.description.headers)
    }

    /// The headers of these names, in wire order. Values that are not UTF-8 are left out. Of credentials there are none:
    /// they are refused before any plugin is asked.
    fn declared(&self, names: &'a [String]) -> impl Iterator<Item = (&'a str, &'a Secret)> {
        let declared = self.head.headers.iter().filter(|(name, _)| names.contains(name));
        declared.filter_map(|(name, value)| match value {
            HeaderValue::Text(text) => Some((name.as_str(), text)),
            HeaderValue::NotUtf8 => None,
        })
    }
}

impl Call for Authorize<'_> {
    const PHASE: Phase = Phase::Authorize;
    const FUNCTION: Function = Function::Authorize;
    type Answer = Authorization;

    async fn make(&self, guest: &Guest, instance: &mut Instance) -> Result<Authorization, Failure> {
        match guest {
            Guest::V0_1(exports) => exports.authorize(instance, self).await?.checked(),
        }
    }
}

impl Call for Admit<'_> {
    const PHASE: Phase = Phase::RateLimit;
    const FUNCTION: Function = Function::Admit;
    type Answer = Admission;

    async fn make(&self, guest: &Guest, instance: &mut Instance) -> Result<Admission, Failure> {
        match guest {
            Guest::V0_1(exports) => exports.admit(instance, self).await,
        }
    }

    fn about(&self) -> About {
        About { reserves: true, ..About::default() }
    }
}

impl Call for Settle<'_> {
    const PHASE: Phase = Phase::RateLimit;
    const FUNCTION: Function = Function::Settle;
    type Answer = ();

    async fn make(&self, guest: &Guest, instance: &mut Instance) -> Result<(), Failure> {
        match guest {
            Guest::V0_1(exports) => exports.settle(instance, self).await,
        }
    }
}

impl Call for Tag<'_> {
    const PHASE: Phase = Phase::Tag;
    const FUNCTION: Function = Function::Tag;
    type Answer = TagSet;

    async fn make(&self, guest: &Guest, instance: &mut Instance) -> Result<TagSet, Failure> {
        match guest {
            Guest::V0_1(exports) => exports.tag(instance, self).await?.checked(),
        }
    }
}

impl Call for Log<'_> {
    const PHASE: Phase = Phase::Log;
    const FUNCTION: Function = Function::Log;
    type Answer = ();

    async fn make(&self, guest: &Guest, instance: &mut Instance) -> Result<(), Failure> {
        match guest {
            Guest::V0_1(exports) => exports.log(instance, self).await,
        }
    }
}
