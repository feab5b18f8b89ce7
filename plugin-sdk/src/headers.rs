//! Names of headers that a plugin may set. The host checks them in every answer and takes one that breaks the rule for a
//! failure; a plugin whose configuration names headers can say so before a request comes.

/// The rule, from where the host has it.
const RESERVED: &str = include_str!("../../wit/0.1.0/reserved-headers.txt");

/// Whether this may be the name of a header on a response. The error is for whoever wrote it down.
pub fn check_response(name: &str) -> Result<(), &'static str> {
    check(name, "response")
}

/// Whether this may be the name of one of the [`upstream_headers`](crate::Tags::upstream_headers). The error is for whoever
/// wrote it down.
pub fn check_upstream(name: &str) -> Result<(), &'static str> {
    check(name, "upstream")
}

fn check(name: &str, wanted: &str) -> Result<(), &'static str> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
        return Err("a header's name has 1 to 64 lower case letters, digits and `-`");
    }
    let is_this = |reserved: &str| match reserved.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == reserved,
    };
    let mut reserved = RESERVED.lines().filter_map(|line| line.split_once(' '));
    if reserved.any(|(direction, name)| (direction == "any" || direction == wanted) && is_this(name)) {
        return Err("this header is the server's own to set");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{check_response, check_upstream};

    #[test]
    fn what_the_server_sets_itself_is_not_a_plugins() {
        for (name, response, upstream) in [
            ("x-ratelimit-limit-requests", true, true),
            ("x-tenant-id", true, true),
            ("x-priority", true, true),
            ("x-tenant", true, false),
            ("authorization", true, false),
            ("x-forwarded-anything", true, false),
            ("x-forwarded", true, true),
            ("set-cookie", false, true),
            ("retry-after", false, true),
            ("content-length", false, false),
            ("x-request-id", false, false),
            ("X-Team", false, false),
            ("x team", false, false),
            ("", false, false),
        ] {
            assert_eq!(check_response(name).is_ok(), response, "{name}");
            assert_eq!(check_upstream(name).is_ok(), upstream, "{name}");
        }
    }
}
