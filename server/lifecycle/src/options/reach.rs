use reqwest::Url;
use serde_json::Value;

use super::schema;
use crate::grants::{Granting, Origin};
use crate::{Grants, OutputTarget, Problem};

const URL: &str = "host-url";
const OUTPUT: &str = "host-output";

/// The options of a schema whose values are grants.
pub(crate) fn granting(schema: &Value) -> Granting {
    let has = |format| schema::has_format(schema, format);
    Granting { http: has(URL), output: has(OUTPUT) }
}

/// What the values of such options grant. Whoever writes down the URL of a server means the plugin to reach it.
pub(super) fn grants(config: &Value, schema: &Value) -> Result<Grants, Problem> {
    let mut grants = Grants::default();
    for (option, text) in schema::values_of_format(URL, config, schema) {
        let bad =
            |expected: &str| Problem::BadOption { option: option.clone(), expected: expected.to_owned() };
        let url = Url::parse(text).map_err(|_| bad("an absolute URL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("a URL without a user name and a password"));
        }
        grants
            .allow(Origin::of(&url).ok_or_else(|| bad("a URL that begins with https:// or http://"))?, false);
    }
    for (option, text) in schema::values_of_format(OUTPUT, config, schema) {
        let target = OutputTarget::from(text);
        let bad =
            |expected: &str| Problem::BadOption { option: option.clone(), expected: expected.to_owned() };
        if text.is_empty() {
            return Err(bad("the path of a file, or `-` for standard output"));
        }
        if grants.output.as_ref().is_some_and(|other| *other != target) {
            return Err(bad("the same as the other options that name an output: a plugin has one"));
        }
        grants.output = Some(target);
    }
    Ok(grants)
}
