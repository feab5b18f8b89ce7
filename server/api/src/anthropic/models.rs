//! `GET /v1/models` and `GET /v1/models/{id}` for clients that send `anthropic-version`.

use jiff::Timestamp;
use mlx_gate_core::{ModelCard, Operation};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::error::{Error, clipped};
use crate::fields;
use crate::openai::{models, wire};
use crate::openapi::Description;
use crate::permission::{Authorized, Permitted};
use crate::routes::Call;

/// Models of one page, unless the client says otherwise; as in Anthropic's API.
const PAGE: usize = 20;

/// Most models of one page.
const LONGEST_PAGE: usize = 1000;

#[derive(Serialize, JsonSchema)]
struct Page<'a> {
    data: Vec<Model<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize, JsonSchema)]
struct Model<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    lifecycle: &'static str,
    max_input_tokens: u32,
}

impl<'a> From<&'a ModelCard> for Model<'a> {
    fn from(card: &'a ModelCard) -> Self {
        let created = i64::try_from(card.created).ok().and_then(|at| Timestamp::from_second(at).ok());
        Self {
            r#type: "model",
            id: &card.id,
            display_name: &card.id,
            created_at: created.unwrap_or(Timestamp::UNIX_EPOCH).to_string(),
            lifecycle: "active",
            max_input_tokens: card.context_length,
        }
    }
}

/// What `/openapi.json` says of `/v1/models`, for clients of both dialects.
pub(crate) fn describe_list() -> Description {
    let page = json!({ "type": "integer", "minimum": 1, "maximum": LONGEST_PAGE });
    let id = json!({ "type": "string" });
    Description::new("The models the caller may use")
        .answers::<models::Models<'static>>("ModelList")
        .answers::<Page<'static>>("ModelPage")
        .query("limit", page, "Models of a page; only with `anthropic-version`")
        .query("after_id", id.clone(), "The page behind this model; only with `anthropic-version`")
        .query("before_id", id, "The page before this model; only with `anthropic-version`")
}

/// What `/openapi.json` says of `/v1/models/{id}`, for clients of both dialects.
pub(crate) fn describe_one() -> Description {
    Description::new("One model")
        .answers::<models::Model<'static>>("Model")
        .answers::<Model<'static>>("AnthropicModel")
}

/// A page of the models the caller may use; the others are not there.
pub(crate) async fn list(call: Call) -> Result<Permitted, Error> {
    let query = Query::read(call.query.as_deref().unwrap_or_default())?;
    let authorized = Authorized::ask(&call, Operation::new(call.api)).await?;
    let seen = call.app.models().iter().filter(|card| authorized.allows_model(&card.id)).collect::<Vec<_>>();
    let permit = authorized.admit().await?;
    Ok(permit.answer(wire::json(&query.page(&seen)?)?))
}

/// One model.
pub(crate) async fn retrieve(call: Call) -> Result<Permitted, Error> {
    let (permit, card) = models::find(&call).await?;
    Ok(permit.answer(wire::json(&Model::from(card))?))
}

/// Which page is asked for.
#[derive(Debug, Default)]
struct Query {
    limit: Option<usize>,
    after: Option<String>,
    before: Option<String>,
}

impl Query {
    fn read(text: &str) -> Result<Self, Error> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=LONGEST_PAGE).contains(limit));
                    let problem = format_args!("expected a number from 1 to {LONGEST_PAGE}");
                    query.limit = Some(limit.ok_or_else(|| fields::invalid("limit".to_owned(), problem))?);
                }
                "after_id" => query.after = Some(value.into_owned()),
                "before_id" => query.before = Some(value.into_owned()),
                other => {
                    let problem =
                        "the models have no such parameter; there are `limit`, `after_id` and `before_id`";
                    return Err(fields::unsupported(clipped(other), problem));
                }
            }
        }
        if query.after.is_some() && query.before.is_some() {
            return Err(fields::invalid("before_id".to_owned(), "`after_id` is there too; send one of them"));
        }
        Ok(query)
    }

    fn page<'a>(&self, cards: &[&'a ModelCard]) -> Result<Page<'a>, Error> {
        let find = |name: &str, id: &str| {
            let at = cards.iter().position(|card| card.id == id);
            at.ok_or_else(|| {
                fields::invalid(name.to_owned(), format_args!("there is no model `{}`", clipped(id)))
            })
        };
        let limit = self.limit.unwrap_or(PAGE);
        let (page, has_more) = match (&self.after, &self.before) {
            (_, Some(id)) => {
                let end = find("before_id", id)?;
                let start = end.saturating_sub(limit);
                (&cards[start..end], start > 0)
            }
            (after, None) => {
                let start = after.as_ref().map_or(Ok(0), |id| find("after_id", id).map(|at| at + 1))?;
                let end = cards.len().min(start.saturating_add(limit));
                (&cards[start..end], end < cards.len())
            }
        };
        Ok(Page {
            data: page.iter().map(|card| Model::from(*card)).collect(),
            has_more,
            first_id: page.first().map(|card| card.id.as_str()),
            last_id: page.last().map(|card| card.id.as_str()),
        })
    }
}
