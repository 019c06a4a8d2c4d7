//! `/api/v1/outlets`

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;

use crate::clock;
use crate::domain::plant::is_outlet_code;
use crate::web::Web;
use crate::web::auth::Caller;
use crate::web::error::Refused;
use crate::web::overview::{View, overview};
use crate::web::parameters::{Parameters, shown};

#[derive(Debug, Serialize)]
pub(in crate::web) struct Page {
    outlets: Vec<View>,
    /// Address of the next page.
    next: Option<String>,
}

/// Outlets by code, from the one after `after`.
pub(in crate::web) async fn outlets(
    State(web): State<Arc<Web>>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Page>, Refused> {
    let parameters = Parameters::read(&uri, &["after", "limit"])?;
    let limit = parameters.limit(200, 1000)?;
    let after = parameters.text("after").unwrap_or_default();
    if !after.is_empty() && !is_outlet_code(after) {
        let text = format!("after is the code of an outlet; found {}", shown(after));
        return Err(Refused::parameter("after", text));
    }
    let plant = web.plant();
    let rest = plant.outlets.iter().skip_while(|outlet| &*outlet.code <= after);
    let rest = rest.filter(|outlet| super::sees(&caller, outlet));
    let page: Vec<_> = rest.take(usize::from(limit) + 1).cloned().collect();
    let shown = page.get(..usize::from(limit)).unwrap_or(&page);
    let last = shown.last().filter(|_| shown.len() < page.len());
    let next = last.map(|outlet| format!("/api/v1/outlets?after={}&limit={limit}", outlet.code));
    Ok(Json(Page { outlets: overview(&web, shown, clock::now()).await?, next }))
}
