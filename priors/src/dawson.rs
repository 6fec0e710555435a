//! Dawson's function and its integral, computed from its differential equation.

use std::sync::OnceLock;

/// Nodes at 0, H, 2H, ..; the asymptotic series takes over at the last.
const H: f64 = 0.25;
const NODES: usize = 29;
const DEGREE: usize = 16;
/// `lim (2 int_0^x F - ln x) = γ / 2 + ln 2`.
const LIMIT: f64 = 0.981_755_013_010_711_8;

/// `K(m) = 2 int_0^x F(t) dt` with `m = x²`, and `dK/dm = F(x) / x`; `m >= 0`.
///
/// `m = 1/(2 α)` makes this the exact KL of the log-uniform prior. Both within 1e-14 relative (tests/exact_kl.rs).
pub(crate) fn kl_of_square(m: f64) -> (f64, f64) {
    let x = m.sqrt();
    let last = H * (NODES - 1) as f64;
    if x < 0.5 * H {
        // K = m - m²/3 + 4 m³/45 - .. ; in m, so that it keeps its relative accuracy down to 0.
        return series_at_zero(m);
    }
    let (k, f) = if x < last { near_node(x) } else { far(x) };
    (k, f / x)
}

/// `F(x) = sum_n (-2)^n x^(2n+1) / (2n+1)!!`, integrated term by term.
fn series_at_zero(m: f64) -> (f64, f64) {
    let (mut term, mut value, mut slope) = (1.0, 0.0, 0.0);
    for n in 0..8 {
        slope += term;
        value += term * m / f64::from(n + 1);
        term *= -2.0 * m / f64::from(2 * n + 3);
    }
    (value, slope)
}

/// `2 int_0^x F` and `F(x)` from the Taylor coefficients at the nearest node.
fn near_node(x: f64) -> (f64, f64) {
    static TABLE: OnceLock<[Taylor; NODES]> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let mut table = [Taylor::at(0.0, 0.0, 0.0); NODES];
        let (mut k, mut f) = (0.0, 0.0);
        for (i, node) in table.iter_mut().enumerate() {
            let x = H * i as f64;
            *node = Taylor::at(x, k, f);
            // Quarter steps, for the accuracy of the series.
            for j in 0..4 {
                (k, f) = Taylor::at(x + 0.25 * H * f64::from(j), k, f).step(0.25 * H);
            }
        }
        table
    });
    let i = (x / H).round() as usize;
    table[i].step(x - H * i as f64)
}

/// Both functions around a node: `2 int_0^(x0 + d) F = k + sum_n 2 f[n] d^(n+1) / (n+1)`, `F(x0 + d) = sum_n f[n] d^n`.
#[derive(Clone, Copy)]
struct Taylor {
    k: f64,
    /// `(2 f[n] / (n+1), f[n])`
    terms: [(f64, f64); DEGREE],
}

impl Taylor {
    /// `F' = 1 - 2 x F` gives every coefficient: `(n+1) f[n+1] = [n = 0] - 2 x0 f[n] - 2 f[n-1]`.
    fn at(x0: f64, k: f64, f: f64) -> Self {
        let mut terms = [(0.0, 0.0); DEGREE];
        let (mut before, mut c, mut source) = (0.0, f, 1.0);
        for (n, term) in terms.iter_mut().enumerate() {
            let next_n = (n + 1) as f64;
            *term = (2.0 * c / next_n, c);
            (before, c) = (c, (source - 2.0 * x0 * c - 2.0 * before) / next_n);
            source = 0.0;
        }
        Taylor { k, terms }
    }

    fn step(&self, d: f64) -> (f64, f64) {
        let sum = |(k, f): (f64, f64), term: &(f64, f64)| (k * d + term.0, f * d + term.1);
        let (k, f) = self.terms.iter().rev().fold((0.0, 0.0), sum);
        (self.k + k * d, f)
    }
}

/// `F(x) ~ 1/(2x) sum_n (2n-1)!! / (2 x²)^n`, integrated term by term.
fn far(x: f64) -> (f64, f64) {
    let u = 0.5 / (x * x);
    let (mut term, mut f, mut k) = (1.0, 1.0, 0.0);
    for n in 1..16 {
        term *= f64::from(2 * n - 1) * u;
        f += term;
        k -= term / f64::from(2 * n);
    }
    (x.ln() + LIMIT + k, f / (2.0 * x))
}
