//! One HTTP request to an endpoint that may be slow, huge or false: bounded in time and in what is read, never redirected, and never
//! quoted with its address, which may hold a token.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, Response, Url};

use crate::central::notify::guard::{Guard, Refusal};
use crate::central::notify::{Answer, later};
use crate::clock;

/// No endpoint may keep us longer, from the lookup of its name to its last byte.
pub const LONGEST: Duration = Duration::from_secs(10);
/// Name, connection and handshake.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
/// What is read of an answer.
pub const MOST_READ: usize = 64 * 1024;
/// An answer whose content nobody needs is read to its end so long, to keep the connection.
const LONGEST_DRAIN: Duration = Duration::from_millis(500);

/// What is asked.
pub struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<String>,
    pub reads: Reads,
}

/// What is wanted of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    Status,
    Body,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// When it wants to be asked again.
    pub after: Option<Duration>,
    /// The first [`MOST_READ`] bytes, where they were wanted.
    pub body: Vec<u8>,
}

/// A client that keeps the bounds; with a guard it connects only where that lets it.
///
/// # Errors
/// A text when TLS cannot be set up.
pub fn client(guard: Option<Guard>, authorities: &[Vec<u8>]) -> Result<reqwest::Client, String> {
    // A second installation only says that there is one already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let explained = |error: reqwest::Error| format!("no HTTP client: {}", chain(&error));
    let mut certificates = Vec::new();
    for pem in authorities {
        certificates.extend(reqwest::Certificate::from_pem_bundle(pem).map_err(explained)?);
    }
    let builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        // A proxy of the environment would connect in our place, where no guard looks.
        .no_proxy()
        .connect_timeout(LONGEST_CONNECT)
        .timeout(LONGEST)
        .pool_idle_timeout(Duration::from_secs(30))
        .tcp_nodelay(true)
        .tls_certs_merge(certificates)
        .user_agent(concat!("cems/", env!("CARGO_PKG_VERSION")));
    let builder = match guard {
        Some(guard) => builder.dns_resolver(guard),
        None => builder,
    };
    builder.build().map_err(explained)
}

/// Asks. An answer of any status is a reply.
///
/// # Errors
/// [`Answer::Later`] when there is none.
pub async fn call(client: &reqwest::Client, guard: &Guard, call: Call) -> Result<Reply, Answer> {
    guard.check(&call.url).map_err(|refusal| later(refusal.0))?;
    let mut request = client.request(call.method, call.url).headers(call.headers);
    if let Some(body) = call.body {
        request = request.body(body);
    }
    let mut response = request.send().await.map_err(unreachable_endpoint)?;
    let status = response.status().as_u16();
    let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(wait);
    let mut body = Vec::new();
    match call.reads {
        Reads::Body => read(&mut response, &mut body).await.map_err(unreachable_endpoint)?,
        Reads::Status => {
            // What it says after its status changes nothing.
            let _whatever = tokio::time::timeout(LONGEST_DRAIN, read(&mut response, &mut body)).await;
            body.clear();
        }
    }
    Ok(Reply { status, after, body })
}

async fn read(response: &mut Response, body: &mut Vec<u8>) -> Result<(), reqwest::Error> {
    while let Some(chunk) = response.chunk().await? {
        let room = MOST_READ.saturating_sub(body.len());
        body.extend(chunk.iter().take(room));
        if chunk.len() > room {
            break;
        }
    }
    Ok(())
}

/// Seconds, or a date (RFC 9110, 10.2.3).
fn wait(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(Duration::try_from(at.duration_since(clock::now())).unwrap_or(Duration::ZERO))
}

fn unreachable_endpoint(error: reqwest::Error) -> Answer {
    if error.is_timeout() && !error.is_connect() {
        return later(format!("the endpoint did not answer within {} s", LONGEST.as_secs()));
    }
    // The address may hold a secret token: it is not repeated.
    let error = error.without_url();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return later(refusal.0.clone());
        }
        cause = error.source();
    }
    later(format!("the endpoint cannot be reached: {}", chain(&error)))
}

/// An error with its causes, each once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

impl Reply {
    /// By its status alone: 2xx is taken, anything else is tried again.
    pub fn by_status(&self) -> Answer {
        let status = Some(self.status);
        match self.status {
            200..=299 => Answer::Taken { status },
            300..=399 => Answer::Later {
                reason: format!(
                    "the endpoint answered {} and wants us elsewhere; nothing is sent to where nobody has put it: correct the address",
                    self.status
                ),
                after: self.after,
                status,
            },
            other => {
                Answer::Later { reason: format!("the endpoint answered {other}"), after: self.after, status }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        assert_eq!(wait("120"), Some(Duration::from_mins(2)));
        assert_eq!(wait("soon"), None);
        assert_eq!(wait("-5"), None);
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let later = clock::now() + jiff::SignedDuration::from_secs(90);
        let date = later.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let found = wait(&date).unwrap();
        assert!((88..=90).contains(&found.as_secs()), "{date}: {found:?}");
    }
}
