//! The scanner and a full parser agree.
