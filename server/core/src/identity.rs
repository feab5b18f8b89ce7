/// Who is asking, as an authenticator plugin decided. Travels in the request's extensions, never in headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// Stable name of the caller: a key's name, a user, a JWT's `sub`.
    pub subject: String,
    /// The account the request is on.
    pub tenant: Option<String>,
    /// Roles, for authorizers.
    pub roles: Vec<String>,
    /// Scopes, for authorizers.
    pub scopes: Vec<String>,
    /// Unix time in milliseconds after which this answer no longer holds.
    pub expires_at_ms: Option<u64>,
    /// Further facts (claims), for later phases and the log.
    pub claims: Vec<(String, String)>,
    /// The plugin that vouched for the caller.
    pub authenticated_by: String,
}
