//! Each kind of alert, provoked as it comes about: by scans, statuses and events as gateways send them. Its words are compared in both
//! languages.

/// What values show.
mod values;
