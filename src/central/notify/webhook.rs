//! HTTP POST of the alert's JSON (`domain::alert::Alert`). 2xx is delivered; anything else is tried again.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::central::notify::Answer;

/// No endpoint may keep us longer.
const LONGEST: Duration = Duration::from_secs(10);

/// The client for all webhooks: no redirects, bounded waits.
///
/// # Errors
/// A text when TLS cannot be set up; deliveries then wait and say so.
pub fn client() -> Result<reqwest::Client, String> {
    // A second installation only says that there is one already.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(LONGEST)
        .tcp_nodelay(true)
        .user_agent(concat!("cems/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}

/// Posts one alert.
pub async fn post(client: &reqwest::Client, url: &str, id: &str, body: &serde_json::Value) -> Answer {
    let request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header("X-Cems-Alert", id)
        .body(body.to_string());
    match request.send().await {
        Ok(response) if response.status().is_success() => {
            Answer::Taken { status: Some(response.status().as_u16()) }
        }
        Ok(response) => {
            let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let after = after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
            let status = Some(response.status().as_u16());
            Answer::Later { reason: format!("the endpoint answered {}", response.status()), after, status }
        }
        // The address may hold a secret token: it is not repeated.
        Err(error) => Answer::Later {
            reason: format!("the endpoint cannot be reached: {}", error.without_url()),
            after: None,
            status: None,
        },
    }
}
