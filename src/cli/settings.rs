//! Contexts: which servers, and the tokens for them, in files of the user.
//!
//! `config.toml` may be shared; tokens are apart from it, in `tokens.toml`, which only its
//! owner may read.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::exit::{Code, Failure};

/// Where servers are, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    /// Nodes; the next is asked when one is away.
    pub(super) servers: Vec<String>,
    /// A file of certificates to trust, beside those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ca: Option<PathBuf>,
    /// Who logged in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
}

/// The file of contexts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contexts {
    /// The one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
    #[serde(default)]
    pub(super) contexts: BTreeMap<String, Context>,
}

/// What a login left.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tokens {
    pub(super) access: String,
    /// For a new access token; none with an API token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) refresh: Option<String>,
}

/// Where both files are. A user without a home has none: nothing is known, nothing is kept.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    contexts: Option<PathBuf>,
    tokens: Option<PathBuf>,
}

impl Settings {
    /// Where they are: CRONAPI_CLI_CONFIG, else under XDG_CONFIG_HOME, else under ~/.config.
    pub(super) fn locate(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let named = |name: &str| variable(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        let folder = || {
            let folder = named("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
            folder.or_else(|| named("HOME").map(|home| home.join(".config")))
        };
        let in_folder = || folder().map(|folder| folder.join("cronapi").join("config.toml"));
        let contexts = named("CRONAPI_CLI_CONFIG").or_else(in_folder);
        let tokens = contexts.as_ref().map(|file| file.with_file_name("tokens.toml"));
        Settings { contexts, tokens }
    }

    pub(super) fn contexts(&self) -> Result<Contexts, Failure> {
        self.contexts.as_deref().map_or_else(|| Ok(Contexts::default()), read)
    }

    pub(super) fn save(&self, contexts: &Contexts) -> Result<(), Failure> {
        write(there(&self.contexts)?, contexts)
    }

    /// The tokens of a context.
    pub(super) fn tokens(&self, context: &str) -> Result<Option<Tokens>, Failure> {
        let Some(path) = &self.tokens else { return Ok(None) };
        if let Ok(meta) = fs::metadata(path)
            && meta.permissions().mode() & 0o077 != 0
        {
            let path = path.display();
            return Err(Failure::new(Code::Access, format!("others may read {path}"))
                .advise(format!("chmod 600 {path}; who could read it could use your tokens")));
        }
        let mut all: BTreeMap<String, Tokens> = read(path)?;
        Ok(all.remove(context))
    }

    /// Waits until no other command renews tokens, and keeps others from it as long as the answer
    /// lives.
    pub(super) fn turn(&self) -> Result<fs::File, Failure> {
        let path = there(&self.tokens)?.with_extension("lock");
        let fail = |error: std::io::Error| {
            Failure::failed(format!("{} can't be locked: {error}", path.display()))
        };
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(fail)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| fail(error.into()))?;
        Ok(file)
    }

    /// Keeps the tokens of a context, or forgets them. The answer: whether there were any.
    pub(super) fn keep(&self, context: &str, tokens: Option<Tokens>) -> Result<bool, Failure> {
        let path = there(&self.tokens)?;
        let mut all: BTreeMap<String, Tokens> = read(path)?;
        let before = match tokens {
            Some(tokens) => all.insert(context.to_owned(), tokens),
            None => all.remove(context),
        };
        write(path, &all)?;
        Ok(before.is_some())
    }
}

fn there(file: &Option<PathBuf>) -> Result<&Path, Failure> {
    let nowhere = "HOME is not set, so there is no place for contexts and tokens";
    file.as_deref().ok_or_else(|| {
        Failure::usage(nowhere)
            .advise("set CRONAPI_CLI_CONFIG to a file; or give CRONAPI_SERVER and CRONAPI_TOKEN")
    })
}

fn read<T: Default + for<'de> Deserialize<'de>>(path: &Path) -> Result<T, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(T::default()),
        Err(error) => {
            return Err(Failure::failed(format!("{} can't be read: {error}", path.display())));
        }
    };
    toml::from_str(&text).map_err(|error| {
        // The text of the error shows the line, which may be a token.
        let message = error.message().to_owned();
        Failure::failed(format!("{} can't be understood: {message}", path.display()))
            .advise("mend it, or remove it and log in again")
    })
}

/// Whole or not at all, and for its owner only.
fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Failure> {
    let fail = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("{} can't be written: {error}", path.display()))
    };
    let text = toml::to_string(value).map_err(|error| fail(&error))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(|error| fail(&error))?;
    // Such a file is made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| fail(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| fail(&error))?;
    file.persist(path).map_err(|error| fail(&error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path) -> Settings {
        let home = folder.display().to_string();
        Settings::locate(&|name| (name == "HOME").then(|| home.clone()))
    }

    fn file(file: &Option<PathBuf>) -> &Path {
        file.as_deref().unwrap()
    }

    #[test]
    fn tokens_are_for_their_owner_only_and_apart_from_contexts() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let tokens = Tokens { access: "secret".into(), refresh: None };
        assert!(!settings.keep("here", Some(tokens.clone())).unwrap());
        let context = Context { servers: vec!["http://a".into()], ..Context::default() };
        let contexts = BTreeMap::from([("here".to_owned(), context)]);
        settings.save(&Contexts { current: Some("here".into()), contexts }).unwrap();
        let mode = fs::metadata(file(&settings.tokens)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!fs::read_to_string(file(&settings.contexts)).unwrap().contains("secret"));
        assert!(settings.tokens("here").unwrap() == Some(tokens));
        assert!(settings.keep("here", None).unwrap());
        assert!(settings.tokens("here").unwrap().is_none());
    }

    #[test]
    fn tokens_that_others_may_read_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        settings.keep("here", None).unwrap();
        fs::set_permissions(file(&settings.tokens), fs::Permissions::from_mode(0o644)).unwrap();
        let refused = settings.tokens("here").err().unwrap();
        assert!(refused.to_string().contains("chmod 600"), "{refused}");
    }

    #[test]
    fn the_folder_follows_the_variables() {
        let place = |set: &[(&str, &str)]| {
            let variable = |name: &str| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            Settings::locate(&variable).tokens.unwrap()
        };
        assert_eq!(place(&[("HOME", "/h")]), Path::new("/h/.config/cronapi/tokens.toml"));
        let both = [("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")];
        assert_eq!(place(&both), Path::new("/x/cronapi/tokens.toml"));
        assert_eq!(place(&[("CRONAPI_CLI_CONFIG", "/c/a.toml")]), Path::new("/c/tokens.toml"));
        let homeless = Settings::locate(&|_| None);
        assert!(homeless.contexts().unwrap().contexts.is_empty());
        assert_eq!(homeless.keep("here", None).err().unwrap().code, Code::Usage);
    }

    #[test]
    fn a_file_that_is_no_toml_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        settings.keep("here", None).unwrap();
        fs::write(file(&settings.tokens), "[here]\naccess = secret\n").unwrap();
        let told = settings.tokens("here").err().unwrap().to_string();
        assert!(told.contains("tokens.toml") && !told.contains("secret"), "{told}");
    }
}
