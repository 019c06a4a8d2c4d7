//! How long replay and closing take, without files and database: `cargo bench --bench replay`.
fn main() {}
