//! Modbus requests into answers: functions 3 and 4 only. The time is taken when the request comes in, the registers are
//! those of this time, the ledger has them on disk, then the answer is sent.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio_modbus::server::Service;
use tokio_modbus::{ExceptionCode, Request, Response, SlaveRequest};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config::scenario::{Analyser, Outlet, Table};
use crate::domain::plant::ChannelCode;
use crate::simulator::control::Control;
use crate::simulator::ledger::{Entry, Ledger};
use crate::simulator::simulation::AnalyserKey;

/// The Modbus specification's limit of registers in one answer.
const MAX_REGISTERS: u16 = 125;

/// What all connections of one analyser share.
#[derive(Debug)]
pub(super) struct Device {
    pub key: AnalyserKey,
    pub outlet: Arc<Outlet>,
    pub analyser: Arc<Analyser>,
    pub control: Control,
    pub ledger: Option<Ledger>,
}

/// One connection.
pub(super) struct Connection {
    pub device: Arc<Device>,
    /// Given back when the connection ends.
    pub _permit: OwnedSemaphorePermit,
    pub _alive: TaskTrackerToken,
}

impl Service for Connection {
    type Request = SlaveRequest<'static>;
    type Response = Option<Response>;
    type Exception = ExceptionCode;
    type Future = Pin<Box<dyn Future<Output = Result<Option<Response>, ExceptionCode>> + Send>>;

    fn call(&self, request: SlaveRequest<'static>) -> Self::Future {
        let device = Arc::clone(&self.device);
        Box::pin(async move { device.answer(request).await })
    }
}

impl Device {
    /// `None`: no answer at all.
    async fn answer(&self, request: SlaveRequest<'static>) -> Result<Option<Response>, ExceptionCode> {
        let (at, image) = self.control.answer(self.key);
        let Some(image) = image else { return Ok(None) };
        if request.slave != self.analyser.unit {
            return Err(ExceptionCode::GatewayTargetDevice);
        }
        let (table, address, count) = if let Request::ReadHoldingRegisters(address, count) = request.request {
            (Table::Holding, address, count)
        } else if let Request::ReadInputRegisters(address, count) = request.request {
            (Table::Input, address, count)
        } else {
            return Err(ExceptionCode::IllegalFunction);
        };
        if count == 0 || count > MAX_REGISTERS {
            return Err(ExceptionCode::IllegalDataValue);
        }
        let words = image.words(table, address, count).ok_or(ExceptionCode::IllegalDataAddress)?;
        let values: Vec<(ChannelCode, f64)> = image.values(table, address, count).collect();
        if let Some(ledger) = self.ledger.as_ref().filter(|_| !values.is_empty()) {
            let entry = Entry {
                at,
                outlet: &self.outlet.code,
                analyser: &self.analyser.name,
                unit: self.analyser.unit,
                function: function(table),
                address,
                words,
                flag: image.status.flag().letter(),
                values: values
                    .iter()
                    .map(|(code, value)| (code.as_str(), *value))
                    .collect::<BTreeMap<_, _>>(),
            };
            // The writer has logged what is wrong with it.
            ledger.write(&entry).await.map_err(|_logged| ExceptionCode::ServerDeviceFailure)?;
        }
        Ok(Some(match table {
            Table::Holding => Response::ReadHoldingRegisters(words.to_vec()),
            Table::Input => Response::ReadInputRegisters(words.to_vec()),
        }))
    }
}

const fn function(table: Table) -> u8 {
    match table {
        Table::Holding => 3,
        Table::Input => 4,
    }
}
