//! Lists in pages: `{items, next_cursor}` and `Link: <…>; rel="next"`.

use axum::Json;
use axum::http::header::LINK;
use axum::http::{HeaderValue, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::problem::Problem;
use crate::model::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::model::{AuditRecord, LedgerRow, Run};
use crate::service::{
    BackfillView, ComingFire, IncidentView, JobView, NoticeView, Page, Paging, TaskView,
    VersionView,
};

/// Declares the schema of a page. A generic one would be inlined at every use.
macro_rules! pages {
    ($($(#[$meta:meta])* $name:ident of $item:ty;)*) => {
        $($(#[$meta])*
        #[derive(utoipa::ToSchema)]
        #[allow(dead_code, reason = "a schema, never a value")]
        pub(super) struct $name {
            /// In the order of the list.
            items: Vec<$item>,
            /// For the page after; null: this is the last.
            #[schema(required)]
            next_cursor: Option<String>,
        })*
    };
}

pages! {
    /// Jobs.
    JobPage of JobView;
    /// Runs.
    RunPage of Run;
    /// Tasks of a workflow's run.
    TaskPage of TaskView;
    /// Versions of a definition, newest first.
    VersionPage of VersionView;
    /// Rows of a ledger, newest first.
    LedgerPage of LedgerRow;
    /// Fires to come, the nearest first.
    FirePage of ComingFire;
    /// Backfills, newest first.
    BackfillPage of BackfillView;
    /// Audit records, newest first.
    AuditPage of AuditRecord;
    /// Incidents, newest first.
    IncidentPage of IncidentView;
    /// Notices: those that wait in their order, those that are over newest first.
    NoticePage of NoticeView;
}

/// What of a list is wanted; faults name the parameter.
pub(super) fn paging(limit: Option<usize>, cursor: Option<String>) -> Result<Paging, Problem> {
    let limit = limit.unwrap_or(PAGE_DEFAULT);
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(Problem::parameter("query:limit", format!("must be from 1 to {PAGE_MAX}")));
    }
    Ok(Paging { limit, cursor })
}

/// A page of what was asked with `uri`.
pub(super) fn page<T: Serialize>(uri: &Uri, page: Page<T>) -> Response {
    let link = page.next_cursor.as_deref().and_then(|cursor| next_link(uri, cursor));
    let mut response = Json(page).into_response();
    if let Some(link) = link {
        response.headers_mut().insert(LINK, link);
    }
    response
}

/// The same question, from `cursor` on. Cursors need no escaping.
fn next_link(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    let kept = uri.query().unwrap_or_default().split('&');
    let kept = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<&str> = kept.collect();
    let joined = query.join("&");
    let glue = if joined.is_empty() { "" } else { "&" };
    let link = format!("<{}?{joined}{glue}cursor={cursor}>; rel=\"next\"", uri.path());
    HeaderValue::from_str(&link).ok()
}
