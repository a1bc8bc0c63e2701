//! SIGHUP: the settings are read again, and what can change in a running node does.
//!
//! To add a setting that can: [`Reload::hook`] where its part is started, and the word in
//! docs/configuration.md.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::config::{Config, Loaded, Setting};

/// Reads the settings again.
type Load = Box<dyn Fn() -> Loaded + Send + Sync>;
/// Takes what changed, or says why it can't.
type Take = Box<dyn Fn(&Config) -> Result<(), String> + Send + Sync>;

struct Hook {
    /// The keys that it takes.
    keys: &'static [&'static str],
    take: Take,
}

/// What a running node takes up again.
pub struct Reload {
    load: Load,
    settings: Vec<Setting>,
    hooks: Vec<Hook>,
}

impl Reload {
    /// `load` reads the settings as they were read at the start; `settings` is what that gave.
    pub fn new(settings: Vec<Setting>, load: impl Fn() -> Loaded + Send + Sync + 'static) -> Self {
        Self { load: Box::new(load), settings, hooks: Vec::new() }
    }

    /// Settings `keys` can change: `take` is called with the new ones, whether they are others
    /// or not, since what a file holds may have changed as well.
    pub fn hook(
        &mut self,
        keys: &'static [&'static str],
        take: impl Fn(&Config) -> Result<(), String> + Send + Sync + 'static,
    ) {
        self.hooks.push(Hook { keys, take: Box::new(take) });
    }

    /// Waits for SIGHUP, again and again. Ends only if signals can't be caught.
    pub async fn run(mut self) {
        let mut asked: Signal = match signal(SignalKind::hangup()) {
            Ok(asked) => asked,
            Err(error) => return tracing::warn!(%error, "SIGHUP can't be caught"),
        };
        while asked.recv().await.is_some() {
            self.again();
        }
    }

    /// Reads the settings and takes them up. Faulty ones change nothing.
    pub fn again(&mut self) {
        let Loaded { outcome, settings, warnings } = (self.load)();
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let config = match outcome {
            Ok(config) => config,
            Err(faults) => {
                for fault in faults {
                    tracing::error!(%fault, "the settings stay as they were");
                }
                return;
            }
        };
        for hook in &self.hooks {
            match (hook.take)(&config) {
                Ok(()) => tracing::info!(settings = hook.keys.join(" "), "read again"),
                Err(error) => {
                    let settings = hook.keys.join(" ");
                    tracing::error!(settings, %error, "these settings stay as they were");
                }
            }
        }
        for key in self.stale(&settings) {
            tracing::warn!(setting = key, "changed; it takes effect at the next start");
        }
        self.settings = settings;
    }

    /// Settings that changed and that no hook takes.
    fn stale(&self, now: &[Setting]) -> Vec<String> {
        let text = |of: &Setting| of.value.as_ref().map(|(text, _)| text.clone());
        let taken = |key: &str| self.hooks.iter().any(|hook| hook.keys.contains(&key));
        let same = |new: &Setting| {
            self.settings.iter().any(|old| old.key == new.key && text(old) == text(new))
        };
        let stale = now.iter().filter(|new| !taken(new.key) && !same(new));
        stale.map(|new| new.key.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::node::config::Flags;

    fn look(pairs: &[(&str, &str)]) -> Loaded {
        let env = |name: &str| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| v.to_string());
        Config::look(&Flags::default(), &env, &[])
    }

    #[test]
    fn what_can_change_changes_and_faulty_settings_change_nothing() {
        let env = Arc::new(Mutex::new(vec![("CRONAPI_LOG", "info")]));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (source, noted) = (Arc::clone(&env), Arc::clone(&seen));
        let first = look(&env.lock().unwrap()).settings;
        let mut reload = Reload::new(first, move || look(&source.lock().unwrap()));
        reload.hook(&["log"], move |config| {
            noted.lock().unwrap().push(config.log.clone());
            Ok(())
        });
        reload.again();
        *env.lock().unwrap() = vec![("CRONAPI_LOG", "debug"), ("CRONAPI_SLOTS", "5")];
        let now = look(&env.lock().unwrap()).settings;
        assert_eq!(reload.stale(&now), ["slots"]);
        reload.again();
        assert_eq!(reload.stale(&now), Vec::<String>::new());
        *env.lock().unwrap() = vec![("CRONAPI_LOG", "trace"), ("CRONAPI_SLOTS", "none")];
        reload.again();
        assert_eq!(*seen.lock().unwrap(), ["info", "debug"]);
    }
}
