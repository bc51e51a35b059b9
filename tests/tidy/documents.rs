//! Documents that are made from the code, and those that must say what it says.
