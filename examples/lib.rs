//! The examples are beside this file: `cargo run --release --example ablation`, and so on.
