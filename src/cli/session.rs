//! What a command has at hand: the person, the settings, the servers.

use std::cell::Cell;

use super::client::Client;
use super::connection::{AsUser, Connection, Where};
use super::exit::Failure;
use super::output::{As, Format, Output};
use super::settings::Settings;
use super::terminal::{Terminal, secret_from_stdin};

/// One call of the program.
pub(super) struct Session {
    pub(super) terminal: Terminal,
    pub(super) settings: Settings,
    pub(super) place: Where,
    /// Ctrl-C meant another program, such as an editor, and not this one.
    pub(super) not_for_us: Cell<bool>,
}

/// A variable of the environment, unless it is empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

impl Session {
    pub(super) fn new(terminal: Terminal, place: Where) -> Self {
        let (settings, not_for_us) = (Settings::locate(&variable), Cell::new(false));
        Session { terminal, settings, place, not_for_us }
    }

    pub(super) fn connection(&self) -> Result<Connection, Failure> {
        self.place.connect(&self.settings, &variable)
    }

    pub(super) fn client(&self) -> Result<Client, Failure> {
        Client::new(self.connection()?, &self.settings)
    }

    /// A client that is logged in for this command only, if a user is named.
    pub(super) async fn client_as(&self, who: &AsUser) -> Result<Client, Failure> {
        let Some(user) = &who.user else { return self.client() };
        let (tokens, context, from_variable) = (None, None, false);
        let connection = Connection { tokens, context, from_variable, ..self.connection()? };
        let client = Client::new(connection, &self.settings)?;
        let tokens = client.log_in(user, &self.password(false)?).await?;
        client.use_tokens(Some(tokens));
        Ok(client)
    }

    /// A password: from standard input, the variable, or the person.
    pub(super) fn password(&self, stdin: bool) -> Result<String, Failure> {
        if stdin {
            return secret_from_stdin("the password");
        }
        if let Some(password) = variable("CRONAPI_PASSWORD") {
            return Ok(password);
        }
        if self.terminal.asks() {
            return self.terminal.secret("Password:", false);
        }
        let text = "there is nobody to ask for the password";
        Err(Failure::usage(text).advise("give it in CRONAPI_PASSWORD; login: --password-stdin"))
    }

    pub(super) fn output(&self, format: As) -> Output {
        Output::new(format.format, &self.terminal)
    }

    pub(super) fn table(&self) -> Output {
        Output::new(Format::Table, &self.terminal)
    }

    pub(super) fn say(&self, text: impl std::fmt::Display) {
        self.terminal.say(text);
    }
}
