//! Where the broker is and how the way to it is protected: `mqtt.url` and the table `[mqtt.tls]`, of gateway and centre alike.
//!
//! ```toml
//! [mqtt]
//! url = "mqtts://broker.example"    # port 8883; mqtt:// is without TLS, port 1883
//! [mqtt.tls]
//! ca = "/etc/cems/ca.pem"           # who signs brokers' certificates; the system's own list is not looked at
//! certificate = "/etc/cems/gw-1.pem" # ours, and its chain
//! key = "/etc/cems/gw-1.key"
//! ```
//! Nothing here opens a file.

use std::path::PathBuf;

use crate::config::check::{Check, any_text, text};
use crate::config::document::Section;
use crate::config::problem::Place;

const PORT: u16 = 1883;
const PORT_OF_TLS: u16 = 8883;

/// Where the broker is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    pub host: String,
    pub port: u16,
    /// How the way is protected; `None`: not at all.
    pub tls: Option<Tls>,
}

/// Which files protect the way to the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of those who may sign a broker's certificate.
    pub ca: PemFile,
    /// What we prove ourselves by.
    pub client: Option<Client>,
}

/// A client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Ours first, then those that lead to its authority.
    pub certificate: PemFile,
    pub key: PemFile,
}

/// A file as it was named, and where, so that what is wrong in it can be told at its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemFile {
    pub path: PathBuf,
    pub place: Place,
}

/// The address of `mqtt.url`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Address {
    host: String,
    port: u16,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Plain,
    Tls,
}

/// Reads `url` and `[tls]` of the section about the broker.
pub fn read(section: &mut Section<'_>) -> Option<Broker> {
    let allowed = "a broker, as \"mqtt://HOST[:PORT]\" or \"mqtts://HOST[:PORT]\"";
    let url = section.required("url", text(allowed, address));
    let tls = section.optional_table("tls").map(files);
    together(section, url?, tls)
}

/// The same for a role that may run a broker of its own; `Some(None)` is `url = "embedded"`.
pub fn read_or_embedded(section: &mut Section<'_>) -> Option<Option<Broker>> {
    let allowed = "\"mqtt://HOST[:PORT]\", \"mqtts://HOST[:PORT]\" or \"embedded\"";
    let url = section.required(
        "url",
        text(allowed, |url| if url == "embedded" { Some(None) } else { address(url).map(Some) }),
    );
    let tls = section.optional_table("tls").map(files);
    match (url?, tls) {
        (Some(address), tls) => together(section, address, tls).map(Some),
        (None, None) => Some(None),
        (None, Some(_)) => {
            section.problem(
                "tls",
                "this table beside url = \"embedded\"",
                "none: an embedded broker is on loopback and without TLS; name a broker by mqtts://HOST[:PORT], or take the table out",
            );
            None
        }
    }
}

/// TLS is written twice, by the address and by its files, so that neither can be forgotten. The inner `None` is a table with a problem that is noted.
#[expect(clippy::option_option, reason = "no table, one with a problem, and a good one are three things")]
fn together(section: &Section<'_>, address: Address, tls: Option<Option<Tls>>) -> Option<Broker> {
    let Address { host, port, way } = address;
    match (way, &tls) {
        (Way::Plain, Some(_)) => section.problem(
            "tls",
            "this table beside mqtt://",
            "only with mqtts://HOST[:PORT]: write mqtts:// in mqtt.url, or take the table out",
        ),
        (Way::Tls, None) => section.problem(
            "url",
            "mqtts:// without a table [mqtt.tls]",
            "a table [mqtt.tls] with ca = \"FILE.pem\", the authority that signs the broker's certificate; or mqtt://, without TLS",
        ),
        (Way::Plain, None) => return Some(Broker { host, port, tls: None }),
        (Way::Tls, Some(_)) => return tls.flatten().map(|tls| Broker { host, port, tls: Some(tls) }),
    }
    None
}

fn files(mut section: Section<'_>) -> Option<Tls> {
    let ca = section.required("ca", pem());
    let certificate = section.optional("certificate", pem());
    let key = section.optional("key", pem());
    let file = |name: &str, path: PathBuf| PemFile { path, place: section.place(name) };
    let client = match (certificate?, key?) {
        (Some(certificate), Some(key)) => {
            Some(Client { certificate: file("certificate", certificate), key: file("key", key) })
        }
        (None, None) => None,
        (Some(_), None) => {
            section.problem("key", "nothing", "the file of the key that belongs to mqtt.tls.certificate");
            return None;
        }
        (None, Some(_)) => {
            section.problem(
                "certificate",
                "nothing",
                "the file of the certificate that belongs to mqtt.tls.key",
            );
            return None;
        }
    };
    Some(Tls { ca: file("ca", ca?), client })
}

fn pem<'c>() -> Check<'c, PathBuf> {
    any_text().map(PathBuf::from)
}

fn address(url: &str) -> Option<Address> {
    let (way, rest) = match url.strip_prefix("mqtts://") {
        Some(rest) => (Way::Tls, rest),
        None => (Way::Plain, url.strip_prefix("mqtt://")?),
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match (rest.rsplit_once(':'), way) {
        (Some((host, port)), _) => (host, port.parse().ok()?),
        (None, Way::Plain) => (rest, PORT),
        (None, Way::Tls) => (rest, PORT_OF_TLS),
    };
    let valid = !host.is_empty() && !host.contains(['/', '@', ' ', ':']);
    valid.then(|| Address { host: host.to_owned(), port, way })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::{Document, Overlay};
    use crate::config::problem::Problems;

    fn parse(text: &str) -> Result<Option<Broker>, Problems> {
        let document = Document::parse("f.toml", text, Overlay::None)?;
        let built = read_or_embedded(&mut document.root().table("mqtt"));
        document.finish(built)
    }

    #[test]
    fn addresses_have_a_port_each() {
        let plain = |host: &str, port| Some(Address { host: host.to_owned(), port, way: Way::Plain });
        assert_eq!(address("mqtt://127.0.0.1:1884"), plain("127.0.0.1", 1884));
        assert_eq!(address("mqtt://broker.example/"), plain("broker.example", 1883));
        let tls = |host: &str, port| Some(Address { host: host.to_owned(), port, way: Way::Tls });
        assert_eq!(address("mqtts://broker.example"), tls("broker.example", 8883));
        assert_eq!(address("mqtts://broker.example:8884"), tls("broker.example", 8884));
        for bad in
            ["tcp://x:1", "mqtt://:1883", "mqtts://", "mqtt://host:99999", "mqtt://user@host", "mqttss://x"]
        {
            assert_eq!(address(bad), None, "{bad}");
        }
    }

    #[test]
    fn files_are_named_with_their_lines() {
        let text = "[mqtt]\nurl = \"mqtts://b\"\n[mqtt.tls]\nca = \"ca.pem\"\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n";
        let tls = parse(text).unwrap().unwrap().tls.unwrap();
        let client = tls.client.unwrap();
        assert_eq!((tls.ca.path.to_str(), tls.ca.place.line), (Some("ca.pem"), 4));
        assert_eq!(client.key.place.to_string(), "f.toml:6");
        assert_eq!(parse("[mqtt]\nurl = \"embedded\"\n"), Ok(None));
    }

    #[test]
    fn address_and_table_belong_together() {
        let cases = [
            ("url = \"mqtt://b\"\n[mqtt.tls]\nca = \"c\"\n", 3, "mqtt.tls", "write mqtts://"),
            ("url = \"embedded\"\n[mqtt.tls]\nca = \"c\"\n", 3, "mqtt.tls", "loopback"),
            ("url = \"mqtts://b\"\n", 2, "mqtt.url", "a table [mqtt.tls] with ca"),
            ("url = \"mqtts://b\"\n[mqtt.tls]\n", 3, "mqtt.tls.ca", "1 to 400"),
            (
                "url = \"mqtts://b\"\n[mqtt.tls]\nca = \"c\"\nkey = \"k\"\n",
                3,
                "mqtt.tls.certificate",
                "belongs to",
            ),
            (
                "url = \"mqtts://b\"\n[mqtt.tls]\nca = \"c\"\ncertificate = \"k\"\n",
                3,
                "mqtt.tls.key",
                "belongs to",
            ),
            ("url = \"mqtts://b\"\n[mqtt.tls]\nca = \"c\"\npem = \"k\"\n", 5, "mqtt.tls.pem", "known here"),
        ];
        for (text, line, key, remedy) in cases {
            let problems = parse(&format!("[mqtt]\n{text}")).unwrap_err();
            let [problem] = problems.0.as_slice() else { panic!("{text}: {problems}") };
            assert_eq!((problem.line, problem.key.as_str()), (Some(line), key), "{problem}");
            assert!(problem.allowed.contains(remedy), "{problem}");
        }
    }
}
