//! Addresses of servers, and the content of the QR code that enrols a phone: `https://HOST[:PORT][/PATH]/enrol#CODE`.

use crate::error::Error;

/// A server's base address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host, as it stands in the address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// What stands before every path; empty or `/something`.
    pub path: String,
}

impl Address {
    /// Reads `http(s)://…` or `ws(s)://…`.
    ///
    /// # Errors
    /// [`Error::Invitation`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Invitation(why.to_owned());
        let uri: hyper::Uri = text.trim().parse().map_err(|_| bad("the address cannot be read"))?;
        let tls = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => return Err(bad("the address begins with https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("the address has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("the address holds a user"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(bad("the address has no host"));
        }
        let port = match authority.port_u16() {
            Some(port) => port,
            None if authority.as_str() == authority.host() => {
                if tls {
                    443
                } else {
                    80
                }
            }
            // A colon with nothing, or with no port, behind it.
            None => return Err(bad("the address has no port behind the colon")),
        };
        Ok(Self { tls, host, port, path: uri.path().trim_end_matches('/').to_owned() })
    }

    /// `host:port` for the `Host` header, brackets around an IPv6 address.
    pub fn authority(&self) -> String {
        let usual = self.port == if self.tls { 443 } else { 80 };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        let ip = self.host.parse::<std::net::IpAddr>();
        ip.map_or(self.host.eq_ignore_ascii_case("localhost"), |ip| ip.is_loopback())
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http{}://{}{}", if self.tls { "s" } else { "" }, self.authority(), self.path)
    }
}

/// What a QR code holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invitation {
    /// The server.
    pub server: Address,
    /// The one-time code.
    pub code: String,
}

impl Invitation {
    /// Reads `BASE/enrol#CODE`.
    ///
    /// # Errors
    /// [`Error::Invitation`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(Error::Invitation("the text is too long".into()));
        }
        let (address, code) = text
            .trim()
            .split_once('#')
            .ok_or_else(|| Error::Invitation("there is no code behind #".into()))?;
        let base = address
            .strip_suffix("/enrol")
            .ok_or_else(|| Error::Invitation("the address does not end with /enrol".into()))?;
        let code = code.trim();
        if code.is_empty() || !code.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | ' ')) {
            return Err(Error::Invitation("the code cannot be read".into()));
        }
        Ok(Self { server: Address::parse(base)?, code: code.to_owned() })
    }
}

/// A QR code that a phone's camera reads from a screen holds less.
const TEXT_MAX_BYTES: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invitations_read_and_rubbish_does_not() {
        let good = Invitation::parse(" https://crm.example.cn/field/enrol#7K2M-QX4T \n").unwrap();
        assert_eq!(good.code, "7K2M-QX4T");
        assert_eq!(good.server.to_string(), "https://crm.example.cn/field");
        let local = Invitation::parse("http://127.0.0.1:7878/enrol#AAAA").unwrap().server;
        assert_eq!(
            (local.port, local.authority().as_str(), local.is_loopback()),
            (7878, "127.0.0.1:7878", true)
        );
        assert_eq!(Invitation::parse("ws://[::1]:9/enrol#A").unwrap().server.authority(), "[::1]:9");
        for bad in [
            "",
            "hello",
            "https://x.cn/enrol",
            "https://x.cn/enrol#",
            "https://x.cn#AAAA",
            "ftp://x.cn/enrol#AAAA",
            "https:///enrol#AAAA",
            "https://user:pass@x.cn/enrol#AAAA",
            "https://x.cn/enrol#A<script>",
            "https://x.cn:99999/enrol#AAAA",
            "https://x.cn:/enrol#AAAA",
            "https://[::1]:/enrol#AAAA",
        ] {
            assert!(matches!(Invitation::parse(bad), Err(Error::Invitation(_))), "{bad}");
        }
        assert!(Invitation::parse(&format!("https://x.cn/enrol#{}", "A".repeat(2_000))).is_err());
    }
}
