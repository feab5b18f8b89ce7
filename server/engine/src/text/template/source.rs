/// Rewrites what minijinja's parser does not know into what it does. Lines stay where they are, so that errors name the
/// right one.
///
/// * Line endings become `\n`, as in Jinja2's lexer.
/// * `{% generation %}` marks the model's own words for training; when rendering it is only a scope, like `{% with %}`.
/// * Slices with a step become method calls, because minijinja 3.0 panics on some of those that go backwards: `[][::-1]`.
pub(super) fn adapt(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let mut adapted = String::with_capacity(source.len());
    let mut rest = source.as_str();
    while let Some(start) = next_tag(rest) {
        adapted.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = match &rest[..2] {
            "{#" => rest.find("#}").map_or(rest.len(), |end| end + 2),
            tag => code_end(rest, if tag == "{%" { "%}" } else { "}}" }),
        };
        let (tag, after) = rest.split_at(end);
        rest = after;
        match tag_name(tag) {
            Some("raw") => {
                let end = raw_end(rest);
                adapted.push_str(tag);
                adapted.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            Some("generation") => adapted.push_str(&tag.replacen("generation", "with", 1)),
            Some("endgeneration") => adapted.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            _ if tag.starts_with("{#") => adapted.push_str(tag),
            _ => push_code(tag, &mut adapted),
        }
    }
    adapted.push_str(rest);
    adapted
}

fn next_tag(text: &str) -> Option<usize> {
    text.match_indices('{')
        .map(|(at, _)| at)
        .find(|at| matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')))
}

/// The name in `{% name ..`, with any whitespace marker.
fn tag_name(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix("{%")?.trim_start_matches(['-', '+']).trim_start();
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
    Some(&inner[..end])
}

/// Where a tag that starts `text` ends, quoted strings and braces inside it respected.
fn code_end(text: &str, close: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut braces) = (2, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => at = string_end(bytes, at, quote),
            _ if braces == 0 && bytes[at..].starts_with(close.as_bytes()) => return at + 2,
            b'{' => (at, braces) = (at + 1, braces + 1),
            b'}' => (at, braces) = (at + 1, braces.saturating_sub(1)),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The position behind the string literal that starts at `start`.
fn string_end(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The position behind `{% endraw %}`.
fn raw_end(text: &str) -> usize {
    let ends = text.match_indices("{%").find(|(at, _)| tag_name(&text[*at..]) == Some("endraw"));
    ends.map_or(text.len(), |(at, _)| at + code_end(&text[at..], "%}"))
}

/// Copies code, with slices that have a step rewritten: `x[a:b:c]` becomes `x.__slice__(a, b, c)`.
fn push_code(code: &str, adapted: &mut String) {
    let bytes = code.as_bytes();
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => at = string_end(bytes, at, quote),
            b'[' => {
                if let Some((parts, end)) = stepped_slice(code, at) {
                    adapted.push_str(&code[copied..at]);
                    adapted.push_str(".__slice__(");
                    for (index, part) in parts.into_iter().enumerate() {
                        adapted.push_str(if index > 0 { ", " } else { "" });
                        if part.trim().is_empty() {
                            adapted.push_str("none");
                        } else {
                            push_code(part, adapted);
                        }
                    }
                    adapted.push(')');
                    (at, copied) = (end, end);
                } else {
                    at += 1;
                }
            }
            _ => at += 1,
        }
    }
    adapted.push_str(&code[copied..]);
}

/// The three parts of the slice that opens at `open`, and the position behind it.
fn stepped_slice(code: &str, open: usize) -> Option<([&str; 3], usize)> {
    let bytes = code.as_bytes();
    let mut colons = Vec::new();
    let (mut at, mut depth) = (open + 1, 0_usize);
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'\'' | b'"') => {
                at = string_end(bytes, at, quote);
                continue;
            }
            b'[' | b'(' | b'{' => depth += 1,
            b']' if depth == 0 => {
                let [first, second] = colons[..] else { return None };
                return Some((
                    [&code[open + 1..first], &code[first + 1..second], &code[second + 1..at]],
                    at + 1,
                ));
            }
            b']' | b')' | b'}' => depth = depth.checked_sub(1)?,
            b':' if depth == 0 => colons.push(at),
            _ => {}
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::adapt;

    fn check(source: &str, adapted: &str) {
        assert_eq!(adapt(source), adapted, "{source}");
    }

    #[test]
    fn generation_blocks_become_scopes_with_their_whitespace_markers() {
        check("{%- generation -%}a{%+ endgeneration %}", "{%- with -%}a{%+ endwith %}");
        check("generation {{ generation }}", "generation {{ generation }}");
    }

    #[test]
    fn strings_comments_and_raw_blocks_are_left_alone() {
        check("{{ '[::-1] %} \\'' }}{{ x[1:] }}", "{{ '[::-1] %} \\'' }}{{ x[1:] }}");
        check("{# {% generation %} #}", "{# {% generation %} #}");
        check(
            "{% raw %}{% generation %}{%- endraw %}{% generation %}",
            "{% raw %}{% generation %}{%- endraw %}{% with %}",
        );
        check("{{ {'a': {'b': 1}} }}{% generation %}", "{{ {'a': {'b': 1}} }}{% with %}");
    }

    #[test]
    fn slices_with_a_step_become_calls() {
        check("{{ x[::-1] }}", "{{ x.__slice__(none, none, -1) }}");
        check(
            "{{ x[y[::2][0]:a[1:2]:{'k:': 1}['k:']] }}",
            "{{ x.__slice__(y.__slice__(none, none, 2)[0], a[1:2], {'k:': 1}['k:']) }}",
        );
        check(
            "{% for m in [{'a': 1}, {'b': [1][1:]}] %}[::1]",
            "{% for m in [{'a': 1}, {'b': [1][1:]}] %}[::1]",
        );
    }

    #[test]
    fn broken_sources_come_through_for_the_compiler_to_complain() {
        for source in ["{% gen", "{{ 'abc", "{#", "{% raw %}x", "{", "{{ 'a\\", "{{ x[::", "{{ x[:)] }}"] {
            check(source, source);
        }
    }
}
