//! Addresses of databases, and connections to them.

use std::str::FromStr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use super::told;
use crate::adapters::connect::{tcp, tls};
use crate::executor::runner::RunnerEnv;

const PORT: u16 = 5432;
/// What a client sends that wants TLS: its length, and a number that no version has.
const WANTS_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// No call is in the way of others for longer than it is waited for; and a transaction whose node
/// is gone ends soon.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '10s'; SET search_path = ''; SET timezone = 'UTC'";

/// A database, and who connects.
struct Address {
    config: Config,
    host: String,
    port: u16,
    wrapped: bool,
}

impl Address {
    /// No fault has the address in it: a password may be.
    fn parse(url: &str) -> Result<Address, String> {
        let bad = || "the address is none, such as postgres://user@host:5432/database".to_owned();
        // Certificates are always checked, so all three mean the same.
        let url = url.replace("sslmode=verify-full", "sslmode=require");
        let url = url.replace("sslmode=verify-ca", "sslmode=require");
        let mut config = Config::from_str(&url).map_err(|_| bad())?;
        let wrapped = config.get_ssl_mode() != SslMode::Disable;
        let [Host::Tcp(host)] = config.get_hosts() else { return Err(bad()) };
        let (host, port) = (host.clone(), config.get_ports().first().copied().unwrap_or(PORT));
        if config.get_application_name().is_none() {
            config.application_name("cronapi");
        }
        // That is done here.
        config.ssl_mode(SslMode::Disable);
        Ok(Address { config, host, port, wrapped })
    }
}

/// Connects and logs in; the task keeps the connection going.
pub(super) async fn connect(
    url: &str,
    env: &RunnerEnv,
) -> Result<(Client, JoinHandle<()>), String> {
    let Address { config, host, port, wrapped } = Address::parse(url)?;
    let mut plain = tcp(Some(env), &host, port).await?;
    let (client, driver) = if wrapped {
        ask_for_tls(&mut plain, &host).await?;
        let stream = tls(&host, plain).await?;
        let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|e| told(&e))?;
        (client, tokio::spawn(async move { drop(connection.await) }))
    } else {
        let (client, connection) = config.connect_raw(plain, NoTls).await.map_err(|e| told(&e))?;
        (client, tokio::spawn(async move { drop(connection.await) }))
    };
    match client.batch_execute(SETTINGS).await {
        Ok(()) => Ok((client, driver)),
        Err(error) => {
            driver.abort();
            Err(told(&error))
        }
    }
}

async fn ask_for_tls(stream: &mut TcpStream, host: &str) -> Result<(), String> {
    let asked = stream.write_all(&WANTS_TLS).await;
    asked.map_err(|e| format!("{host} does not take the connection: {e}"))?;
    let answer = stream.read_u8().await;
    match answer.map_err(|e| format!("{host} does not say whether it has TLS: {e}"))? {
        b'S' => Ok(()),
        _ => Err(format!(
            "{host} has no TLS: to go without it, the address must say sslmode=disable"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_goes_over_tls_unless_it_says_otherwise() {
        for (url, host, port, wrapped) in [
            ("postgres://cron:pw@db.example.org/reports", "db.example.org", 5432, true),
            ("postgresql://db:5433/reports?sslmode=disable", "db", 5433, false),
            ("postgres://cron@db/reports?sslmode=verify-full", "db", 5432, true),
            ("postgres://cron@db/reports?sslmode=prefer", "db", 5432, true),
        ] {
            let address = Address::parse(url).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{url}");
            assert_eq!(address.wrapped, wrapped, "{url}");
        }
    }

    #[test]
    fn an_address_that_is_none_is_not_repeated() {
        for url in [
            "redis://a",
            "postgres://u:secret@a,b/c",
            "postgres://u:secret@%2Ftmp/c",
            "postgres://u:secret@a/c?sslmode=perhaps",
        ] {
            let told = Address::parse(url).err().unwrap();
            assert!(told.starts_with("the address is none") && !told.contains("secret"), "{told}");
        }
    }
}
