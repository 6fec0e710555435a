//! One colour for each method, in every figure.

/// A colour, 0 to 255 for each of red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// `#rrggbb`.
    pub fn css(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

/// Axes and text: as far from white as from black.
pub(super) const GREY: Colour = Colour(0x80, 0x80, 0x80);

/// The colours of M. Okabe and K. Ito, *Color Universal Design* (2008), which the colour-blind can tell apart;
/// without their black and yellow, each of which is lost on one of the two backgrounds.
const PALETTE: [Colour; 6] = [BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY];
pub(super) const BLUE: Colour = Colour(0x00, 0x72, 0xb2);
const VERMILLION: Colour = Colour(0xd5, 0x5e, 0x00);
const GREEN: Colour = Colour(0x00, 0x9e, 0x73);
const PURPLE: Colour = Colour(0xcc, 0x79, 0xa7);
const ORANGE: Colour = Colour(0xe6, 0x9f, 0x00);
const SKY: Colour = Colour(0x56, 0xb4, 0xe9);
/// Not of that palette; it is the darkest of the seven and lies apart from them in lightness.
const BROWN: Colour = Colour(0x8c, 0x56, 0x4b);

/// Beginnings of method names, letters and digits only; the longest that fits decides.
const METHODS: [(&str, Colour); 12] = [
    ("sparsevd", BLUE),
    ("sparsevariationaldropout", BLUE),
    ("ard", VERMILLION),
    ("gaussian", GREEN),
    ("gaussiandropout", PURPLE),
    ("variationaldropout", PURPLE),
    ("dropout", ORANGE),
    ("binarydropout", ORANGE),
    ("bernoulli", ORANGE),
    ("deterministic", SKY),
    ("dense", SKY),
    ("magnitude", BROWN),
];

/// The colour of a method, the same in every figure.
///
/// Only letters and digits count, and not their case; variants share the colour of their method (`ARD` and
/// `ARD, per layer`), and a figure tells them apart by dashes. A name not known here gets a fixed colour of its own letters.
///
/// ```
/// use sparsevd::plots::colour;
/// assert_eq!(colour("SparseVD"), colour("sparse-vd (test)"));
/// assert_ne!(colour("Gaussian"), colour("Gaussian dropout"));
/// ```
pub fn colour(method: &str) -> Colour {
    let name: String = method.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let known = METHODS.iter().filter(|(start, _)| name.starts_with(start)).max_by_key(|(start, _)| start.len());
    known.map_or_else(|| PALETTE[(fnv1a(&name) % PALETTE.len() as u64) as usize], |(_, colour)| *colour)
}

/// A hash that is the same on every machine and in every version (Fowler, Noll, Vo; 64 bits).
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linear(c: u8) -> f64 {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    }

    /// The contrast ratio of WCAG 2.1.
    fn contrast(a: Colour, b: Colour) -> f64 {
        let y = |Colour(r, g, b): Colour| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
        (y(a) / y(b)).max(y(b) / y(a))
    }

    #[test]
    fn grey_reads_on_white_and_on_black() {
        for background in [Colour(255, 255, 255), Colour(0x15, 0x17, 0x1a)] {
            assert!(contrast(GREY, background) > 3.9); // WCAG asks 3 for graphics and large text
            assert!(PALETTE.iter().all(|c| contrast(*c, background) > 2.2));
        }
    }

    /// Protanopia and deuteranopia as simulated by Machado, Oliveira, Fernandes (2009), at full severity, in linear RGB.
    #[test]
    fn the_colour_blind_can_tell_them_apart() {
        let protan =
            [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]];
        let deutan = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]];
        let seen = |m: &[[f64; 3]; 3], Colour(r, g, b): Colour| {
            let rgb = [linear(r), linear(g), linear(b)];
            m.map(|row| row.iter().zip(rgb).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0))
        };
        // CIE Lab distance; about 2.3 is just noticeable.
        let lab = |[r, g, b]: [f64; 3]| {
            let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
            let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.95047);
            let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
            let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.08883);
            [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
        };
        for m in [protan, deutan] {
            for (i, a) in PALETTE.iter().enumerate() {
                for b in &PALETTE[..i] {
                    let (p, q) = (lab(seen(&m, *a)), lab(seen(&m, *b)));
                    let distance = p.iter().zip(q).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
                    assert!(distance > 15.0, "{a:?} {b:?}: {distance}");
                }
            }
        }
    }

    #[test]
    fn a_method_has_one_colour() {
        assert_eq!(colour("Sparse VD"), colour("SparseVD, beta = 0.1"));
        assert_eq!(colour("dropout"), colour("Binary dropout"));
        let main = ["SparseVD", "ARD", "Gaussian", "Gaussian dropout", "binary dropout", "deterministic"];
        for (i, a) in main.iter().enumerate() {
            assert!(main[..i].iter().all(|b| colour(a) != colour(b)), "{a}");
        }
        // Pinned: a change would recolour every figure ever made.
        assert_eq!(colour("Student-t").css(), PALETTE[(fnv1a("studentt") % 6) as usize].css());
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c); // published test vector
        assert_eq!(colour("SparseVD").css(), "#0072b2");
    }
}
