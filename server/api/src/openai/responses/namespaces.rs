//! Functions that stand in a namespace (`{"type": "namespace", "name", "description", "tools"}`), as agents declare them.
//!
//! Chat templates know no namespaces. The model sees such a function as `NAMESPACE__NAME`, as MCP clients have always spelled
//! theirs; the client gets name and namespace apart, as it sent them.

use std::collections::HashMap;
use std::sync::Arc;

/// The namespaced functions of a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Namespaces(Arc<HashMap<String, Split>>);

/// A function's name as the client wrote it.
#[derive(Debug, Clone, PartialEq)]
struct Split {
    namespace: String,
    name: String,
}

/// How the model sees a function's name.
pub(super) fn spelled(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"))
}

impl Namespaces {
    pub(super) fn insert(&mut self, namespace: &str, name: &str) {
        let split = Split { namespace: namespace.to_owned(), name: name.to_owned() };
        Arc::make_mut(&mut self.0).insert(spelled(Some(namespace), name), split);
    }

    /// Namespace and name of what the model called.
    pub(super) fn split(&self, called: String) -> (Option<String>, String) {
        match self.0.get(&called) {
            Some(Split { namespace, name }) => (Some(namespace.clone()), name.clone()),
            None => (None, called),
        }
    }
}
