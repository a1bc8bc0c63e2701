//! Where a setting's text comes from, and the faults that were met on the way.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::file::File;
use super::{Env, Fault, Secret, Setting};

/// Where the service manager puts secrets (systemd's `LoadCredential=`).
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// The permission of everybody to read.
const READ_BY_ALL: u32 = 0o004;

/// What settings are read from.
pub(super) struct Sources<'a> {
    pub(super) env: Env<'a>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
    pub(super) file: File,
    /// Where each key of the file stands.
    pub(super) places: BTreeMap<String, String>,
    /// What was asked for, in order.
    pub(super) settings: Vec<Setting>,
    /// The variables that were asked for.
    pub(super) variables: Vec<String>,
    /// Files with keys or settings in them, which no job may read.
    pub(super) kept: Vec<PathBuf>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(env: Env<'a>) -> Self {
        Self {
            env,
            faults: Vec::new(),
            warnings: Vec::new(),
            file: File::default(),
            places: BTreeMap::new(),
            settings: Vec::new(),
            variables: Vec::new(),
            kept: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, at: impl Into<String>, detail: impl Into<String>) {
        self.faults.push(Fault { at: at.into(), detail: detail.into() });
    }

    /// The value of a setting, and where it came from.
    pub(super) fn text(
        &mut self,
        flag: &str,
        given: &Option<String>,
        variable: &str,
        file: Option<String>,
    ) -> Option<(String, String)> {
        let key = flag.trim_start_matches('-').replace('-', "_");
        let in_env = self.variable(variable).map(|text| (text, variable.to_string()));
        let found = given
            .clone()
            .map(|text| (text, flag.to_string()))
            .or(in_env)
            .or_else(|| Some((file?, self.in_the_file(&key))));
        self.settings.push(Setting { key, value: found.clone(), secret: false });
        found
    }

    /// A variable; an empty one is not set.
    pub(super) fn variable(&mut self, name: &str) -> Option<String> {
        self.variables.push(name.to_string());
        (self.env)(name).filter(|text| !text.is_empty())
    }

    /// Where a key stands in the file.
    pub(super) fn in_the_file(&self, key: &str) -> String {
        let place = self.places.get(key).cloned();
        place.unwrap_or_else(|| format!("{key} in the configuration file"))
    }

    pub(super) fn parse<T>(
        &mut self,
        given: Option<(String, String)>,
        default: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        if let Some((text, at)) = given {
            match read(&text) {
                Ok(value) => return value,
                Err(detail) => self.fault(at, detail),
            }
        }
        match read(default) {
            Ok(value) => value,
            Err(_) => unreachable!("defaults are valid; the tests read each"),
        }
    }

    /// An address to listen on.
    pub(super) fn address(&mut self, given: Option<(String, String)>, default: &str) -> SocketAddr {
        self.parse(given, default, |text| {
            text.parse().map_err(|_| format!("{text:?} is not an address such as {default}"))
        })
    }

    /// A secret and where it came from: `variable`, else the file that `variable_FILE` or `key`
    /// in the configuration file names, else the credential of that name.
    pub(super) fn secret(
        &mut self,
        variable: &str,
        key: &str,
        file: Option<String>,
    ) -> Option<(Secret, String)> {
        let found = self.find_secret(variable, key, file);
        let name = key.trim_end_matches("_file").to_string();
        let value = found.as_ref().map(|(_, at)| (String::new(), at.clone()));
        self.settings.push(Setting { key: name, value, secret: true });
        found
    }

    fn find_secret(
        &mut self,
        variable: &str,
        key: &str,
        file: Option<String>,
    ) -> Option<(Secret, String)> {
        if let Some(text) = self.variable(variable) {
            return Some((Secret(text), variable.to_string()));
        }
        let named = format!("{variable}_FILE");
        let (path, at) = match (self.variable(&named), file) {
            (Some(path), _) => (path, named),
            (None, Some(path)) => (path, self.in_the_file(key)),
            (None, None) => {
                let folder = (self.env)(CREDENTIALS).filter(|text| !text.is_empty())?;
                let path = Path::new(&folder).join(key.trim_end_matches("_file"));
                let path = path.to_str().filter(|path| Path::new(path).exists())?.to_string();
                (path.clone(), format!("the credential {path}"))
            }
        };
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                self.kept.push(path.clone().into());
                self.look_at_mode(&path, &at);
                Some((Secret(text.trim_end_matches(['\r', '\n']).to_string()), at))
            }
            Err(error) => {
                self.fault(at, format!("{path}: {error}"));
                None
            }
        }
    }

    fn look_at_mode(&mut self, path: &str, at: &str) {
        let open = std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & READ_BY_ALL != 0);
        if open {
            self.warnings.push(format!("{at}: every user of this machine can read {path}"));
        }
    }
}
