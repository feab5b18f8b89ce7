//! Whether a verdict is the one that was expected. An expectation says what matters: of an object, the members it names.

use serde_json::Value;

/// How a phase failed: a text that only has to hold the one expected.
pub(super) const FAILURE: &str = "failure";

/// What is different, a line for each place.
pub(super) fn differences(place: &str, expected: &Value, found: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare(place, expected, found, &mut lines);
    lines
}

fn compare(place: &str, expected: &Value, found: &Value, lines: &mut Vec<String>) {
    match (expected, found) {
        (Value::Object(expected), Value::Object(members)) => {
            for (name, expected) in expected {
                let place = format!("{place}.{name}");
                match (members.get(name).unwrap_or(&Value::Null), expected) {
                    (Value::String(found), Value::String(part))
                        if name == FAILURE && found.contains(part) => {}
                    (Value::Null, expected) if !expected.is_null() => {
                        lines.push(format!("{place}: expected {expected}, found {found}"));
                    }
                    (found, expected) => compare(&place, expected, found, lines),
                }
            }
        }
        (Value::Array(expected), Value::Array(entries)) if expected.len() == entries.len() => {
            for (index, (expected, found)) in expected.iter().zip(entries).enumerate() {
                compare(&format!("{place}[{index}]"), expected, found, lines);
            }
        }
        _ if expected == found => {}
        _ => lines.push(format!("{place}: expected {expected}, found {found}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::differences;

    #[test]
    fn only_what_is_named_is_compared() {
        let found = json!({"deny": {"status": 401, "code": "no", "headers": {"a": "1"}, "challenge": null}});
        for (expected, difference) in [
            (json!({"deny": {}}), None),
            (json!({"deny": {"status": 401, "headers": {"a": "1"}}}), None),
            (json!({"deny": {"challenge": null}}), None),
            (json!({"deny": {"status": 403}}), Some("x.deny.status: expected 403, found 401")),
            (
                json!({"deny": {"headers": {"b": "1"}}}),
                Some("x.deny.headers.b: expected \"1\", found {\"a\":\"1\"}"),
            ),
            (json!({"allow": {}}), Some("x.allow: expected {}, found {\"deny\"")),
            (json!("abstain"), Some("x: expected \"abstain\", found {\"deny\"")),
        ] {
            let lines = differences("x", &expected, &found);
            match difference {
                None => assert!(lines.is_empty(), "{expected}: {lines:?}"),
                Some(text) => {
                    assert!(lines.len() == 1 && lines[0].starts_with(text), "{expected}: {lines:?}");
                }
            }
        }
    }

    #[test]
    fn lists_are_compared_whole_and_failures_in_part() {
        assert!(differences("x", &json!(["a", "b"]), &json!(["a", "b"])).is_empty());
        assert_eq!(differences("x", &json!(["a"]), &json!(["a", "b"])).len(), 1);
        assert_eq!(
            differences("x", &json!(["a", "c"]), &json!(["a", "b"])),
            ["x[1]: expected \"c\", found \"b\""]
        );
        let found = json!({"failure": "did not return within 250 ms"});
        assert!(differences("x", &json!({"failure": "250 ms"}), &found).is_empty());
        assert_eq!(differences("x", &json!({"failure": "memory"}), &found).len(), 1);
    }
}
