//! Who really asks, where requests come by way of proxies: those that are trusted are believed.
//!
//! A proxy that passes HTTP on adds the address it was asked from to `X-Forwarded-For` (or to
//! `Forwarded`, RFC 7239). What stands before that anybody may have written, so the addresses
//! are read from the end, as long as they are proxies that are trusted themselves. One that
//! passes bytes on says it before them (PROXY protocol, version 2).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::header::FORWARDED;
use ipnet::IpNet;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Addresses that are looked at in one request, from the end.
const HOPS_MAX: usize = 16;
/// What a PROXY header, version 2, begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes behind its head, at most: addresses and what else a proxy may tell.
const TOLD_MAX: usize = 2_048;
/// A proxy has this long to say it.
const PATIENCE: Duration = Duration::from_secs(10);

/// The proxies that are trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Reads a list such as `10.0.0.0/8, 192.0.2.7, fd00::/8`.
    ///
    /// # Errors
    /// What is no network.
    pub fn parse(text: &str) -> Result<Self, String> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let net = |item: &str| {
            let alone = item.parse::<IpAddr>().map(IpNet::from);
            let found = alone.or_else(|_| item.parse::<IpNet>());
            found.map_err(|_| format!("{item:?} is no network such as 10.0.0.0/8"))
        };
        items.map(net).collect::<Result<Vec<_>, _>>().map(Proxies)
    }

    /// Whether `address` is a proxy that is believed.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    /// Who asks by way of `peer`.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.trusts(peer) {
            return peer;
        }
        let mut known = peer;
        for told in hops(headers) {
            // What can't be read was said by the one before, who is known.
            let Some(address) = told else { return known };
            known = address;
            if !self.trusts(address) {
                break;
            }
        }
        known
    }

    /// The address that a trusted proxy says it passes bytes on for; none: it says nothing.
    ///
    /// # Errors
    /// What it says can't be read, or does not come.
    pub(super) async fn told(&self, stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
        match tokio::time::timeout(PATIENCE, header(stream)).await {
            Ok(read) => read,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// The addresses in the headers, the last first; of one that is none: nothing.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let all = |name: &str| {
        let texts = headers.get_all(name).iter().rev();
        texts
            .flat_map(|text| text.to_str().unwrap_or("unreadable").rsplit(','))
            .map(|item| item.trim().to_owned())
            .take(HOPS_MAX)
            .collect::<Vec<_>>()
    };
    let list = all("x-forwarded-for");
    if !list.is_empty() {
        return list.iter().map(|item| address(item)).collect();
    }
    all(FORWARDED.as_str()).iter().map(|item| forwarded(item)).collect()
}

/// `for=…` of one element of `Forwarded`.
fn forwarded(element: &str) -> Option<IpAddr> {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case("for"));
    let (_, value) = found.next()?;
    address(value.trim().trim_matches('"'))
}

/// An address, maybe with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let alone = bare.parse::<IpAddr>().ok();
    alone.or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip())).map(|ip| ip.to_canonical())
}

/// A PROXY header. No request and no TLS begins as it does.
async fn header(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 || first[0] != SIGNATURE[0] {
        return Ok(None);
    }
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, format!("PROXY: {why}"));
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    if head[..12] != SIGNATURE || head[12] >> 4 != 2 {
        return Err(bad("this is not version 2"));
    }
    let told = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if told > TOLD_MAX {
        return Err(bad("it is too long"));
    }
    let mut rest = vec![0; told];
    stream.read_exact(&mut rest).await?;
    match (head[12] & 0xf, head[13] >> 4) {
        // It asks for itself.
        (0, _) => Ok(None),
        (1, family) => source(family, &rest).map(Some).ok_or_else(|| bad("it has no address")),
        _ => Err(bad("an unknown command")),
    }
}

fn source(family: u8, told: &[u8]) -> Option<SocketAddr> {
    let (ip, port): (IpAddr, &[u8]) = match family {
        1 => (Ipv4Addr::from(<[u8; 4]>::try_from(told.get(..4)?).ok()?).into(), told.get(8..10)?),
        2 => {
            (Ipv6Addr::from(<[u8; 16]>::try_from(told.get(..16)?).ok()?).into(), told.get(32..34)?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes([port[0], port[1]])))
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    fn asked(peer: &str, headers: &[(&'static str, &str)]) -> String {
        let proxies = Proxies::parse("10.0.0.0/8, 127.0.0.1, fd00::/8").unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        proxies.client(peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_for_what_they_added() {
        const XFF: &str = "x-forwarded-for";
        for (peer, headers, who) in [
            ("192.0.2.1", vec![(XFF, "198.51.100.1")], "192.0.2.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
            ("10.0.0.1", vec![(XFF, "198.51.100.1")], "198.51.100.1"),
            ("10.0.0.1", vec![(XFF, "203.0.113.9, 198.51.100.1, 10.2.3.4")], "198.51.100.1"),
            ("10.0.0.1", vec![(XFF, "203.0.113.9"), (XFF, "198.51.100.1")], "198.51.100.1"),
            ("::ffff:10.0.0.1", vec![(XFF, "198.51.100.1:4711")], "198.51.100.1"),
            ("fd00::1", vec![(XFF, "[2001:db8::7]:99")], "2001:db8::7"),
            ("10.0.0.1", vec![(XFF, "198.51.100.1, unknown")], "10.0.0.1"),
            ("10.0.0.1", vec![(XFF, "10.0.0.9")], "10.0.0.9"),
            (
                "127.0.0.1",
                vec![("forwarded", "for=\"[2001:db8::7]:99\";proto=https")],
                "2001:db8::7",
            ),
            (
                "127.0.0.1",
                vec![("forwarded", "for=1.2.3.4, For=198.51.100.1;by=x")],
                "198.51.100.1",
            ),
            ("127.0.0.1", vec![("forwarded", "for=1.2.3.4"), (XFF, "5.6.7.8")], "5.6.7.8"),
            ("127.0.0.1", vec![("forwarded", "for=_hidden")], "127.0.0.1"),
        ] {
            assert_eq!(asked(peer, &headers), who, "{peer} {headers:?}");
        }
        assert!(Proxies::parse("10.0.0.0/33").is_err());
        assert!(Proxies::parse("proxy.example").is_err());
        assert_eq!(Proxies::parse("").unwrap(), Proxies::default());
    }

    async fn read(sent: &[u8]) -> io::Result<Option<SocketAddr>> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut proxy = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        proxy.write_all(sent).await.unwrap();
        proxy.shutdown().await.unwrap();
        let (mut stream, _) = listener.accept().await.unwrap();
        Proxies::default().told(&mut stream).await
    }

    #[tokio::test]
    async fn a_proxy_header_is_read_and_nothing_else_is_taken_for_one() {
        let with = |kind: [u8; 2], told: &[u8]| {
            let length = u16::try_from(told.len()).unwrap().to_be_bytes();
            [&SIGNATURE[..], &kind, &length, told, b"GET / HTTP/1.1\r\n"].concat()
        };
        let v4 = [198, 51, 100, 1, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
        let found = read(&with([0x21, 0x11], &v4)).await.unwrap();
        assert_eq!(found, Some("198.51.100.1:4711".parse().unwrap()));
        let mut v6 = [0; 36];
        v6[..2].copy_from_slice(&[0x20, 0x01]);
        v6[33] = 9;
        let found = read(&with([0x21, 0x21], &v6)).await.unwrap();
        assert_eq!(found, Some("[2001::]:9".parse().unwrap()));
        assert_eq!(read(&with([0x20, 0], &[])).await.unwrap(), None);
        assert_eq!(read(b"GET / HTTP/1.1\r\n\r\n").await.unwrap(), None);
        for bad in [
            with([0x21, 0x11], &v4[..8]),
            with([0x31, 0x11], &v4),
            with([0x2f, 0x11], &v4),
            b"\r\n\r\nGET / HTTP/1.1\r\n\r\n".to_vec(),
        ] {
            assert!(read(&bad).await.is_err());
        }
    }
}
