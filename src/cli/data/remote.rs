//! The bytes of a backup, from a node.

use std::time::Duration;

use clap::Args;
use futures_util::{Stream, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::Failure;
use crate::cli::audit_fires::client::{Trouble, tls};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Between two pieces, or until the first.
const READ_TIMEOUT: Duration = Duration::from_secs(90);

#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The node to ask; any will do
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8000")]
    url: String,
    /// API or access token of an admin; the variable keeps it out of the list of processes
    /// [env: CRONAPI_TOKEN]
    #[arg(long, value_name = "TOKEN", conflicts_with = "user")]
    token: Option<String>,
    /// Admin to log in as, with the password in CRONAPI_PASSWORD
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Take what this node has, without asking a leader: when there is none
    #[arg(long)]
    local: bool,
}

impl Remote {
    /// Begins to read a backup.
    pub(super) async fn open(
        &self,
    ) -> Result<impl Stream<Item = Result<bytes::Bytes, Failure>> + use<>, Failure> {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("cronapi/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(unavailable)?;
        let base = self.url.trim_end_matches('/').to_owned();
        let token = self.token(&http, &base).await?;
        let query = if self.local { "?consistency=local" } else { "" };
        let url = format!("{base}/cluster/backup{query}");
        let answer = http.get(&url).bearer_auth(token).send().await.map_err(unavailable)?;
        let answer = good(answer).await?;
        Ok(answer.bytes_stream().map(|piece| piece.map_err(unavailable)))
    }

    async fn token(&self, http: &reqwest::Client, base: &str) -> Result<String, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let Some(user) = &self.user else {
            let token = self.token.clone().or_else(|| variable("CRONAPI_TOKEN"));
            let why = "CRONAPI_TOKEN, --token, or --user with CRONAPI_PASSWORD is needed";
            return token.ok_or_else(|| Failure::usage(why));
        };
        let password = variable("CRONAPI_PASSWORD")
            .ok_or_else(|| Failure::usage("--user: needs the password in CRONAPI_PASSWORD"))?;
        let body = json!({"username": user, "password": password}).to_string();
        let request = http.post(format!("{base}/auth/token"));
        let request = request.header("content-type", "application/json").body(body);
        let answer = good(request.send().await.map_err(unavailable)?).await?;
        let body = answer.bytes().await.map_err(unavailable)?;
        let issued: Value = serde_json::from_slice(&body).map_err(unavailable)?;
        let token = issued["access_token"].as_str();
        token.map(str::to_owned).ok_or_else(|| unavailable("the answer has no token"))
    }
}

fn unavailable(error: impl ToString) -> Failure {
    Trouble::Unavailable(error.to_string()).into()
}

/// The answer, unless it is an error.
async fn good(answer: reqwest::Response) -> Result<reqwest::Response, Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let place = answer.url().path().to_owned();
    let body = answer.bytes().await.unwrap_or_default();
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    let detail = told["detail"].as_str().unwrap_or("no reason given").to_owned();
    let text = format!("{place}: {}: {detail}", status.as_u16());
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Trouble::Refused(text),
        _ => Trouble::Unavailable(text),
    }
    .into())
}
