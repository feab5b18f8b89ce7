//! The one table of routes. Whatever is in it is behind the gate, because the router is built from it and wrapped as a
//! whole.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, MatchedPath, RawPathParams, Request};
use axum::http::{HeaderMap, Method};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use axum::{RequestExt, Router};
use mlx_gate_core::{Api, BoxFuture, Dialect, EngineError, ModelCard, Passage};

use crate::deadline::Deadline;
use crate::error::{Error, clipped};
use crate::gate::Entered;
use crate::log::Record;
use crate::observe::Context;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::{App, anthropic, browsers, compression, gate, health, observe, openai, openapi};

/// One entry of the table.
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// `None` is that of whoever asks.
    pub(crate) dialect: Option<Dialect>,
    pub(crate) api: Api,
    handler: Handler,
    /// What `/openapi.json` says of it.
    pub(crate) describe: fn() -> Description,
}

/// The type sees to it that no handler answers without the gate's leave: only a permit makes a [`Permitted`].
type Handler = fn(Call, Body) -> BoxFuture<'static, Result<Permitted, Error>>;

/// Everything the server does for a caller.
pub(crate) static ROUTES: [Route; 16] = [
    Route {
        method: Method::POST,
        path: "/v1/chat/completions",
        dialect: Some(Dialect::OpenAi),
        api: Api::Chat,
        handler: |call, body| Box::pin(openai::chat::create(call, body)),
        describe: openai::chat::describe,
    },
    Route {
        method: Method::POST,
        path: "/v1/completions",
        dialect: Some(Dialect::OpenAi),
        api: Api::Completion,
        handler: |call, body| Box::pin(openai::completions::create(call, body)),
        describe: openai::completions::describe,
    },
    Route {
        method: Method::POST,
        path: "/v1/responses",
        dialect: Some(Dialect::OpenAi),
        api: Api::Response,
        handler: |call, body| Box::pin(openai::responses::create(call, body)),
        describe: openai::responses::describe,
    },
    Route {
        method: Method::POST,
        path: "/v1/messages",
        dialect: Some(Dialect::Anthropic),
        api: Api::Message,
        handler: |call, body| Box::pin(anthropic::messages::create(call, body)),
        describe: anthropic::messages::describe,
    },
    Route {
        method: Method::POST,
        path: "/v1/messages/count_tokens",
        dialect: Some(Dialect::Anthropic),
        api: Api::CountTokens,
        handler: |call, body| Box::pin(anthropic::count_tokens::count(call, body)),
        describe: anthropic::count_tokens::describe,
    },
    Route {
        method: Method::GET,
        path: "/v1/models",
        dialect: None,
        api: Api::Models,
        handler: |call, _| match call.dialect {
            Dialect::Anthropic => Box::pin(anthropic::models::list(call)),
            Dialect::OpenAi | Dialect::Admin => Box::pin(openai::models::list(call)),
        },
        describe: anthropic::models::describe_list,
    },
    Route {
        method: Method::GET,
        // Model ids contain slashes.
        path: "/v1/models/{*id}",
        dialect: None,
        api: Api::Models,
        handler: |call, _| match call.dialect {
            Dialect::Anthropic => Box::pin(anthropic::models::retrieve(call)),
            Dialect::OpenAi | Dialect::Admin => Box::pin(openai::models::retrieve(call)),
        },
        describe: anthropic::models::describe_one,
    },
    Route {
        method: Method::POST,
        path: "/tokenize",
        dialect: Some(Dialect::OpenAi),
        api: Api::Tokenize,
        handler: |call, body| Box::pin(openai::tokenize::tokenize(call, body)),
        describe: openai::tokenize::describe,
    },
    Route {
        method: Method::POST,
        path: "/detokenize",
        dialect: Some(Dialect::OpenAi),
        api: Api::Tokenize,
        handler: |call, body| Box::pin(openai::tokenize::detokenize(call, body)),
        describe: openai::tokenize::describe_detokenize,
    },
    Route {
        method: Method::GET,
        path: "/openapi.json",
        dialect: None,
        // Like the models: what is served here, and nothing of it used.
        api: Api::Models,
        handler: |call, _| Box::pin(openapi::get(call)),
        describe: openapi::describe,
    },
    Route {
        method: Method::POST,
        path: "/v1/embeddings",
        dialect: Some(Dialect::OpenAi),
        api: Api::Embedding,
        handler: |call, body| Box::pin(openai::embeddings::create(call, body)),
        describe: openai::embeddings::describe,
    },
    rerank("/v1/rerank"),
    rerank("/v2/rerank"),
    rerank("/rerank"),
    score("/v1/score"),
    score("/score"),
];

/// One of the paths under which clients of Cohere, Jina and vLLM look for it.
const fn rerank(path: &'static str) -> Route {
    Route {
        method: Method::POST,
        path,
        dialect: Some(Dialect::OpenAi),
        api: Api::Rerank,
        handler: |call, body| Box::pin(openai::rerank::create(call, body)),
        describe: openai::rerank::describe,
    }
}

/// One of the paths that vLLM has it under.
const fn score(path: &'static str) -> Route {
    Route {
        method: Method::POST,
        path,
        dialect: Some(Dialect::OpenAi),
        api: Api::Score,
        handler: |call, body| Box::pin(openai::score::create(call, body)),
        describe: openai::score::describe,
    }
}

/// Header in which Anthropic's clients name the version of the API they speak.
const ANTHROPIC_VERSION: &str = "anthropic-version";

/// What a handler gets to see: a request that passed the gate, without its credentials.
pub(crate) struct Call {
    pub(crate) app: App,
    /// The request's id.
    pub(crate) id: String,
    pub(crate) api: Api,
    /// In which the request is answered.
    pub(crate) dialect: Dialect,
    pub(crate) passage: Arc<dyn Passage>,
    /// The part of the path a route leaves open, percent-decoded.
    pub(crate) path_tail: Option<String>,
    /// What follows the `?` of the address, as it was sent.
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) record: Record,
    /// When the answer has to have ended.
    pub(crate) deadline: Deadline,
}

impl Call {
    /// The card of the model a request names, or of the first one.
    pub(crate) fn find_model(&self, name: Option<&str>) -> Result<&ModelCard, Error> {
        let models = self.app.models();
        let found = match name {
            Some(name) => models.iter().find(|card| card.id == name),
            None => models.first(),
        };
        found.ok_or_else(|| EngineError::UnknownModel(clipped(name.unwrap_or_default())).into())
    }
}

/// Builds the router: the table, wrapped by the gate, wrapped by the observer; `/health` and `/ready` beside them.
pub(crate) fn router(app: &App) -> Router {
    let mut gated = Router::new();
    for route in &ROUTES {
        // Fails for extension methods only, and the table has none; the test that calls every route would see one.
        let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
        gated =
            gated.route(route.path, on(filter, move |context, request| dispatch(route, context, request)));
    }
    let gated = gated
        .fallback(async |Extension(context)| refuse(&context, Error::UnknownRoute))
        .method_not_allowed_fallback(async |Extension(context)| refuse(&context, Error::MethodNotAllowed))
        .layer(from_fn_with_state(app.clone(), gate::guard))
        .layer(from_fn_with_state(app.clone(), observe::observe));

    // Only GET (and with it HEAD) of these two is open: any other method falls through to the gate.
    let router =
        health::routes(&gated).fallback_service(gated).with_state(app.clone()).layer(compression::layer());
    browsers::around(router, app.config())
}

/// The table's entry for a request that the router matched, by path alone: all methods of a path share a dialect.
pub(crate) fn of(request: &Request) -> Option<&'static Route> {
    let matched = request.extensions().get::<MatchedPath>()?;
    let mut candidates = ROUTES.iter().filter(|route| route.path == matched.as_str());
    candidates.clone().find(|route| route.method == request.method()).or_else(|| candidates.next())
}

/// The dialect in which a request is answered: its route's, or where routes of several families share a path, or there is
/// none, that of the client. Anthropic's clients say so in every request.
pub(crate) fn dialect(route: Option<&Route>, headers: &HeaderMap) -> Dialect {
    let of_client =
        || if headers.contains_key(ANTHROPIC_VERSION) { Dialect::Anthropic } else { Dialect::OpenAi };
    route.and_then(|route| route.dialect).unwrap_or_else(of_client)
}

async fn dispatch(
    route: &'static Route,
    Extension(context): Extension<Context>,
    mut request: Request,
) -> Response {
    let path_tail = request
        .extract_parts::<RawPathParams>()
        .await
        .ok()
        .and_then(|params| params.iter().next().map(|(_, value)| value.to_owned()));
    let (mut parts, body) = request.into_parts();
    let Some(Entered { passage, deadline }) = parts.extensions.remove::<Entered>() else {
        // The router puts the gate around every route of the table, so this is a mistake of ours, and no open door.
        let error = EngineError::Internal("a request came past the gate".to_owned());
        return Error::from(error).into_response(context.dialect, &context.record);
    };
    let call = Call {
        app: context.app,
        id: context.id,
        api: route.api,
        dialect: context.dialect,
        passage,
        path_tail,
        query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        record: context.record.clone(),
        deadline,
    };
    match (route.handler)(call, body).await {
        Ok(permitted) => permitted.into_response(),
        Err(error) => error.into_response(context.dialect, &context.record),
    }
}

fn refuse(context: &Context, error: Error) -> Response {
    error.into_response(context.dialect, &context.record)
}
