//! Certificates made for a test, and real brokers that ask for them: deploy/mosquitto.conf, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cems::config::broker::{Client, PemFile, Tls};
use cems::config::problem::Place;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use crate::support::servers::lasting_port;
use crate::support::wait::wait_until;

/// A day, as year, month and day.
pub type Day = (i32, u8, u8);
pub const LONG_AGO: Day = (2020, 1, 1);
pub const ONCE: Day = (2024, 2, 29);
pub const FAR: Day = (2090, 12, 31);

/// Signs certificates.
pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub certificate: PathBuf,
    pub folder: PathBuf,
}

/// A certificate and its key.
#[derive(Clone)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new authority; its files and all that it signs are in `folder`.
    pub fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = folder.join(format!("{name}.pem"));
        std::fs::write(&certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), certificate, folder: folder.to_owned() }
    }

    /// For clients of this common name, and for servers of this host.
    pub fn issue(&self, name: &str, (from, until): (Day, Day)) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(until.0, until.1, until.2);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pair = Pair {
            certificate: self.folder.join(format!("{name}.crt")),
            key: self.folder.join(format!("{name}.key")),
        };
        std::fs::write(&pair.certificate, certificate.pem()).unwrap();
        std::fs::write(&pair.key, key.serialize_pem()).unwrap();
        pair
    }

    /// In force for decades.
    pub fn issue_for_long(&self, name: &str) -> Pair {
        self.issue(name, (LONG_AGO, FAR))
    }

    /// What a client of this authority's is told, with this certificate.
    pub fn tls(&self, pair: Option<&Pair>) -> Tls {
        let file = |path: &Path, key: &str| PemFile {
            path: path.to_owned(),
            place: Place { file: "test".to_owned(), line: 1, key: key.to_owned() },
        };
        let client = pair.map(|pair| Client {
            certificate: file(&pair.certificate, "mqtt.tls.certificate"),
            key: file(&pair.key, "mqtt.tls.key"),
        });
        Tls { ca: file(&self.certificate, "mqtt.tls.ca"), client }
    }

    /// The same as a table of a configuration.
    pub fn table(&self, pair: &Pair) -> String {
        format!(
            "[mqtt.tls]\nca = \"{}\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
            self.certificate.display(),
            pair.certificate.display(),
            pair.key.display()
        )
    }
}

/// A broker as deploy/mosquitto.conf has it; killed when it is dropped.
pub struct TlsBroker {
    pub port: u16,
    configuration: PathBuf,
    child: Child,
}

impl TlsBroker {
    /// With this certificate, for clients of this authority's.
    pub async fn start(folder: &Path, authority: &Authority, server: &Pair) -> TlsBroker {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        let port = lasting_port();
        let path = |path: &Path| path.display().to_string();
        let text = std::fs::read_to_string(deploy.join("mosquitto.conf")).unwrap();
        let text = text
            .replace("listener 8883", &format!("user root\nlistener {port} 127.0.0.1"))
            .replace("/etc/mosquitto/certs/ca.crt", &path(&authority.certificate))
            .replace("/etc/mosquitto/certs/server.crt", &path(&server.certificate))
            .replace("/etc/mosquitto/certs/server.key", &path(&server.key))
            .replace("/etc/mosquitto/cems.acl", &path(&deploy.join("cems.acl")));
        assert!(!text.contains("\nlistener 8883") && !text.contains("\ncafile /etc"), "{text}");
        let configuration = folder.join(format!("broker-{port}.conf"));
        std::fs::write(&configuration, text).unwrap();
        let child = run(&configuration);
        let broker = TlsBroker { port, configuration, child };
        broker.listens().await;
        broker
    }

    /// Ends it as a power cut would, and starts it again on the same port.
    pub async fn restart(&mut self) {
        self.end();
        self.child = run(&self.configuration);
        self.listens().await;
    }

    async fn listens(&self) {
        wait_until(Duration::from_secs(10), "the broker to listen", || async {
            tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await
        })
        .await;
    }

    fn end(&mut self) {
        let _ended_before = self.child.kill();
        let _reaped = self.child.wait();
    }
}

impl Drop for TlsBroker {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(configuration: &Path) -> Child {
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new("mosquitto")
        .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
        .arg("-c")
        .arg(configuration)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
