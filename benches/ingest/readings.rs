//! Scans of 16 channels as analysers give them: half of the channels 32-bit floats, half scaled integers; every tenth scan lacks values.

use cems::domain::flag::Flag;
use cems::domain::plant::ChannelCode;
use cems::domain::scan::Reading;
use jiff::{SignedDuration, Timestamp};

use crate::crowd::Tick;
use crate::support::plant::CHANNELS;

/// So many ticks of all outlets, tick by tick, 2 s apart.
pub fn ticks(outlets: usize, from: Timestamp, count: usize, seed: u64) -> Vec<Tick> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut codes: Vec<(ChannelCode, f64)> =
        CHANNELS.iter().map(|(code, _, _, mean)| (ChannelCode::new(code).unwrap(), *mean)).collect();
    codes.sort_by_key(|(code, _)| *code);
    let mut all = Vec::with_capacity(outlets * count);
    for tick in 0..count {
        let at = from + SignedDuration::from_secs(2 * i64::try_from(tick).unwrap());
        for outlet in 0..outlets {
            let gaps = random.u8(0..10) == 0;
            let mut reading = |(index, (code, mean)): (usize, &(ChannelCode, f64))| {
                if gaps && random.u8(0..8) == 0 {
                    return (*code, Reading { value: None, flag: Flag::Communication });
                }
                let value = mean * (0.9 + 0.2 * random.f64());
                let value = if index % 2 == 0 {
                    // As a 32-bit float: what the register holds, to its last bit.
                    #[expect(clippy::cast_possible_truncation, reason = "that is what the register does")]
                    f64::from(value as f32)
                } else {
                    (value * 100.0).round() * 0.01
                };
                (*code, Reading { value: Some(value), flag: Flag::Normal })
            };
            let readings = codes.iter().enumerate().map(&mut reading).collect();
            all.push(Tick { outlet, at, readings });
        }
    }
    all
}
