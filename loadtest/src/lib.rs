//! A strict scripted model provider and an open-loop load generator.
