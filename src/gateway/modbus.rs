//! One Modbus TCP connection to one analyser. After a time-out, a broken link or an answer that does not belong to the
//! request, the connection is dropped: whatever still arrives on it can then never be taken for an answer to a later
//! request. Requests go through `call`, because the crate's read functions assert the answer's length in debug builds.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio_modbus::client::{Client, Context};
use tokio_modbus::{ExceptionCode, Request, Response, Slave};

use crate::clock;
use crate::config::gateway::{Analyser, Table};
use crate::gateway::plan::Block;

const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// Why a block has no answer, by whose fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("no answer in time")]
    Timeout,
    #[error("no link: {0}")]
    Link(std::io::Error),
    #[error("not tried again before its back-off is over")]
    Resting,
    #[error("the analyser refused with exception {0}; check the register addresses")]
    Exception(ExceptionCode),
    #[error("the answer does not fit the request: {0}")]
    Answer(String),
}

impl Fault {
    /// One word for counting.
    pub fn outcome(&self) -> &'static str {
        match self {
            Fault::Timeout => "timeout",
            Fault::Link(_) | Fault::Resting => "link",
            Fault::Exception(_) => "exception",
            Fault::Answer(_) => "answer",
        }
    }

    /// Whether the analyser answered us and can be asked on.
    pub fn is_exception(&self) -> bool {
        matches!(self, Fault::Exception(_))
    }
}

/// The link to one analyser.
pub struct Link {
    address: String,
    unit: u8,
    timeout: Duration,
    context: Option<Context>,
    /// Connections in a row that failed, or that never gave an answer.
    failures: u32,
    rest_until: Instant,
}

impl Link {
    /// Not yet connected.
    pub fn new(analyser: &Analyser) -> Link {
        Link {
            address: analyser.address.clone(),
            unit: analyser.unit,
            timeout: analyser.timeout,
            context: None,
            failures: 0,
            rest_until: clock::monotonic(),
        }
    }

    /// The words of one block, exactly as many as asked for.
    ///
    /// # Errors
    /// A [`Fault`]; after any but an exception the connection is gone and the next call makes a new one.
    pub async fn read(&mut self, block: Block, deadline: Instant) -> Result<Vec<u16>, Fault> {
        let result = self.attempt(block, deadline).await;
        match &result {
            Ok(_) | Err(Fault::Exception(_)) => self.failures = 0,
            Err(Fault::Resting) => {}
            Err(Fault::Timeout | Fault::Link(_) | Fault::Answer(_)) => {
                self.context = None;
                self.failures = self.failures.saturating_add(1);
                self.rest_until = clock::monotonic() + rest(self.failures);
            }
        }
        result
    }

    async fn attempt(&mut self, block: Block, deadline: Instant) -> Result<Vec<u16>, Fault> {
        if self.context.is_none() {
            if clock::monotonic() < self.rest_until {
                return Err(Fault::Resting);
            }
            let connecting = TcpStream::connect(&self.address);
            let stream = in_time(self.time_left(deadline), connecting).await?.map_err(Fault::Link)?;
            stream.set_nodelay(true).map_err(Fault::Link)?;
            self.context = Some(tokio_modbus::client::tcp::attach_slave(stream, Slave(self.unit)));
        }
        let left = self.time_left(deadline);
        let Some(context) = self.context.as_mut() else { return Err(Fault::Timeout) };
        let request = match block.table {
            Table::Holding => Request::ReadHoldingRegisters(block.address, block.count),
            Table::Input => Request::ReadInputRegisters(block.address, block.count),
        };
        let response = in_time(left, context.call(request)).await?.map_err(|error| match error {
            tokio_modbus::Error::Protocol(error) => Fault::Answer(error.to_string()),
            tokio_modbus::Error::Transport(error) => Fault::Link(error),
        })?;
        let words = words_of(block.table, response.map_err(Fault::Exception)?)?;
        if words.len() == usize::from(block.count) {
            return Ok(words);
        }
        Err(Fault::Answer(format!("asked for {} registers, got {}", block.count, words.len())))
    }

    fn time_left(&self, deadline: Instant) -> Duration {
        self.timeout.min(deadline.saturating_duration_since(clock::monotonic()))
    }
}

fn words_of(table: Table, response: Response) -> Result<Vec<u16>, Fault> {
    match (table, response) {
        (Table::Holding, Response::ReadHoldingRegisters(words))
        | (Table::Input, Response::ReadInputRegisters(words)) => Ok(words),
        (Table::Holding | Table::Input, other) => {
            Err(Fault::Answer(format!("an answer of another kind: {other:?}")))
        }
    }
}

async fn in_time<T>(left: Duration, work: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(left, work).await.map_err(|_elapsed| Fault::Timeout)
}

/// None after the first failure (most are one lost packet), then 0.25 s doubling to 5 s.
fn rest(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        more => Duration::from_millis(125 << (more - 1).min(8)).min(BACK_OFF_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_is_forgiven_and_many_are_bounded() {
        assert_eq!(rest(1), Duration::ZERO);
        assert_eq!(rest(2), Duration::from_millis(250));
        assert_eq!(rest(u32::MAX), BACK_OFF_MAX);
    }
}
