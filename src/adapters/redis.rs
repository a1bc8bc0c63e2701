//! A connection to Redis.

use redis::IntoConnectionInfo;
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use super::connect::{bounded, tcp, tls};
use crate::executor::runner::RunnerEnv;

/// As faults call it.
const WHO: &str = "Redis";

/// A connection; it is dropped after any fault.
pub(super) struct Redis {
    connection: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Redis {
    /// Connects, within the time of one call. An address that a definition names is guarded; one
    /// that the node's own settings name may be anywhere.
    pub async fn open(url: &str, guard: Option<&RunnerEnv>) -> Result<Self, String> {
        bounded(WHO, Self::connect(url, guard)).await
    }

    async fn connect(url: &str, guard: Option<&RunnerEnv>) -> Result<Self, String> {
        let (plain, wrapped) = match url.strip_prefix("rediss://") {
            Some(rest) => (format!("redis://{rest}"), true),
            None => (url.to_owned(), false),
        };
        // No fault has the address in it: a password may be.
        let bad = "the address is none, such as redis://host:6379/0";
        let info = plain.as_str().into_connection_info().map_err(|_| bad.to_owned())?;
        let redis::ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(bad.to_owned());
        };
        let tcp = tcp(guard, host, *port).await?;
        let settings = info.redis_settings().clone();
        let (connection, driver) = if wrapped {
            greeted(&settings, tls(host, tcp).await?).await?
        } else {
            greeted(&settings, tcp).await?
        };
        Ok(Redis { connection, driver })
    }

    /// What a command is answered, within the time of one call.
    pub async fn call<T: redis::FromRedisValue>(&mut self, call: &redis::Cmd) -> Result<T, String> {
        let called = async { call.query_async(&mut self.connection).await.map_err(told) };
        bounded(WHO, called).await
    }
}

fn told(error: redis::RedisError) -> String {
    format!("{WHO}: {error}")
}

/// Logs in, and keeps the connection going beside.
async fn greeted<S>(
    settings: &redis::RedisConnectionInfo,
    stream: S,
) -> Result<(MultiplexedConnection, JoinHandle<()>), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let made = MultiplexedConnection::new_with_config(settings, stream, config).await;
    let (connection, driver) = made.map_err(told)?;
    Ok((connection, tokio::spawn(driver)))
}
