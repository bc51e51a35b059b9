//! Stand-in.
#![expect(missing_docs, reason = "replaced")]
use crate::policy::LimitKind;
#[derive(Debug)]
pub struct Pool;
impl Pool {
    pub fn new(_kind: LimitKind, _amount: u64, _period_nanos: u64, _cores: usize) -> Self {
        Self
    }
    pub fn resize(&self, _amount: u64, _period_nanos: u64) {}
}
