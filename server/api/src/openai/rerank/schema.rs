//! What [`super`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;

use crate::openai::schema::OfTexts;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    query: String,
    #[schemars(length(min = 1, max = 2048))]
    documents: Vec<Document>,
    /// How many results to give; 0 is all.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    top_n: Option<u32>,
    /// Whether results repeat the text.
    return_documents: Option<bool>,
    #[schemars(flatten)]
    shared: OfTexts,
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
