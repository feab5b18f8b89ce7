//! Apache's two files: users with their password hashes (`AuthUserFile`), and groups of users (`AuthGroupFile`).

use mlx_gate_plugin::{HostFile, Rejected};

use crate::hash;

/// The most roles the host takes for one caller.
const MOST_ROLES: usize = 128;

/// One line of the file.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) hash: String,
    pub(crate) roles: Vec<String>,
}

/// Reads `USER:HASH` lines, sorted by user. Fields after the hash are ignored, as Apache does.
///
/// A mistake names the line, and the user, but never repeats what stands in the hash's place: it may be a password.
pub(crate) fn users(file: &HostFile) -> Result<Vec<User>, Rejected> {
    let mut users = Vec::new();
    for (number, line) in lines(file.text()?) {
        let wrong = |what: &str| Rejected::new(format_args!("{file}, line {number}: {what}"));
        let (name, rest) = line.split_once(':').ok_or_else(|| wrong("not of the form USER:HASH"))?;
        if !is_name(name) {
            return Err(wrong("a user's name has 1 to 256 bytes and no control characters"));
        }
        let hash = rest.split(':').next().unwrap_or_default();
        hash::check(hash).map_err(|what| wrong(&format!("user `{name}`: {what}")))?;
        users.push((number, User { name: name.to_owned(), hash: hash.to_owned(), roles: Vec::new() }));
    }
    // Apache takes the first line of a name; whoever wrote the second meant it to count.
    users.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
    if let Some([(first, user), (second, _)]) =
        users.array_windows().find(|[(_, one), (_, other)]| one.name == other.name)
    {
        return Err(Rejected::new(format_args!(
            "{file}, line {second}: user `{}` is on line {first} too",
            user.name
        )));
    }
    Ok(users.into_iter().map(|(_, user)| user).collect())
}

/// Reads `GROUP: USER USER ...` lines and makes each group a role of its users. A group may be on several lines. Returns how
/// many of the users named there are not.
pub(crate) fn add_roles(users: &mut [User], file: &HostFile) -> Result<usize, Rejected> {
    let mut strangers = 0;
    for (number, line) in lines(file.text()?) {
        let wrong = |what: &str| Rejected::new(format_args!("{file}, line {number}: {what}"));
        let (group, members) =
            line.split_once(':').ok_or_else(|| wrong("not of the form GROUP: USER USER ..."))?;
        let group = group.trim();
        if !is_name(group) {
            return Err(wrong("a group's name has 1 to 256 bytes and no control characters"));
        }
        for member in members.split_whitespace() {
            if member.starts_with(['"', '\'']) {
                return Err(wrong("names in quotes are not read; rename the user to one without spaces"));
            }
            let Ok(index) = users.binary_search_by(|user| user.name.as_str().cmp(member)) else {
                strangers += 1;
                continue;
            };
            let roles = &mut users[index].roles;
            if !roles.iter().any(|role| role == group) {
                roles.push(group.to_owned());
            }
            if roles.len() > MOST_ROLES {
                return Err(wrong(&format!("user `{member}` is in more than {MOST_ROLES} groups")));
            }
        }
    }
    Ok(strangers)
}

/// What the host takes as a name.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=256).contains(&text.len()) && !text.contains(char::is_control)
}

/// Lines with their numbers, trimmed, without comments and empty ones.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}
