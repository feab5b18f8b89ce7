//! What [`super`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    /// A served name. Left out, it is the first model.
    #[schemars(length(max = 512))]
    model: Option<String>,
    query: String,
    #[schemars(length(min = 1, max = 2048))]
    documents: Vec<Document>,
    /// How many results to give; 0 is all.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    top_n: Option<u32>,
    /// Whether results repeat the text.
    return_documents: Option<bool>,
    /// Longer texts are cut to so many tokens; -1 is what the model can read.
    #[schemars(range(min = -1, max = 4_294_967_295_u32), extend("not" = { "const": 0 }))]
    truncate_prompt_tokens: Option<i64>,
    /// Whom the client asks for.
    #[schemars(length(max = 256))]
    user: Option<String>,
    #[schemars(length(max = 256))]
    safety_identifier: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Document {
    Text(String),
    Object(WithText),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct WithText {
    text: String,
}
