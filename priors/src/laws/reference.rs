//! Integrals by brute force, in `f64`, with no code in common with the formulas that they check.

/// KL(q || p) by dense quadrature, with `σ dKL/dθ` and `dKL/dlog σ²`.
///
/// With f = ln p and t = (w - θ) / σ, the score identities need no derivative of f:
/// ```text
/// KL = -H(q) - E f,    σ dKL/dθ = -E[t (f - f0)],    dKL/dlog σ² = -1/2 - E[(t² - 1)(f - f0)] / 2
/// ```
/// for any constant f0; f(θ + σ) keeps the differences small, and is finite where f has a pole at w = 0 = θ.
pub(super) fn kl(ln_pdf: &impl Fn(f64) -> f64, theta: f64, sigma: f64) -> [f64; 3] {
    let centre = ln_pdf(theta + sigma);
    let [mut mass, mut first, mut slope, mut spread] = [0.0; 4];
    let edges = edges(-theta / sigma);
    for ends in edges.windows(2) {
        let (middle, half) = (0.5 * (ends[0] + ends[1]), 0.5 * (ends[1] - ends[0]));
        for (node, weight) in GAUSS.iter().flat_map(|&(x, w)| [(x, w), (-x, w)]) {
            let t = middle + half * node;
            let p = half * weight * (-0.5 * t * t).exp();
            let excess = ln_pdf(theta + sigma * t) - centre;
            mass += p;
            first += p * excess;
            slope += p * t * excess;
            spread += p * (t * t - 1.0) * excess;
        }
    }
    let minus_entropy = -0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).ln() - sigma.ln();
    [minus_entropy - centre - first / mass, -slope / mass, -0.5 - 0.5 * spread / mass]
}

/// Panels over ±9 standard deviations: half-unit ones, and ones that halve towards `origin`, where w = 0.
fn edges(origin: f64) -> Vec<f64> {
    const END: f64 = 9.0;
    let even = (0..=36).map(|i| f64::from(i) * 0.5 - END);
    let graded = (0..35).flat_map(|i| [origin + 20.0 * 0.5_f64.powi(i), origin - 20.0 * 0.5_f64.powi(i)]);
    let mut edges: Vec<f64> =
        even.chain(graded).chain([origin]).filter(|edge| edge.abs() <= END && edge.is_finite()).collect();
    edges.sort_by(f64::total_cmp);
    edges
}

/// The integral of `e^ln_pdf` over the line, by the trapezoidal rule in ln |w| from -90 to 90.
pub(super) fn mass(ln_pdf: &dyn Fn(f64) -> f64, step: f64) -> f64 {
    let at = |i: i32| {
        let u = f64::from(i) * step;
        let w = u.exp();
        (ln_pdf(w) + u).exp() + (ln_pdf(-w) + u).exp()
    };
    let ends = (90.0 / step).round() as i32;
    (-ends..=ends).map(at).sum::<f64>() * step
}

/// The integral of a function between two numbers, by 20 points.
pub(super) fn integral(f: &impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    let (middle, half) = (0.5 * (from + to), 0.5 * (to - from));
    GAUSS.iter().map(|&(x, w)| w * (f(middle - half * x) + f(middle + half * x))).sum::<f64>() * half
}

/// The positive half of the 20-point Gauss-Legendre rule on [-1, 1].
const GAUSS: [(f64, f64); 10] = [
    (0.076_526_521_133_497_34, 0.152_753_387_130_726_28),
    (0.227_785_851_141_645_07, 0.149_172_986_472_604_24),
    (0.373_706_088_715_419_55, 0.142_096_109_318_382_4),
    (0.510_867_001_950_827_1, 0.131_688_638_449_176_9),
    (0.636_053_680_726_515, 0.118_194_531_961_518_6),
    (0.746_331_906_460_150_8, 0.101_930_119_817_240_7),
    (0.839_116_971_822_218_8, 0.083_276_741_576_704_71),
    (0.912_234_428_251_326, 0.062_672_048_334_108_79),
    (0.963_971_927_277_913_8, 0.040_601_429_800_386_446),
    (0.993_128_599_185_095, 0.017_614_007_139_150_893),
];
