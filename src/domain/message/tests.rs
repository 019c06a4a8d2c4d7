//! Words, compared.
