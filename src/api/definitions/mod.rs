//! `/{kinds}`: definitions of every kind but jobs, by the same handlers.
//!
//! Owns: their handlers, and what the OpenAPI document says of them (`document.rs`): both are made
//! from the kind's line in `model/kind.rs`. Does not own: what a write does (`service`).
//!
//! To add a kind: docs/checklists/kind.md; nothing is written here. To add a route of one kind: a
//! file of its own beside this folder.

mod document;

use axum::Json;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;

use super::Api;
use super::body::{Nothing, Object, Patch};
use super::conditional::{Condition, etag};
use super::guard::Who;
use super::jobs::{Bare, DryRun};
use super::path::{NamePath, NameVersionPath, Path};
use super::problem::Problem;
use super::query::Query;
use super::write::Write;
use super::{answer, jobs, pages};
use crate::model::limits::PAGE_MAX;
use crate::model::{Kind, Name};
use crate::service::{DefinitionView, PutMode, WriteOptions, Written};

pub(super) use document::{paths, schemas, tags};

pub(super) fn routes() -> OpenApiRouter<Api> {
    let mut router = OpenApiRouter::new();
    for kind in Kind::plain() {
        let base = format!("/{}", kind.plural());
        router = router
            .route(&base, all_of(kind))
            .route(&format!("{base}/{{name}}"), one_of(kind))
            .route(&format!("{base}/{{name}}/versions"), versions_of(kind))
            .route(&format!("{base}/{{name}}/versions/{{version}}"), version_of(kind));
    }
    router
}

/// What of a list is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    q: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageQuery {
    limit: Option<usize>,
    cursor: Option<String>,
}

fn all_of(kind: Kind) -> MethodRouter<Api> {
    get(move |State(api), who, uri, query| list_definitions(kind, api, who, uri, query))
        .post(move |State(api), query, write| create_definition(kind, api, query, write))
}

fn one_of(kind: Kind) -> MethodRouter<Api> {
    get(move |State(api), who, path, query, headers| {
        get_definition(kind, api, who, path, query, headers)
    })
    .put(move |State(api), path, query, write| put_definition(kind, api, path, query, write))
    .patch(move |State(api), path, query, write| patch_definition(kind, api, path, query, write))
    .delete(move |State(api), path, query, write| delete_definition(kind, api, path, query, write))
}

fn versions_of(kind: Kind) -> MethodRouter<Api> {
    get(move |State(api), who, uri, path, query| list_versions(kind, api, who, uri, path, query))
}

fn version_of(kind: Kind) -> MethodRouter<Api> {
    get(move |State(api), who, path, query| get_version(kind, api, who, path, query))
}

async fn list_definitions(
    kind: Kind,
    api: Api,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Query(mut asked): Query<ListQuery>,
) -> Result<Response, Problem> {
    if asked.q.as_ref().is_some_and(|q| q.chars().count() > 256) {
        return Err(Problem::parameter("query:q", "has over 256 characters"));
    }
    // All of them where no limit is given: there are not many, and whoever read them before there
    // were pages had them all.
    let paging = pages::paging(asked.limit.or(Some(PAGE_MAX)), asked.cursor.take())?;
    let page = api.service.definitions(&caller, kind, asked.q.as_deref(), paging).await?;
    Ok(pages::page(&uri, page))
}

async fn create_definition(
    kind: Kind,
    api: Api,
    Query(asked): Query<DryRun>,
    write: Write<Object>,
) -> Result<Response, Problem> {
    let options = write.plain_options(asked.dry_run);
    let Object(map) = write.body;
    let mode = PutMode::Create;
    let written = api.service.put_definition(&write.caller, kind, map, mode, options).await?;
    Ok(written_as(kind, &written, asked.dry_run, true))
}

async fn get_definition(
    kind: Kind,
    api: Api,
    Who(caller): Who,
    Path(path): Path<NamePath>,
    Query(Bare {}): Query<Bare>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let view = api.service.definition(&caller, kind, &path.name).await?;
    let Some(version) = view.version() else { return Ok(Json(view).into_response()) };
    if Condition::if_none_match(&headers)?.names(version) {
        return Ok((StatusCode::NOT_MODIFIED, [etag(version)]).into_response());
    }
    Ok(([etag(version)], Json(view)).into_response())
}

async fn put_definition(
    kind: Kind,
    api: Api,
    Path(path): Path<NamePath>,
    Query(asked): Query<DryRun>,
    write: Write<Object>,
) -> Result<Response, Problem> {
    let options = options(kind, &api, &path.name, asked.dry_run, &write);
    let mode = write.mode()?;
    let Object(mut map) = write.body;
    jobs::name_of_path(&mut map, path.name.as_str())?;
    let written = api.service.put_definition(&write.caller, kind, map, mode, options).await;
    let written = written.map_err(|error| jobs::unmet(mode, kind.as_str(), error))?;
    let new = written.created && kind.tells_new();
    Ok(written_as(kind, &written, asked.dry_run, new))
}

async fn patch_definition(
    kind: Kind,
    api: Api,
    Path(path): Path<NamePath>,
    Query(asked): Query<DryRun>,
    write: Write<Patch>,
) -> Result<Response, Problem> {
    let options = options(kind, &api, &path.name, asked.dry_run, &write);
    let Patch(patch) = write.body;
    let service = &api.service;
    let written = service.patch_definition(&write.caller, kind, &path.name, patch, options).await?;
    Ok(written_as(kind, &written, asked.dry_run, false))
}

async fn delete_definition(
    kind: Kind,
    api: Api,
    Path(path): Path<NamePath>,
    Query(asked): Query<DryRun>,
    write: Write<Nothing>,
) -> Result<Response, Problem> {
    let options = options(kind, &api, &path.name, asked.dry_run, &write);
    let meta = api.service.delete_definition(&write.caller, kind, &path.name, options).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    answer::mark(&mut response, meta, asked.dry_run);
    Ok(response)
}

async fn list_versions(
    kind: Kind,
    api: Api,
    Who(caller): Who,
    OriginalUri(uri): OriginalUri,
    Path(path): Path<NamePath>,
    Query(asked): Query<PageQuery>,
) -> Result<Response, Problem> {
    let paging = pages::paging(asked.limit, asked.cursor)?;
    let page = api.service.definition_versions(&caller, kind, &path.name, paging).await?;
    Ok(pages::page(&uri, page))
}

async fn get_version(
    kind: Kind,
    api: Api,
    Who(caller): Who,
    Path(path): Path<NameVersionPath>,
    Query(Bare {}): Query<Bare>,
) -> Result<Response, Problem> {
    let service = &api.service;
    let version = service.definition_version(&caller, kind, &path.name, path.version).await?;
    Ok(Json(version).into_response())
}

fn options<B>(kind: Kind, api: &Api, name: &Name, dry_run: bool, write: &Write<B>) -> WriteOptions {
    let present = || api.service.definition_version_now(&write.caller, kind, name);
    write.options_by(present, dry_run)
}

/// A definition that was written: 201 with its place when it is `new`, else 200.
fn written_as(kind: Kind, written: &Written<DefinitionView>, dry_run: bool, new: bool) -> Response {
    let new = new && !dry_run;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = answer::written(status, written, dry_run);
    if let Some(version) = written.value.version() {
        let (name, tag) = etag(version);
        response.headers_mut().insert(name, tag);
    }
    if new {
        answer::located(&mut response, &format!("/{}/{}", kind.plural(), written.value.name()));
    }
    response
}
