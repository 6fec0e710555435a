//! The figure and the table of paper-notes/kl.md, with the error of each form of the log-uniform KL, and the table of
//! paper-notes/initialisation.md, with the cost and the saving of removing a weight.
//!
//! ```text
//! cargo run --release -p sparsevd-priors --example kl_figure
//! ```

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;
use sparsevd_priors::{Ard, Dual, LogUniform, Normal, Prior};

// Colours that are readable on white and on black; the background is transparent.
const TEXT: RGBColor = RGBColor(128, 128, 128);
const FIT: RGBColor = RGBColor(214, 73, 91);
const CUBIC: RGBColor = RGBColor(52, 142, 196);
const ARD: RGBColor = RGBColor(222, 148, 40);

/// KL and dKL/dlog α, at σ = 1 and θ = e^(-log α / 2).
fn kl(prior: &impl Prior, log_alpha: f64) -> (f64, f64) {
    let (mean, log_var) = Dual::inputs((-0.5 * log_alpha).exp(), 0.0);
    let kl = prior.kl(Normal::new(mean, log_var));
    (kl.value, kl.grad[1])
}

type Form = (&'static str, RGBColor, Box<dyn Fn(f64) -> (f64, f64)>);

fn approximations() -> [Form; 3] {
    [
        ("sigmoid fit", FIT, Box::new(|a| kl(&LogUniform::Fit, a))),
        ("cubic", CUBIC, Box::new(|a| kl(&LogUniform::Cubic, a))),
        ("ARD", ARD, Box::new(|a| kl(&Ard::per_weight(), a))),
    ]
}

fn exact(log_alpha: f64) -> (f64, f64) {
    kl(&LogUniform::Exact, log_alpha)
}

fn grid(from: f64, to: f64) -> impl Iterator<Item = f64> {
    (0..=20_000).map(move |i| from + (to - from) * f64::from(i) / 20_000.0)
}

/// The position and the signed value of the largest of these errors.
fn worst(errors: impl Iterator<Item = (f64, f64)>) -> (f64, f64) {
    errors.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs())).unwrap_or((f64::NAN, f64::NAN))
}

fn print_table() {
    println!("| form | log alpha | largest error, nats | at | largest error of dKL/dlog alpha | at |");
    println!("|---|---|---|---|---|---|");
    for (name, _, form) in approximations() {
        // The cubic ends at log α = 0, which belongs to the part on the right.
        for (from, to) in [(-10.0, 10.0), (-10.0, -1e-9), (0.0, 10.0), (3.0, 10.0)] {
            let (at, value) = worst(grid(from, to).map(|a| (a, form(a).0 - exact(a).0)));
            let (slope_at, slope) = worst(grid(from, to).map(|a| (a, form(a).1 - exact(a).1)));
            let [to, at, slope_at] = [to, at, slope_at].map(|x| (100.0 * x).round() / 100.0 + 0.0); // no -0
            println!("| {name} | {from} to {to} | {value:+.2e} | {at} | {slope:+.2e} | {slope_at} |");
        }
    }
}

/// The cost of removing a weight, and the KL that it saves, in nats. The cost in likelihood is H θ² / 2 if the
/// log-likelihood is quadratic in the weight with curvature H, and H σ² / 2 = -dKL/dlog σ² if σ is optimal.
fn cost_and_saving(prior: &impl Prior, log_alpha: f64) -> (f64, f64) {
    let (saving, slope) = kl(prior, log_alpha);
    (-slope * (-log_alpha).exp(), saving)
}

/// The log α at which the two are equal: above it, removing a weight increases the ELBO.
fn break_even(prior: &impl Prior) -> f64 {
    let (mut low, mut high) = (-3.0, 3.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let (cost, saving) = cost_and_saving(prior, middle);
        *(if cost < saving { &mut high } else { &mut low }) = middle;
    }
    high
}

/// Prints the cost and the saving of removing a weight, and the log α at which they are equal.
fn print_worth() {
    let at = [3.0, 2.0, 1.0, 0.0, -0.5, -1.0];
    let row = |what: &str, f: &dyn Fn(f64) -> f64| {
        println!("| {what} | {} |", at.map(|a| format!("{:.4}", f(a))).join(" | "))
    };
    println!("\n| log alpha | {} |\n|---|{}", at.map(|a| a.to_string()).join(" | "), "---|".repeat(at.len()));
    row("costs, nats", &|a| cost_and_saving(&LogUniform::Exact, a).0);
    row("at most, if only H <= 1 / sigma^2", &|a| 0.5 * (-a).exp());
    row("saves, nats", &|a| cost_and_saving(&LogUniform::Exact, a).1);
    let even = [break_even(&LogUniform::Exact), break_even(&LogUniform::Fit), break_even(&Ard::per_weight())];
    println!("\nequal at log alpha = {:.2}; with the sigmoid fit {:.2}, with ARD {:.2}", even[0], even[1], even[2]);
}

fn text(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&TEXT)
}

/// One panel's axes, grid and captions on the chart built by `$chart`, in `TEXT`.
macro_rules! axes {
    ($chart:expr, $y:expr) => {
        $chart
            .configure_mesh()
            .axis_style(TEXT)
            .bold_line_style(TEXT.mix(0.25))
            .light_line_style(TRANSPARENT)
            .label_style(text(28))
            .axis_desc_style(text(30))
            .x_desc("log alpha (natural log)")
            .y_desc($y)
    };
}

macro_rules! legend {
    ($chart:expr, $position:expr) => {
        $chart
            .configure_series_labels()
            .position($position)
            .label_font(text(28))
            .legend_area_size(56)
            .margin(16)
            .draw()?
    };
}

fn draw(root: &DrawingArea<SVGBackend, Shift>) -> Result<(), Box<dyn Error>> {
    let (left, right) = root.split_horizontally(960);

    let mut panel = ChartBuilder::on(&left)
        .margin(24)
        .margin_right(52)
        .x_label_area_size(84)
        .y_label_area_size(112)
        .caption("KL of one weight", text(34))
        .build_cartesian_2d(-10.0..10.0, 0.0..6.0)?;
    axes!(panel, "KL (nats)").draw()?;
    let thick = TEXT.stroke_width(12);
    panel
        .draw_series(LineSeries::new(grid(-10.0, 10.0).step_by(100).map(|a| (a, exact(a).0)), thick))?
        .label("exact")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 44, y)], thick));
    for (name, color, form) in approximations() {
        let style = color.stroke_width(4);
        panel
            .draw_series(LineSeries::new(grid(-10.0, 10.0).step_by(100).map(|a| (a, form(a).0)), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 44, y)], style));
    }
    legend!(panel, SeriesLabelPosition::UpperRight);

    let mut panel = ChartBuilder::on(&right)
        .margin(24)
        .margin_right(52)
        .x_label_area_size(84)
        .y_label_area_size(128)
        .caption("Distance from the exact KL", text(34))
        .build_cartesian_2d(-10.0..10.0, (1e-5..1.0).log_scale())?;
    axes!(panel, "|KL - exact| (nats)").y_label_formatter(&|y| format!("{y:.0e}")).y_labels(6).draw()?;
    for (name, color, form) in approximations() {
        let style = color.stroke_width(4);
        let distance = |a: f64| (a, (form(a).0 - exact(a).0).abs());
        let seen = |&(_, y): &(f64, f64)| y > 1e-5;
        panel
            .draw_series(LineSeries::new(grid(-10.0, 10.0).step_by(40).map(distance).filter(seen), style))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 44, y)], style));
    }
    legend!(panel, SeriesLabelPosition::MiddleRight);
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    print_table();
    print_worth();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../paper-notes/kl.svg");
    let root = SVGBackend::new(&path, (1920, 800)).into_drawing_area();
    draw(&root)?;
    root.present()?;
    println!("\nwrote paper-notes/kl.svg");
    Ok(())
}
