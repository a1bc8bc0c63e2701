//! `api`: any request, for what has no command of its own.

use std::io::Read;

use reqwest::Method;
use serde_json::{Map, Value};

use super::super::client::Request;
use super::super::exit::{Failure, Outcome};
use super::super::output;
use super::super::session::Session;
use super::run::pair;

/// Send a request.
#[derive(Debug, clap::Args)]
pub struct Api {
    /// GET, POST, PUT, PATCH or DELETE
    method: String,
    /// A path, such as /jobs?limit=5
    path: String,
    /// A field of a JSON body; the value is JSON if it can be read as that, else text
    #[arg(short = 'F', long = "field", value_name = "KEY=VALUE", conflicts_with = "input")]
    field: Vec<String>,
    /// A file with the body, or - for standard input
    #[arg(long, value_name = "FILE")]
    input: Option<String>,
    /// A header
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// Status and headers before the body
    #[arg(short, long)]
    include: bool,
}

impl Api {
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let method = Method::from_bytes(self.method.to_uppercase().as_bytes());
        let method =
            method.map_err(|_| Failure::usage(format!("{:?} is no method", self.method)))?;
        if !self.path.starts_with('/') {
            return Err(Failure::usage("a path begins with /, such as /jobs"));
        }
        let mut request = Request::new(method, self.path.clone());
        if let Some(body) = self.body()? {
            request = request.body(body);
            if !self.header.iter().any(|h| h.to_lowercase().starts_with("content-type:")) {
                request = request.header("content-type", "application/json");
            }
        }
        for header in &self.header {
            let Some((name, value)) = header.split_once(':') else {
                return Err(Failure::usage(format!("-H {header:?}: write it as 'Name: value'")));
            };
            request = request.custom(name.trim(), value.trim())?;
        }
        let answer = session.client()?.ask(&request).await?;
        if self.include {
            let mut head = format!("HTTP {}\n", answer.status);
            for (name, value) in &answer.headers {
                head.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())));
            }
            output::foreign(&(head + "\n"))?;
        }
        if session.terminal.stdout {
            output::foreign(&String::from_utf8_lossy(&answer.body))?;
        } else {
            output::bytes(&answer.body)?;
        }
        if session.terminal.stdout && !answer.body.ends_with(b"\n") {
            output::text("\n")?;
        }
        if answer.status.is_client_error() || answer.status.is_server_error() {
            return Err(Failure::of_answer(answer.status, &answer.body));
        }
        Ok(0)
    }

    fn body(&self) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(file) = &self.input {
            let mut body = Vec::new();
            let read = match file.as_str() {
                "-" => std::io::stdin().read_to_end(&mut body).map(|_| ()),
                path => std::fs::read(path).map(|bytes| body = bytes),
            };
            read.map_err(|error| Failure::usage(format!("--input {file}: {error}")))?;
            return Ok(Some(body));
        }
        if self.field.is_empty() {
            return Ok(None);
        }
        let mut map = Map::new();
        for given in &self.field {
            let (key, value) = pair("-F", given)?;
            map.insert(key, value);
        }
        Ok(Some(Value::Object(map).to_string().into_bytes()))
    }
}
