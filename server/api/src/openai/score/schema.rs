//! What [`super`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;

use crate::openai::schema::OfTexts;

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Request {
    NumberedTexts(NumberedTexts),
    OfDocuments(OfDocuments),
    OfItems(OfItems),
    Numbered(Numbered),
}

/// One text, or several: one with all, or as many on both sides.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum Side {
    One(String),
    Several(#[schemars(length(min = 1, max = 2048))] Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct NumberedTexts {
    text_1: Side,
    text_2: Side,
    #[schemars(flatten)]
    shared: OfTexts,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OfDocuments {
    queries: Side,
    documents: Side,
    #[schemars(flatten)]
    shared: OfTexts,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct OfItems {
    queries: Side,
    items: Side,
    #[schemars(flatten)]
    shared: OfTexts,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Numbered {
    data_1: Side,
    data_2: Side,
    #[schemars(flatten)]
    shared: OfTexts,
}
