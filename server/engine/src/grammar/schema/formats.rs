use serde_json::{Map, Value, json};

/// What llguidance's regular expressions for formats leave out: the length of the whole and of its parts, and days that
/// only leap years have. Texts of these formats have to match the pattern too, and be no longer.
const CLOSER: [(&str, &str, Option<u32>); 5] = [
    ("date", DATE, None),
    // RFC 3339 allows a leap second only at the end of a day in UTC. Clocks do without.
    ("time", r"^..:..:[0-5]", None),
    ("date-time", DATE_TIME, None),
    // RFC 1035, section 2.3.4.
    ("hostname", "", Some(253)),
    // RFC 5321, section 4.5.3.1, its erratum 1690, and RFC 1035.
    ("email", r"^[^@]{1,64}@(?:\[|[^.@]{1,63}(?:\.[^.@]{1,63})*$)", Some(254)),
];

const DATE: &str = r"^(?:[0-9]{4}-(?:0[13-9]|1|02-(?:[01]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)";

const DATE_TIME: &str = r"^(?:[0-9]{4}-(?:0[13-9]|1|02-(?:[01]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29).*[tT]..:..:[0-5]";

/// Adds to the `format` of a schema what llguidance does not look at.
pub(super) fn tighten(schema: &mut Map<String, Value>) {
    let format = schema.get("format").and_then(Value::as_str);
    let Some((_, pattern, length)) = CLOSER.iter().find(|(name, ..)| Some(*name) == format) else { return };
    let mut closer = Map::from_iter([("pattern".to_owned(), Value::from(*pattern))]);
    closer.extend(length.map(|length| ("maxLength".to_owned(), length.into())));
    // Without it, the text would be one of every type there is, which is as right but costs more.
    closer.extend(schema.get("type").map(|kind| ("type".to_owned(), kind.clone())));
    match schema.get_mut("allOf").and_then(Value::as_array_mut) {
        Some(all) => all.push(closer.into()),
        None => {
            schema.insert("allOf".to_owned(), json!([closer]));
        }
    }
}
