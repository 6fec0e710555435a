//! An empty library: the examples are in this folder, `cargo run --release --example ablation` and so on.
