//! Schemas made at random, of every keyword that answers are held to. Whole-server tests use them too.

use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use serde_json::{Map, Value, json};

/// Judges answers, formats included.
pub(crate) fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options().should_validate_formats(true).build(schema).expect("a schema")
}

/// The schema of this seed, with definitions that it refers to. It nests no deeper than `depth`.
pub(crate) fn schema(seed: u64, depth: u32) -> Value {
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let mut root = object(&mut random, depth);
    let keywords = root.as_object_mut().expect("an object");
    keywords.insert("$defs".to_owned(), json!({ "leaf": leaf(&mut random), "tree": tree(&mut random) }));
    root
}

fn any(random: &mut ChaCha12Rng, depth: u32) -> Value {
    if depth == 0 {
        return leaf(random);
    }
    match random.random_range(0..10) {
        0..=2 => object(random, depth - 1),
        3..=4 => array(random, depth - 1),
        5 => json!({ "anyOf": [any(random, depth - 1), any(random, depth - 1)] }),
        6 => json!({ "$ref": (["#/$defs/leaf", "#/$defs/tree"].choose(random)) }),
        7 => json!({ "anyOf": [any(random, depth - 1), { "type": "null" }] }),
        _ => leaf(random),
    }
}

fn leaf(random: &mut ChaCha12Rng) -> Value {
    match random.random_range(0..14) {
        0 => json!({ "type": "boolean" }),
        1 => json!({ "type": "null" }),
        2 => json!({ "const": constant(random) }),
        3 => json!({ "enum": (0..3).map(|_| constant(random)).collect::<Vec<_>>() }),
        4 => json!({ "type": ["string", "null"], "maxLength": 5 }),
        5 | 6 => integer(random),
        7 | 8 => number(random),
        9 => {
            let patterns = ["^[a-z]{1,8}$", "^(?:\\d{3}-)?\\d{4}$", "^[A-Z][a-z]*[0-9]?$", "ab+c"];
            json!({ "type": "string", "pattern": patterns.choose(random) })
        }
        10 => {
            let formats =
                ["date", "time", "date-time", "uuid", "ipv4", "ipv6", "email", "hostname", "duration"];
            json!({ "type": "string", "format": formats.choose(random) })
        }
        11 => {
            let least = random.random_range(0..4);
            json!({ "type": "string", "minLength": least, "maxLength": least + random.random_range(0..12) })
        }
        _ => json!({ "type": "string", "maxLength": 20 }),
    }
}

fn constant(random: &mut ChaCha12Rng) -> Value {
    [
        json!("Zürich \"\\ 🦀\n"),
        json!(""),
        json!(42),
        json!(-1.5),
        json!(null),
        json!(true),
        json!([1, "a"]),
        json!({ "a": { "b": [] } }),
    ]
    .choose(random)
    .cloned()
    .unwrap_or_default()
}

fn integer(random: &mut ChaCha12Rng) -> Value {
    let least = random.random_range(-1_000..1_000);
    let most = least + random.random_range(10..10_000);
    match random.random_range(0..5) {
        0 => json!({ "type": "integer" }),
        1 => json!({ "type": "integer", "minimum": least }),
        2 => json!({ "type": "integer", "minimum": least, "maximum": most }),
        3 => json!({ "type": "integer", "exclusiveMinimum": least, "exclusiveMaximum": most }),
        _ => json!({ "type": "integer", "minimum": least, "maximum": most, "multipleOf": 5 }),
    }
}

fn number(random: &mut ChaCha12Rng) -> Value {
    let least = f64::from(random.random_range(-100_000..100_000)) / 100.0;
    let most = least + f64::from(random.random_range(1..100_000)) / 100.0;
    match random.random_range(0..4) {
        0 => json!({ "type": "number" }),
        1 => json!({ "type": "number", "maximum": most }),
        2 => json!({ "type": "number", "minimum": least, "maximum": most }),
        _ => json!({ "type": "number", "exclusiveMinimum": least, "exclusiveMaximum": most }),
    }
}

fn array(random: &mut ChaCha12Rng, depth: u32) -> Value {
    let least = random.random_range(0..3);
    let most = least + random.random_range(0..3);
    let items = any(random, depth);
    match random.random_range(0..4) {
        0 => json!({ "type": "array", "items": items, "maxItems": 3 }),
        1 => {
            json!({ "type": "array", "prefixItems": [any(random, depth), items], "items": false, "minItems": 1 })
        }
        _ => json!({ "type": "array", "items": items, "minItems": least, "maxItems": most }),
    }
}

fn object(random: &mut ChaCha12Rng, depth: u32) -> Value {
    let names = ["name", "id", "a b", "größe", "quote\"d", "x", "y", "tags"];
    let count = random.random_range(0..5);
    let properties: Map<String, Value> =
        names.choose_multiple(random, count).map(|name| ((*name).to_owned(), any(random, depth))).collect();
    let required: Vec<&String> = properties.keys().filter(|_| random.random_bool(0.7)).collect();
    let mut object = json!({ "type": "object", "properties": properties, "required": required });
    let additional = match random.random_range(0..5) {
        0 => json!({ "type": "integer", "minimum": 0, "maximum": 9 }),
        1 => json!({ "type": "string", "maxLength": 3 }),
        _ => json!(false),
    };
    object["additionalProperties"] = additional;
    object
}

/// A schema that refers to itself.
fn tree(random: &mut ChaCha12Rng) -> Value {
    json!({
        "type": "object",
        "properties": { "value": leaf(random), "next": { "$ref": "#/$defs/tree" } },
        "required": ["value"],
        "additionalProperties": false,
    })
}
