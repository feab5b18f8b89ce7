use std::sync::{Arc, Mutex};

use mlx_gate_core::{
    Admission, BoxFuture, Constraints, Ended, HeaderValue, Lifecycle, Operation, Passage, Phase, Principal,
    Refusal, RequestHead, Tags,
};
use tokio::sync::watch;

use super::fakes::KEY;

/// The account of the caller that the gate knows.
const TENANT: &str = "acme";

/// A gate that knows one key and allows everything, unless a test says otherwise. Clones share what they saw.
#[derive(Clone, Default)]
pub(crate) struct FakeGate {
    /// What a phase says instead of yes.
    pub(crate) refuses: Option<(Phase, Refusal)>,
    /// A phase that never answers.
    pub(crate) hangs: Option<Phase>,
    /// No plugin authenticates.
    pub(crate) open: bool,
    pub(crate) expires_at_ms: Option<u64>,
    pub(crate) constraints: Constraints,
    pub(crate) admission: Admission,
    pub(crate) tags: Tags,
    pub(crate) seen: Arc<Seen>,
}

/// What a gate was asked.
#[derive(Default)]
pub(crate) struct Seen {
    phases: Mutex<Vec<Phase>>,
    pub(crate) heads: Mutex<Vec<RequestHead>>,
    operations: Mutex<Vec<(Phase, Operation)>>,
    /// How requests ended.
    pub(crate) ended: watch::Sender<Vec<Ended>>,
    /// Whether what was reserved has been waited for.
    pub(crate) drained: Mutex<bool>,
}

impl Seen {
    /// The phases of the only request in their order, `Log` for its end.
    pub(crate) fn phases(&self) -> Vec<Phase> {
        self.phases.lock().unwrap().clone()
    }

    /// The operation a phase was asked about.
    pub(crate) fn operation(&self, phase: Phase) -> Operation {
        let operations = self.operations.lock().unwrap();
        let (_, operation) =
            operations.iter().find(|(asked, _)| *asked == phase).expect("the phase was asked");
        operation.clone()
    }

    /// How the only request ended, once it has.
    pub(crate) async fn ended(&self) -> Ended {
        let mut ended = self.ended.subscribe();
        let ended = ended.wait_for(|ended| !ended.is_empty()).await.expect("the gate is there");
        let [ended] = ended.as_slice() else { panic!("more than one end: {ended:?}") };
        ended.clone()
    }
}

impl FakeGate {
    pub(crate) fn refusing(phase: Phase, refusal: Refusal) -> Self {
        Self { refuses: Some((phase, refusal)), ..Self::default() }
    }

    /// Answers for a phase.
    async fn say<T>(&self, phase: Phase, yes: T) -> Result<T, Refusal> {
        if self.hangs == Some(phase) {
            std::future::pending::<()>().await;
        }
        match &self.refuses {
            Some((refusing, refusal)) if *refusing == phase => Err(refusal.clone()),
            _ => Ok(yes),
        }
    }

    fn note(&self, phase: Phase, operation: &Operation) {
        self.seen.phases.lock().unwrap().push(phase);
        self.seen.operations.lock().unwrap().push((phase, operation.clone()));
    }
}

impl Lifecycle for FakeGate {
    fn begin(&self) -> Arc<dyn Passage> {
        Arc::new(self.clone())
    }

    fn authenticates(&self) -> bool {
        !self.open
    }

    fn drain(&self) -> BoxFuture<'_, ()> {
        *self.seen.drained.lock().unwrap() = true;
        Box::pin(std::future::ready(()))
    }
}

impl Passage for FakeGate {
    fn generation(&self) -> u64 {
        7
    }

    fn authenticates(&self) -> bool {
        !self.open
    }

    fn credential_headers(&self) -> &[String] {
        static DECLARED: std::sync::LazyLock<Vec<String>> =
            std::sync::LazyLock::new(|| vec!["x-special-key".to_owned()]);
        &DECLARED
    }

    fn authenticate<'a>(
        &'a self,
        head: &'a RequestHead,
    ) -> BoxFuture<'a, Result<Option<Arc<Principal>>, Refusal>> {
        self.seen.phases.lock().unwrap().push(Phase::Authenticate);
        self.seen.heads.lock().unwrap().push(head.clone());
        Box::pin(async move {
            self.say(Phase::Authenticate, ()).await?;
            if self.open {
                return Ok(None);
            }
            if !knows(head) {
                return Err(Refusal::Unauthenticated {
                    challenges: vec!["Bearer realm=\"test\"".to_owned()],
                });
            }
            Ok(Some(Arc::new(Principal {
                subject: "alice".to_owned(),
                tenant: Some(TENANT.to_owned()),
                expires_at_ms: self.expires_at_ms,
                authenticated_by: "fake".to_owned(),
                ..Principal::default()
            })))
        })
    }

    fn authorize<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Constraints, Refusal>> {
        self.note(Phase::Authorize, operation);
        Box::pin(self.say(Phase::Authorize, self.constraints.clone()))
    }

    fn admit<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Admission, Refusal>> {
        self.note(Phase::RateLimit, operation);
        Box::pin(self.say(Phase::RateLimit, self.admission.clone()))
    }

    fn tag<'a>(&'a self, operation: &'a Operation) -> BoxFuture<'a, Result<Tags, Refusal>> {
        self.note(Phase::Tag, operation);
        // The principal's account, unless a plugin says another.
        let account = (!self.open).then(|| TENANT.to_owned());
        let tenant = self.tags.tenant.clone().or(account);
        Box::pin(self.say(Phase::Tag, Tags { tenant, ..self.tags.clone() }))
    }

    fn finish(&self, ended: Ended) {
        self.seen.phases.lock().unwrap().push(Phase::Log);
        self.seen.ended.send_modify(|all| all.push(ended));
    }
}

/// Whether the request carries the one key.
fn knows(head: &RequestHead) -> bool {
    let bearer = format!("Bearer {KEY}");
    head.headers.iter().any(|(name, value)| match value {
        HeaderValue::Text(secret) => name == "authorization" && secret.expose() == bearer,
        HeaderValue::NotUtf8 => false,
    })
}
