//! Where a setting's text comes from, and the faults that were met on the way.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::table::{Row, row};
use super::{Env, Fault, Flags, Secret, Setting};

/// Where the service manager puts secrets (systemd's `LoadCredential=`).
pub(super) const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";
/// The permission of everybody to read.
const READ_BY_ALL: u32 = 0o004;

/// A number of any size.
pub(super) trait Number: Copy + PartialOrd + FromStr + Display {}
impl<T: Copy + PartialOrd + FromStr + Display> Number for T {}

/// What settings are read from.
pub(super) struct Sources<'a> {
    pub(super) env: Env<'a>,
    pub(super) flags: &'a Flags,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<String>,
    /// What the file says, each as the text that a variable would have.
    pub(super) file: BTreeMap<String, String>,
    /// The section `[oidc]`.
    pub(super) provider: Option<toml::Table>,
    /// Where each key of the file stands.
    pub(super) places: BTreeMap<String, String>,
    /// What was asked for, in order.
    pub(super) settings: Vec<Setting>,
    /// Files with keys or settings in them, which no job may read.
    pub(super) kept: Vec<PathBuf>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(flags: &'a Flags, env: Env<'a>) -> Self {
        Self {
            env,
            flags,
            faults: Vec::new(),
            warnings: Vec::new(),
            file: BTreeMap::new(),
            provider: None,
            places: BTreeMap::new(),
            settings: Vec::new(),
            kept: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, at: impl Into<String>, detail: impl Into<String>) {
        self.faults.push(Fault { at: at.into(), detail: detail.into() });
    }

    /// The value of a setting, and where it came from.
    pub(super) fn get(&mut self, key: &'static str) -> Option<(String, String)> {
        let row = row(key);
        let flag = self.flags.get(key).map(|text| (text.clone(), format!("--{}", row.long())));
        let found = flag.or_else(|| {
            let variable = row.variable?;
            Some((self.variable(variable)?, variable.to_owned()))
        });
        let found = found.or_else(|| self.in_file(row));
        self.settings.push(Setting { key, value: found.clone(), secret: false });
        found
    }

    /// Where a setting that was asked for came from.
    pub(super) fn found(&self, key: &str) -> Option<String> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        setting.value.as_ref().map(|(_, at)| at.clone())
    }

    fn in_file(&self, row: &Row) -> Option<(String, String)> {
        let key = row.file_key()?;
        Some((self.file.get(&key)?.clone(), self.in_the_file(&key)))
    }

    /// A variable; an empty one is not set.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.env)(name).filter(|text| !text.is_empty())
    }

    /// Where a key stands in the file.
    pub(super) fn in_the_file(&self, key: &str) -> String {
        let place = self.places.get(key).cloned();
        place.unwrap_or_else(|| format!("{key} in the configuration file"))
    }

    /// A setting as what it means, by default what its row says.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let given = self.get(key);
        self.parse(given, row(key).default.unwrap_or_default(), read)
    }

    /// The same of what was found, with a default that no row can say.
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
    pub(super) fn address(&mut self, key: &'static str) -> SocketAddr {
        self.read(key, address)
    }

    /// Whether something is on.
    pub(super) fn switch(&mut self, key: &'static str) -> bool {
        self.read(key, |text| match text {
            "on" | "true" | "1" | "yes" => Ok(true),
            "off" | "false" | "0" | "no" => Ok(false),
            _ => Err(format!("{text:?} is neither on nor off")),
        })
    }

    /// A number within bounds.
    pub(super) fn number<T: Number>(&mut self, key: &'static str, least: T, most: T) -> T {
        self.read(key, |text| number(text, least, most))
    }

    /// A secret and where it came from: its variable, else the file that `<variable>_FILE` or
    /// `<key>_file` in the configuration file names, else the credential of that name.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<(Secret, String)> {
        let found = self.find_secret(row(key));
        let value = found.as_ref().map(|(_, at)| (String::new(), at.clone()));
        self.settings.push(Setting { key, value, secret: true });
        found
    }

    fn find_secret(&mut self, row: &Row) -> Option<(Secret, String)> {
        let variable = row.variable?;
        if let Some(text) = self.variable(variable) {
            return Some((Secret(text), variable.to_owned()));
        }
        let named = format!("{variable}_FILE");
        let (path, at) = match (self.variable(&named), self.in_file(row)) {
            (Some(path), _) => (path, named),
            (None, Some(found)) => found,
            (None, None) => {
                let folder = (self.env)(CREDENTIALS).filter(|text| !text.is_empty())?;
                let path = Path::new(&folder).join(row.key);
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

/// A number within bounds.
pub(super) fn number<T: Number>(text: &str, least: T, most: T) -> Result<T, String> {
    let found = text.parse().ok().filter(|number| (least..=most).contains(number));
    found.ok_or_else(|| format!("{text:?} is not a number from {least} to {most}"))
}

/// An address to listen on, with a numeric host.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not an address such as 127.0.0.1:8000"))
}
