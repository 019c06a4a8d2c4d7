//! Short numbers for (gateway, epoch, configuration).

use std::collections::HashMap;

use crate::store::session::{Failure, Session, execute, query_one};

/// Gateway's key, epoch, configuration hash.
pub type Origin = (i32, uuid::Uuid, [u8; 32]);

/// Remembers the numbers that are known.
#[derive(Debug, Default)]
pub struct Provenances(HashMap<Origin, i32>);

impl Provenances {
    /// The number of an origin, made when it is new.
    ///
    /// # Errors
    /// [`Failure`] when the database does not answer.
    pub async fn number(&mut self, session: &mut Session, origin: &Origin) -> Result<i32, Failure> {
        if let Some(number) = self.0.get(origin) {
            return Ok(*number);
        }
        let client = session.client().await?;
        let epoch = origin.1.to_string();
        let cfg: &[u8] = &origin.2;
        // Insert and read are two statements: a row that another centre has just made is seen by the second.
        let insert = execute(client, "INSERT INTO provenance (gateway_id, epoch, cfg) VALUES ($1, $2::text::uuid, $3) ON CONFLICT DO NOTHING",
            &[&origin.0, &epoch, &cfg],
        ).await;
        insert?;
        let select = query_one(
            client,
            "SELECT id FROM provenance WHERE gateway_id = $1 AND epoch = $2::text::uuid AND cfg = $3",
            &[&origin.0, &epoch, &cfg],
        )
        .await;
        let number: i32 = select?.get(0);
        self.0.insert(*origin, number);
        Ok(number)
    }
}
