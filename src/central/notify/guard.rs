//! Where messages may go. Addresses come from people's settings, and a centre sits inside a network that strangers must not be shown
//! around in: the host must be allowed, and so must the address that is really connected to, whatever the name server says.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::config::central::{Alerting, HostPattern};

/// A name server that takes longer is of no use to an alert.
const LONGEST_LOOKUP: Duration = Duration::from_secs(4);
/// A lookup cannot be given up, only not waited for: a dead name must not fill the pool that all names are looked up by.
const LOOKUPS_OF_A_NAME: usize = 4;

/// Finds the addresses of a name.
pub type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;
/// One lookup under way.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The machine's own resolver.
pub fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            Ok(tokio::net::lookup_host((host, 0)).await?.map(|address| address.ip()).collect())
        })
    })
}

/// Decides where messages may go.
#[derive(Clone)]
pub struct Guard {
    allowed: Arc<[HostPattern]>,
    allow_private: bool,
    lookup: Lookup,
    /// Lookups under way, by name.
    under_way: Arc<Mutex<HashMap<String, usize>>>,
}

/// Why a host is not spoken to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({:?}, allow_private: {})", self.allowed, self.allow_private)
    }
}

impl Guard {
    /// By the centre's settings.
    pub fn new(alerting: &Alerting, lookup: Lookup) -> Guard {
        Guard {
            allowed: alerting.allowed_hosts.clone().into(),
            allow_private: alerting.allow_private,
            lookup,
            under_way: Arc::default(),
        }
    }

    /// Whether an address may be spoken to as far as it tells by itself. An address in numbers is never looked up, so it is judged here.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, url: &Url) -> Result<(), Refusal> {
        if !["http", "https"].contains(&url.scheme()) {
            return Err(Refusal(format!("only http and https are spoken, not {}", url.scheme())));
        }
        let Some(host) = url.host_str() else {
            return Err(Refusal("the address has no host".to_owned()));
        };
        self.check_host(host)?;
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => self.check_address(host, ip),
            Err(_name) => Ok(()),
        }
    }

    fn check_host(&self, host: &str) -> Result<(), Refusal> {
        if self.allowed.is_empty() || self.allowed.iter().any(|pattern| pattern.matches(host)) {
            return Ok(());
        }
        Err(Refusal(format!(
            "the host {host} is not allowed; add it to [alerting] allowed_hosts of the centre"
        )))
    }

    fn check_address(&self, host: &str, ip: IpAddr) -> Result<(), Refusal> {
        if self.allow_private || is_public(ip) {
            return Ok(());
        }
        Err(Refusal(format!(
            "{host} has the address {ip}, which is not of the public internet; if that is right, set [alerting] \
             allow_private = true and name the hosts in allowed_hosts"
        )))
    }

    /// The addresses of a host that may be connected to.
    ///
    /// # Errors
    /// [`Refusal`] when it is not allowed, unknown, or the name server is slow.
    pub async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Refusal> {
        self.check_host(host)?;
        let found = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(ip) => vec![ip],
            Err(_name) => self.look_up(host).await?,
        };
        let mut refused = Refusal(format!("the name {host} has no address"));
        let mut good = Vec::new();
        for ip in found {
            match self.check_address(host, ip) {
                Ok(()) => good.push(SocketAddr::new(ip, port)),
                Err(refusal) => refused = refusal,
            }
        }
        if good.is_empty() { Err(refused) } else { Ok(good) }
    }

    async fn look_up(&self, host: &str) -> Result<Vec<IpAddr>, Refusal> {
        let Some(seat) = Seat::take(&self.under_way, host) else {
            return Err(Refusal(format!("the name {host} is being looked up already, and nobody answers")));
        };
        let looking = (self.lookup)(host.to_owned());
        // It goes on when nobody waits for it any more, and keeps its seat.
        let looking = tokio::spawn(async move {
            let found = looking.await;
            drop(seat);
            found
        });
        match tokio::time::timeout(LONGEST_LOOKUP, looking).await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(error))) => Err(Refusal(format!("the name {host} cannot be found: {error}"))),
            Ok(Err(_broken)) => Err(Refusal(format!("the lookup of {host} broke off"))),
            Err(_late) => Err(Refusal(format!(
                "the name server did not find {host} within {} s; check the name and the machine's name servers",
                LONGEST_LOOKUP.as_secs()
            ))),
        }
    }
}

/// One of the lookups of a name that may be under way.
struct Seat {
    under_way: Arc<Mutex<HashMap<String, usize>>>,
    host: String,
}

impl Seat {
    fn take(under_way: &Arc<Mutex<HashMap<String, usize>>>, host: &str) -> Option<Seat> {
        let mut counts = under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(host.to_owned()).or_default();
        (*count < LOOKUPS_OF_A_NAME).then(|| {
            *count += 1;
            Seat { under_way: Arc::clone(under_way), host: host.to_owned() }
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.host);
            }
        }
    }
}

/// What an HTTP client connects to is what was judged: there is no second lookup in between.
impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            // Port 0 is replaced by that of the address.
            let found = guard.addresses(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is of the public internet. What carries an IPv4 address within it is judged by that one.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b, c) {
        // This network, private, loopback, multicast, reserved and broadcast.
        (0 | 10 | 127 | 224..=255, _, _) => true,
        // Shared by carriers (100.100.100.200 tells a cloud machine's secrets), link-local (169.254.169.254 does too), private.
        (100, 64..=127, _) | (169, 254, _) | (172, 16..=31, _) | (192, 168, _) => true,
        // Protocols, documentation, the old 6to4 relay, benchmarks.
        (192, 0, 0 | 2) | (192, 88, 99) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    };
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let within = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match ip.segments() {
        // ::, ::1, IPv4 mapped, translated and compatible.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => within(high, low),
        [0x2002, high, low, ..] => within(high, low),
        // Teredo, documentation.
        [0x2001, 0 | 0xdb8, ..] => false,
        // Only 2000::/3 is given out: not ULA (fd00:ec2::254 tells a cloud machine's secrets), link-local, multicast.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

#[cfg(test)]
mod tests;
