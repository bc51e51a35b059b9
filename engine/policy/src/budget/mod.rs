//! Budgets: how much money, how many tokens or requests a scope may use in a window of the calendar, or at all.

pub mod fund;
pub mod window;

pub use fund::{Fund, Grant, Level, Lot, Raise, Short};
pub use window::{Calendar, Period, Window};
