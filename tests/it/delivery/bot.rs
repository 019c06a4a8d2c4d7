//! A bot of a group: takes JSON and answers as DingTalk, WeCom and Feishu do when all is well.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

#[derive(Clone, Default)]
pub struct Bot {
    received: Arc<Mutex<Vec<(Instant, Value)>>>,
    pub url: String,
}

impl Bot {
    pub async fn listen() -> Bot {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/robot/send", listener.local_addr().unwrap());
        let bot = Bot { url, ..Bot::default() };
        let routes =
            axum::Router::new().route("/robot/send", axum::routing::post(take)).with_state(bot.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        bot
    }

    /// All messages so far.
    pub fn received(&self) -> Vec<(Instant, Value)> {
        self.received.lock().unwrap().clone()
    }
}

async fn take(State(bot): State<Bot>, Json(body): Json<Value>) -> Json<Value> {
    bot.received.lock().unwrap().push((cems::clock::monotonic(), body));
    Json(json!({"errcode": 0, "errmsg": "ok", "code": 0, "msg": "success"}))
}
