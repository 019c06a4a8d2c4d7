//! Chance without memory: value noise between hashed knots. Any moment, past or future, is evaluated directly; the same
//! seed, stream and time always give the same number.

/// A source of noise; streams of one source are independent of each other.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    seed: u64,
}

impl Noise {
    /// The source of `name` under a scenario's seed.
    pub fn new(seed: u64, name: &str) -> Noise {
        let seed = name.bytes().fold(mixed(seed), |hash, byte| mixed(hash ^ u64::from(byte)));
        Noise { seed }
    }

    /// A number in [-1, 1] that wanders smoothly, with a new knot every `period_ms` (above 0).
    pub fn at(self, stream: u64, period_ms: i32, at_ms: i64) -> f64 {
        let period = i64::from(period_ms.max(1));
        let knot = at_ms.div_euclid(period);
        // Both are below the period, so they fit.
        let into = i32::try_from(at_ms.rem_euclid(period)).unwrap_or_default();
        let x = f64::from(into) / f64::from(period_ms.max(1));
        let smooth = x * x * (3.0 - 2.0 * x);
        let (left, right) = (self.knot(stream, knot), self.knot(stream, knot.wrapping_add(1)));
        left + (right - left) * smooth
    }

    /// A sine in [-1, 1] with a phase of its own a stream.
    pub fn wave(self, stream: u64, period_ms: i32, at_ms: i64) -> f64 {
        let into = i32::try_from(at_ms.rem_euclid(i64::from(period_ms.max(1)))).unwrap_or_default();
        let turns = f64::from(into) / f64::from(period_ms.max(1)) + self.knot(stream, 0);
        (turns * std::f64::consts::TAU).sin()
    }

    fn knot(self, stream: u64, knot: i64) -> f64 {
        let hash = mixed(self.seed ^ mixed(stream ^ mixed(knot.cast_unsigned())));
        let high = u32::try_from(hash >> 32).unwrap_or_default();
        f64::from(high) / f64::from(u32::MAX) * 2.0 - 1.0
    }
}

/// The finaliser of SplitMix64: every bit of the input moves every bit of the output.
fn mixed(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_stays_in_bounds_and_has_no_jumps(seed: u64, stream: u64, at in -4_000_000_000_000_i64..4_000_000_000_000) {
            let noise = Noise::new(seed, "outlet");
            let now = noise.at(stream, 10_000, at);
            prop_assert!((-1.0..=1.0).contains(&now));
            prop_assert_eq!(now, noise.at(stream, 10_000, at));
            prop_assert!((noise.at(stream, 10_000, at + 1) - now).abs() < 0.001);
            prop_assert!((-1.0..=1.0).contains(&noise.wave(stream, 10_000, at)));
        }
    }

    #[test]
    fn names_and_streams_differ_and_the_mean_is_near_zero() {
        let (a, b) = (Noise::new(1, "a"), Noise::new(1, "b"));
        assert_ne!(a.at(1, 1000, 0), b.at(1, 1000, 0));
        assert_ne!(a.at(1, 1000, 0), a.at(2, 1000, 0));
        let mean = (0..10_000).map(|knot| a.at(1, 1000, knot * 1000)).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.02, "{mean}");
    }
}
