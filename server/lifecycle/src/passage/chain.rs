//! How several plugins decide together.

use std::sync::Arc;
use std::time::Duration;

use mlx_gate_core::{
    Admission, Constraints, HeaderValue, Operation, Phase, Principal, Refusal, RequestHead, Tags,
};

use super::{Request, denied};
use crate::Failure;
use crate::answer::{self, Authentication, Authorization, TagSet};
use crate::guest::{Admit, Authenticate, Authorize, Tag};
use crate::journal::Reserved;

impl Request {
    /// The first plugin that allows or denies decides. Whatever else happens, nobody passes.
    pub(super) async fn authenticate(&self, head: &RequestHead) -> Result<Option<Arc<Principal>>, Refusal> {
        const PHASE: Phase = Phase::Authenticate;
        self.id.get_or_init(|| head.id.as_str().into());
        if !self.generation.has(PHASE) {
            return Ok(None);
        }
        if let Some(message) = ambiguity(head, &self.generation.credential_headers) {
            return Err(Refusal::AmbiguousCredentials { message });
        }
        let mut challenges = Vec::new();
        for (place, plugin) in self.generation.chain(PHASE) {
            let call = Authenticate { head, description: plugin.description() };
            let remembered = plugin
                .decisions()
                .and_then(|known| Some((known, known.key(call.credentials(), call.headers())?)));
            if let Some(principal) = remembered.as_ref().and_then(|(known, key)| known.get(key)) {
                self.journal.count_remembered();
                return Ok(Some(self.principal.get_or_init(|| principal).clone()));
            }
            match self.ask(place, plugin, &call).await {
                Ok(Authentication::Abstain(challenge)) => challenges.extend(challenge),
                Ok(Authentication::Allow(grant)) => {
                    let principal = Arc::new(grant.principal);
                    if let Some(((known, key), hold)) = remembered.zip(grant.cache_for_ms) {
                        known.insert(key, &principal, Duration::from_millis(hold));
                    }
                    return Ok(Some(self.principal.get_or_init(|| principal).clone()));
                }
                Ok(Authentication::Deny(denial)) => return Err(denied(plugin, PHASE, denial)),
                Err(failure) => return Err(self.unavailable(plugin, PHASE, &failure)),
            }
        }
        Err(Refusal::Unauthenticated { challenges })
    }

    /// All are asked; any that denies refuses, and at least one has to allow. What they allow is what all of them allow.
    pub(super) async fn authorize(&self, operation: &Operation) -> Result<Constraints, Refusal> {
        const PHASE: Phase = Phase::Authorize;
        let mut constraints = Constraints::default();
        if !self.generation.has(PHASE) {
            return Ok(constraints);
        }
        let mut is_allowed = false;
        for (place, plugin) in self.generation.chain(PHASE) {
            let call = Authorize { principal: self.principal.get().map(Arc::as_ref), operation };
            let narrowed = match self.ask(place, plugin, &call).await {
                Ok(Authorization::NoOpinion) => Ok(()),
                Ok(Authorization::Allow(given)) => {
                    is_allowed = true;
                    narrow(&mut constraints, given)
                }
                Ok(Authorization::Deny(denial)) => return Err(denied(plugin, PHASE, denial)),
                Err(failure) => Err(failure),
            };
            narrowed.map_err(|failure| self.unavailable(plugin, PHASE, &failure))?;
        }
        if is_allowed { Ok(constraints) } else { Err(Refusal::NotAllowed) }
    }

    /// All have to let it pass. Where one does not, what those before it reserved is given back.
    pub(super) async fn admit(&self, operation: &Arc<Operation>) -> Result<Admission, Refusal> {
        const PHASE: Phase = Phase::RateLimit;
        let mut admission = Admission::default();
        for (place, plugin) in self.generation.chain(PHASE) {
            // Nobody waits for the answer any more, and this only got to the end of a call that had begun.
            if self.progress().ended {
                break;
            }
            let call = Admit { principal: self.principal.get().map(Arc::as_ref), operation };
            let answer = if self.journal.is_behind() {
                Err(Failure::Behind)
            } else {
                self.ask(place, plugin, &call).await
            };
            if let Ok(answer::Admission::Reserve(reservation)) = &answer {
                let (plugin, operation) = (plugin.clone(), operation.clone());
                self.reserve(Reserved { plugin, operation, ticket: reservation.ticket, instance: None });
            }
            let refusal = match answer.and_then(answer::Admission::checked) {
                Ok(answer::Admission::Pass) => continue,
                Ok(answer::Admission::Reserve(reservation)) => {
                    put_over(&mut admission.headers, reservation.headers);
                    continue;
                }
                Ok(answer::Admission::Deny(denial)) => denied(plugin, PHASE, denial),
                Err(failure) => self.unavailable(plugin, PHASE, &failure),
            };
            self.give_back();
            return Err(refusal);
        }
        Ok(admission)
    }

    /// What later plugins say goes over what earlier ones said. The account is the principal's until one says another.
    pub(super) async fn tag(&self, operation: &Operation) -> Result<Tags, Refusal> {
        const PHASE: Phase = Phase::Tag;
        let principal = self.principal.get().map(Arc::as_ref);
        let tenant = principal.and_then(|principal| principal.tenant.clone());
        let mut tags = Tags { tenant, ..Tags::default() };
        for (place, plugin) in self.generation.chain(PHASE) {
            let call = Tag { principal, operation };
            match self.ask(place, plugin, &call).await {
                Ok(given) => merge(&mut tags, given),
                Err(failure) => return Err(self.unavailable(plugin, PHASE, &failure)),
            }
        }
        if self.generation.has(Phase::Log) {
            self.progress().tags = Some(tags.clone());
        }
        Ok(tags)
    }
}

/// Two values of one credential header, or one that is not text, mean different things to different readers, and a plugin
/// should not have to choose.
fn ambiguity(head: &RequestHead, credential_headers: &[String]) -> Option<String> {
    credential_headers.iter().find_map(|name| {
        let mut values = head.headers.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (Some(_), Some(_)) => Some(format!("the header `{name}` is given more than once")),
            (Some(HeaderValue::NotUtf8), None) => Some(format!("the header `{name}` is not valid UTF-8")),
            _ => None,
        }
    })
}

/// Takes away what one more authorizer does not allow. Two that would serve different models cannot both be right.
fn narrow(constraints: &mut Constraints, given: Constraints) -> Result<(), Failure> {
    let Constraints { max_output_tokens, model, models, adapters } = given;
    constraints.max_output_tokens =
        [constraints.max_output_tokens, max_output_tokens].into_iter().flatten().min();
    match (&constraints.model, model) {
        (Some(before), Some(now)) if *before != now => {
            let wrong = format!("the model `{now}`, where an authorizer before it answered `{before}`");
            return Err(Failure::Answer(wrong));
        }
        (None, Some(now)) => constraints.model = Some(now),
        _ => {}
    }
    constraints.models.extend(models);
    constraints.adapters = match (constraints.adapters.take(), adapters) {
        (Some(before), Some(now)) => Some(before.into_iter().filter(|name| now.contains(name)).collect()),
        (before, now) => before.or(now),
    };
    Ok(())
}

fn merge(tags: &mut Tags, given: TagSet) {
    let TagSet { tenant, priority, weight, adapter, cache_scope, labels, upstream_headers } = given;
    tags.tenant = tenant.or(tags.tenant.take());
    tags.priority = priority.unwrap_or(tags.priority);
    tags.weight = weight.unwrap_or(tags.weight);
    tags.adapter = adapter.or(tags.adapter.take());
    tags.cache_scope = cache_scope.or(tags.cache_scope.take());
    put_over(&mut tags.labels, labels);
    put_over(&mut tags.upstream_headers, upstream_headers);
}

/// Adds pairs. One whose name is there already takes its place.
fn put_over(pairs: &mut Vec<(String, String)>, given: Vec<(String, String)>) {
    for (name, value) in given {
        match pairs.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => pairs.push((name, value)),
        }
    }
}
