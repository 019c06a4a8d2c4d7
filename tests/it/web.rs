//! HTTP and `cems explain`.
