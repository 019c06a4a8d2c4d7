//! Integration tests on real parts: one binary, one file a topic.

/// Pollutants, rules and plant in a real PostgreSQL.
mod plant;
