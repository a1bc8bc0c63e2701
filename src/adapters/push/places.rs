//! Which push services are asked: those of the browsers that people have, and those that the
//! operator names. Whoever is logged in chooses an address, and a node may reach what they may not.

use reqwest::Url;

/// The hosts of Chrome and Edge, Firefox, Safari, and Edge on Windows. One that begins with a dot
/// stands for all names below it.
const KNOWN: [&str; 4] =
    ["fcm.googleapis.com", ".push.services.mozilla.com", ".push.apple.com", ".notify.windows.com"];

/// Which push services are asked, and who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Origins beside the known ones, such as `https://push.example.org`.
    pub allow: Vec<String>,
    /// Whom a push service may turn to: an `https://` address.
    pub contact: Option<String>,
}

impl Places {
    /// Reads an origin as an operator writes it: `https://push.example.org`, with a port or not.
    ///
    /// # Errors
    /// Why it is none.
    pub fn origin(text: &str) -> Result<String, String> {
        let bad = || format!("{text:?} is no origin such as https://push.example.org");
        let url = Url::parse(text).map_err(|_| bad())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let named = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !bare || !named {
            return Err(bad());
        }
        Ok(url.origin().ascii_serialization())
    }

    /// Reads the address of a subscription, where it may be asked.
    ///
    /// # Errors
    /// Why it is not. The address is not told: who knows it may write there.
    pub fn read(&self, endpoint: &str) -> Result<Url, String> {
        let bad = || "is no address of a push service".to_owned();
        let url = Url::parse(endpoint).map_err(|_| bad())?;
        let Some(host) = url.host_str() else { return Err(bad()) };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad());
        }
        let known = |known: &str| match known.strip_prefix('.') {
            Some(_) => host.ends_with(known),
            None => host == known,
        };
        let public = url.scheme() == "https" && url.port().is_none();
        let origin = url.origin().ascii_serialization();
        if (public && KNOWN.iter().any(|one| known(one))) || self.allow.contains(&origin) {
            return Ok(url);
        }
        Err(format!(
            "{origin} is no push service that this cluster knows; an operator can add it with \
             CRONAPI_PUSH_ALLOW"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_push_services_are_asked() {
        let places =
            Places { allow: vec![Places::origin("http://127.0.0.1:9000").unwrap()], contact: None };
        for good in [
            "https://fcm.googleapis.com/fcm/send/a:b",
            "https://updates.push.services.mozilla.com/wpush/v2/a",
            "https://web.push.apple.com/Q",
            "https://wns2-par02p.notify.windows.com/w/?token=a",
            "http://127.0.0.1:9000/sub/1",
        ] {
            assert!(places.read(good).is_ok(), "{good}");
        }
        for bad in [
            "http://fcm.googleapis.com/a",
            "https://fcm.googleapis.com:8443/a",
            "https://fcm.googleapis.com.example.org/a",
            "https://evil-push.apple.com.example.org/a",
            "https://evilpush.apple.com/a",
            "https://me:pw@fcm.googleapis.com/a",
            "https://169.254.169.254/latest/meta-data",
            "https://127.0.0.1:9000/sub/1",
            "file:///etc/passwd",
            "fcm.googleapis.com",
        ] {
            let told = places.read(bad).unwrap_err();
            assert!(!told.contains("meta-data") && !told.contains("pw"), "{told}");
        }
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        assert_eq!(Places::origin("https://a.example:443/").unwrap(), "https://a.example");
        for bad in ["a.example", "https://a/b", "https://a?b", "ftp://a", "https://u@a", ""] {
            assert!(Places::origin(bad).is_err(), "{bad}");
        }
    }
}
