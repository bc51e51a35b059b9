//! Stand-in.
#![expect(missing_docs, reason = "replaced")]
use std::time::Duration;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    pub failures: u32,
    pub window: Duration,
    pub open: Duration,
}
#[derive(Debug)]
pub struct Breaker;
impl Breaker {
    pub fn new(_settings: BreakerSettings) -> Self {
        Self
    }
    pub fn set(&self, _settings: BreakerSettings) {}
}
