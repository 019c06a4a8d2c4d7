//! How often something may go wrong in a minute before nobody is listened to who may be guessing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

const SPAN: Duration = Duration::from_mins(1);

/// Counts within a minute.
pub(super) struct Limiter {
    most: u32,
    state: Mutex<(Instant, u32)>,
}

impl Limiter {
    pub(super) fn new(most: u32) -> Limiter {
        Limiter { most, state: Mutex::new((clock::monotonic(), 0)) }
    }

    /// Whether there were too many.
    pub(super) fn is_over(&self) -> bool {
        self.now(0) >= self.most
    }

    /// One more.
    pub(super) fn note(&self) {
        self.now(1);
    }

    fn now(&self, more: u32) -> u32 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.0.elapsed() >= SPAN {
            *state = (clock::monotonic(), 0);
        }
        state.1 = state.1.saturating_add(more);
        state.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_after_as_many_as_may_be() {
        let limiter = Limiter::new(2);
        assert!(!limiter.is_over());
        limiter.note();
        assert!(!limiter.is_over());
        limiter.note();
        assert!(limiter.is_over());
    }
}
