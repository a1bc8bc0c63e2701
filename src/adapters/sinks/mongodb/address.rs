//! Addresses of servers and replica sets.

use mongodb::options::{
    AuthMechanism, ConnectionString, Credential, HostInfo, ServerAddress, Tls, TlsOptions,
};

use crate::model::address::MONGODB_SRV;

const PORT: u16 = 27017;
const DATABASE: &str = "cronapi";
/// The database that knows users, unless the address says another.
const USERS: &str = "admin";

/// A database, where it may be, and who connects.
pub(super) struct Address {
    /// Names and ports of the servers.
    pub hosts: Vec<(String, u16)>,
    /// The database that is written.
    pub database: String,
    /// Who logs in; none: nobody.
    pub credential: Option<Credential>,
    /// Whether the connection goes over TLS.
    pub wrapped: bool,
    /// The replica set that the servers have to be of.
    pub set: Option<String>,
}

impl Address {
    /// Reads one. What of it is not for here is refused, and not left out in silence.
    ///
    /// # Errors
    /// What is wrong with it, without the address: a password may be in it.
    pub fn parse(url: &str) -> Result<Address, String> {
        if url.starts_with("mongodb+srv://") {
            return Err(format!("the address {MONGODB_SRV}"));
        }
        let bad = "the address is none, such as mongodb://user@host:27017/database";
        let read = ConnectionString::parse(url).map_err(|_| bad.to_owned())?;
        let HostInfo::HostIdentifiers(found) = read.host_info else { return Err(bad.to_owned()) };
        let mut hosts = Vec::new();
        for host in found {
            let ServerAddress::Tcp { host, port } = host else { return Err(bad.to_owned()) };
            hosts.push((host, port.unwrap_or(PORT)));
        }
        let wrapped = match &read.tls {
            None | Some(Tls::Disabled) => false,
            Some(Tls::Enabled(TlsOptions {
                allow_invalid_certificates: None | Some(false),
                ca_file_path: None,
                cert_key_file_path: None,
                ..
            })) => true,
            Some(Tls::Enabled(_)) => {
                return Err("the address has settings of TLS that are not for here: certificates \
                            are always checked, by the authorities of this node's system"
                    .to_owned());
            }
        };
        let mechanism = read.credential.as_ref().and_then(|who| who.mechanism.as_ref());
        if !matches!(mechanism, None | Some(AuthMechanism::ScramSha1 | AuthMechanism::ScramSha256))
        {
            return Err(
                "the address has a way to log in that is not for here: a user logs in with \
                        a password, by SCRAM"
                    .to_owned(),
            );
        }
        if read.load_balanced == Some(true) {
            return Err("the address is of a load balancer: list the hosts instead".to_owned());
        }
        let mut credential = read.credential;
        if let Some(who) = &mut credential
            && who.source.is_none()
        {
            who.source = Some(read.default_database.as_deref().unwrap_or(USERS).to_owned());
        }
        Ok(Address {
            hosts,
            database: read.default_database.unwrap_or_else(|| DATABASE.to_owned()),
            credential,
            wrapped,
            set: read.replica_set,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_hosts_a_database_and_who_logs_in() {
        let address = Address::parse("mongodb://localhost").unwrap();
        assert_eq!(address.hosts, [("localhost".to_owned(), 27017)]);
        assert_eq!((address.database.as_str(), address.wrapped), ("cronapi", false));
        assert!(address.credential.is_none() && address.set.is_none());
        let address = Address::parse(
            "mongodb://cron:p%40w@one.example.org:27018,two.example.org/reports\
             ?authSource=admin&tls=true&replicaSet=rs0",
        )
        .unwrap();
        let hosts = [("one.example.org".to_owned(), 27018), ("two.example.org".to_owned(), 27017)];
        assert_eq!(address.hosts, hosts);
        assert_eq!((address.database.as_str(), address.wrapped), ("reports", true));
        assert_eq!(address.set.as_deref(), Some("rs0"));
        let who = address.credential.unwrap();
        assert_eq!(who.username.as_deref(), Some("cron"));
        assert_eq!(who.password.as_deref(), Some("p@w"));
        assert_eq!(who.source.as_deref(), Some("admin"));
        let address = Address::parse("mongodb://[2001:db8::1]:27018,[::1]/reports").unwrap();
        let hosts = [("2001:db8::1".to_owned(), 27018), ("::1".to_owned(), 27017)];
        assert_eq!(address.hosts, hosts);
        // Who logs in is known to the database that is named, unless the address says otherwise.
        let address = Address::parse("mongodb://cron:pw@db/reports?ssl=true").unwrap();
        assert!(address.wrapped);
        assert_eq!(address.credential.unwrap().source.as_deref(), Some("reports"));
        let address = Address::parse("mongodb://cron:pw@db").unwrap();
        assert_eq!(address.credential.unwrap().source.as_deref(), Some("admin"));
    }

    #[test]
    fn what_is_not_for_here_is_refused_and_no_address_is_repeated() {
        for (url, why) in [
            ("redis://u:secret@a", "the address is none"),
            ("mongodb://u:secret@a:b/c", "the address is none"),
            ("mongodb://u:secret@%2Ftmp%2Fs.sock/c", "the address is none"),
            ("mongodb://u:secret@a/c?tls=perhaps", "the address is none"),
            ("mongodb+srv://u:secret@a/c", "the address must list the hosts"),
            ("mongodb://u:secret@a/c?tls=true&tlsInsecure=true", "settings of TLS"),
            ("mongodb://u:secret@a/c?tls=true&tlsCAFile=/etc/secret", "settings of TLS"),
            ("mongodb://u:secret@a/c?authMechanism=PLAIN", "a way to log in"),
            ("mongodb://a/c?authMechanism=MONGODB-X509&tls=true", "a way to log in"),
            ("mongodb://a/c?loadBalanced=true", "a load balancer"),
        ] {
            let told = Address::parse(url).err().unwrap();
            assert!(told.contains(why) && !told.contains("secret"), "{url}: {told}");
        }
    }
}
