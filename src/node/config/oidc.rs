//! The section `[oidc]` of the file: login by a provider.

use std::path::PathBuf;

use serde::Deserialize;

use crate::model::{Name, Role, Scope, Span};
use crate::service::access::{GroupRole, OidcOptions};

use super::Setting;
use super::sources::Sources;

/// The section as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    issuer: String,
    client_id: String,
    client_secret_file: Option<String>,
    redirect_url: String,
    #[serde(default = "scopes")]
    scopes: Vec<String>,
    #[serde(default = "name_claim")]
    name_claim: String,
    #[serde(default = "groups_claim")]
    groups_claim: String,
    #[serde(default = "session")]
    session: String,
    ca_file: Option<PathBuf>,
    roles: Vec<Line>,
}

/// What a group may do.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    group: String,
    role: Role,
    #[serde(default)]
    jobs: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
}

fn scopes() -> Vec<String> {
    ["openid", "profile", "email"].map(String::from).to_vec()
}

fn name_claim() -> String {
    "preferred_username".into()
}

fn groups_claim() -> String {
    "groups".into()
}

fn session() -> String {
    "12h".into()
}

const AT: &str = "oidc in the configuration file";

impl Sources<'_> {
    /// The provider, if there is one.
    pub(super) fn oidc(&mut self) -> Option<OidcOptions> {
        let table = self.provider.take();
        // Its parts are not told one by one.
        let value = table.as_ref().map(|_| (String::new(), self.in_the_file("oidc")));
        self.settings.push(Setting { key: "oidc", value, secret: true });
        let section: Section = match table?.try_into() {
            Ok(section) => section,
            Err(error) => {
                self.fault(AT, error.to_string().trim_end());
                return None;
            }
        };
        for (field, text) in [("issuer", &section.issuer), ("redirect_url", &section.redirect_url)]
        {
            if !is_protected(text) {
                let detail = format!("{text:?} does not begin with https://");
                self.fault(format!("oidc.{field} in the configuration file"), detail);
            }
        }
        if !section.scopes.iter().any(|scope| scope == "openid") {
            self.fault("oidc.scopes in the configuration file", "openid must be one of them");
        }
        if section.roles.is_empty() {
            let detail = "is empty: nobody could log in; give [[oidc.roles]] a group and a role";
            self.fault("oidc.roles in the configuration file", detail);
        }
        let session = Span::parse(&section.session).map_err(|detail| {
            self.fault("oidc.session in the configuration file", detail);
        });
        let roles = section.roles.into_iter().enumerate();
        let roles = roles.map(|(at, line)| self.group_role(at, line)).collect();
        if let Some(path) = section.client_secret_file {
            self.file.insert("oidc.client_secret_file".into(), path);
        }
        let secret = self.secret("oidc.client_secret");
        Some(OidcOptions {
            issuer: section.issuer,
            client_id: section.client_id,
            client_secret: secret.map(|(secret, _)| secret.0),
            redirect_url: section.redirect_url,
            scopes: section.scopes,
            name_claim: section.name_claim,
            groups_claim: section.groups_claim,
            roles,
            session: session.unwrap_or(Span::ZERO),
            ca_file: section.ca_file,
        })
    }

    fn group_role(&mut self, at: usize, line: Line) -> GroupRole {
        let patterns = line.jobs.iter().map(|pattern| ("jobs", pattern.replace('*', "x")));
        let tags = line.tags.iter().map(|tag| ("tags", tag.clone()));
        for (field, text) in patterns.chain(tags) {
            if let Err(detail) = Name::parse(&text) {
                let place = format!("oidc.roles[{at}].{field} in the configuration file");
                self.fault(place, detail);
            }
        }
        let scope = Scope { jobs: line.jobs, tags: line.tags };
        GroupRole { group: line.group, role: line.role, scope }
    }
}

/// HTTPS, or a loopback host, as on a developer's machine.
fn is_protected(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return url.starts_with("https://") };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}
