//! Colours of series, all different within a figure.

/// A colour, 0 to 255 for each of red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Colour(pub u8, pub u8, pub u8);

impl Colour {
    /// `#RRGGBB`.
    pub fn css(self) -> String {
        format!("#{:02X}{:02X}{:02X}", self.0, self.1, self.2)
    }
}

/// A colour on a light background, and its counterpart on a dark one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub light: Colour,
    pub dark: Colour,
}

const fn pair(light: u32, dark: u32) -> Pair {
    const fn rgb(c: u32) -> Colour {
        Colour((c >> 16) as u8, (c >> 8) as u8, c as u8)
    }
    Pair { light: rgb(light), dark: rgb(dark) }
}

/// The colour of text and axes.
pub(super) const INK: Pair = pair(0x3D444D, 0xC9D1D9);

/// The colours of series, in the order in which unknown names get them. A search among colours of these hues found
/// them: they have the largest distance, as seen with protanopia, with deuteranopia and with neither, and enough
/// contrast to the background.
pub(super) const PALETTE: [Pair; 10] = [
    pair(0x0067B0, 0x3F8FE0), // blue
    pair(0xCF4A00, 0xFF7A3D), // vermillion
    pair(0x12906A, 0x21BB8C), // green
    pair(0xCA5AA1, 0xEE94C9), // pink
    pair(0xB58D41, 0xF3C63E), // orange
    pair(0x000000, 0xF6F6F6), // black
    pair(0x7E5139, 0xB07F5F), // brown
    pair(0x1499F2, 0x8FD3FF), // sky
    pair(0x87215D, 0xBF4E8D), // wine
    pair(0x414B00, 0xB8CB68), // olive
];
const BLUE: usize = 0;
const VERMILLION: usize = 1;
const GREEN: usize = 2;
const PINK: usize = 3;
const ORANGE: usize = 4;
const BLACK: usize = 5;
const BROWN: usize = 6;
const SKY: usize = 7;
const WINE: usize = 8;
const OLIVE: usize = 9;

/// Prefixes of method names, letters and digits only; the longest match decides.
const METHODS: [(&str, usize); 19] = [
    ("sparsevd", BLUE),
    ("sparsevariationaldropout", BLUE),
    ("loguniform", BLUE),
    ("sparsevdexactkl", SKY),
    ("ard", VERMILLION),
    ("ardperneuron", WINE),
    ("ardperoutput", WINE),
    ("gaussian", GREEN),
    ("gaussiandropout", PINK),
    ("variationaldropout", PINK),
    ("dropout", ORANGE),
    ("binarydropout", ORANGE),
    ("bernoulli", ORANGE),
    ("dense", BLACK),
    ("deterministic", BLACK),
    ("magnitude", BROWN),
    ("kingma", OLIVE),
    ("laplace", OLIVE),
    ("studentt", BROWN),
];

/// The colours of a figure's series on a light background, in the order of their names.
///
/// Up to ten series have different colours; with more, colours repeat. A known method has the same colour in every
/// figure, unless an earlier name of the figure has it already; other names get the remaining colours. Names are
/// compared by their letters and digits only, without regard to case.
///
/// ```
/// use sparsevd_report::plots::colours;
///
/// let [sparse, ours, laplace] = colours(&["Sparse VD", "our prior", "Laplace"])[..] else { unreachable!() };
/// assert!(sparse != ours && ours != laplace && laplace != sparse);
/// assert_eq!(sparse, colours(&["sparse-vd"])[0]);
/// ```
pub fn colours<S: AsRef<str>>(names: &[S]) -> Vec<Colour> {
    slots(names).into_iter().map(|slot| PALETTE[slot % PALETTE.len()].light).collect()
}

/// The index into the palette of each name. The `k`-th repetition of a colour adds `k` times the palette's length, so
/// that all indices differ.
pub(super) fn slots<S: AsRef<str>>(names: &[S]) -> Vec<usize> {
    let mut slots: Vec<Option<usize>> = vec![None; names.len()];
    for (i, name) in names.iter().enumerate() {
        slots[i] = usual(name.as_ref()).filter(|slot| !slots.contains(&Some(*slot)));
    }
    let taken = slots.clone();
    let mut free = (0..).filter(|slot| !taken.contains(&Some(*slot)));
    slots.into_iter().map(|slot| slot.or_else(|| free.next()).unwrap_or_default()).collect()
}

/// The palette index of a known method.
fn usual(method: &str) -> Option<usize> {
    let name: String = method.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let known = METHODS.iter().filter(|(start, _)| name.starts_with(start));
    known.max_by_key(|(start, _)| start.len()).map(|(_, slot)| *slot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const WHITE: Colour = Colour(255, 255, 255);
    /// The background of a report in dark mode.
    const NIGHT: Colour = Colour(0x15, 0x17, 0x1a);

    fn linear(c: u8) -> f64 {
        let c = f64::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    }

    /// The contrast ratio of WCAG 2.1.
    fn contrast(a: Colour, b: Colour) -> f64 {
        let y = |Colour(r, g, b): Colour| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b) + 0.05;
        (y(a) / y(b)).max(y(b) / y(a))
    }

    /// Contrast by WCAG 2.1, level AA: 4.5 for text, 3 for graphics.
    #[test]
    fn colours_stand_out_from_their_background() {
        assert!(contrast(INK.light, WHITE) >= 7.0 && contrast(INK.dark, NIGHT) >= 7.0);
        for Pair { light, dark } in PALETTE {
            assert!(contrast(light, WHITE) >= 3.0, "{light:?}: {}", contrast(light, WHITE));
            assert!(contrast(dark, NIGHT) >= 3.0, "{dark:?}: {}", contrast(dark, NIGHT));
        }
    }

    /// Protanopia and deuteranopia as simulated by Machado, Oliveira, Fernandes (2009), at full severity, in linear
    /// RGB.
    #[test]
    fn the_colour_blind_can_tell_them_apart() {
        let same = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
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
        for m in [same, protan, deutan] {
            for colours in [PALETTE.map(|pair| pair.light), PALETTE.map(|pair| pair.dark)] {
                for (i, a) in colours.iter().enumerate() {
                    for b in &colours[..i] {
                        let (p, q) = (lab(seen(&m, *a)), lab(seen(&m, *b)));
                        let distance = p.iter().zip(q).map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt();
                        assert!(distance > 15.0, "{a:?} {b:?}: {distance}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_known_method_keeps_its_colour() {
        let all = [
            "Dense",
            "Binary dropout",
            "Gaussian dropout",
            "Sparse VD",
            "Sparse VD, exact KL",
            "ARD",
            "ARD, per neuron",
            "Gaussian prior",
            "Magnitude pruning",
        ];
        let together = colours(&all);
        for (name, colour) in all.iter().zip(&together) {
            assert_eq!(colours(&[*name]), [*colour], "{name} alone");
            assert_eq!(colours(&["a prior of one's own", *name])[1], *colour, "{name} after an unknown one");
        }
        assert_eq!(colours(&["dropout"]), colours(&["Bernoulli"]));
        // Pinned: a change would recolour every figure.
        assert_eq!(together[3], Colour(0x00, 0x67, 0xb0));
    }

    #[test]
    fn log_uniform_ard_and_laplace_differ() {
        let [a, b, c] = colours(&["Log-uniform", "ARD", "Laplace"])[..] else { unreachable!() };
        assert!(a != b && b != c && c != a);
    }

    /// Known methods, their variants, unknown names, and the same name twice.
    fn name() -> impl Strategy<Value = String> {
        let known = prop::sample::select(METHODS.map(|(start, _)| start).to_vec());
        prop_oneof![known.prop_map(String::from), "[a-cA-C]{0,2}", "(ARD|Sparse VD), [a-c]"]
    }

    proptest! {
        #[test]
        fn no_two_series_share_a_colour(names in prop::collection::vec(name(), 0..=PALETTE.len())) {
            prop_assert_eq!(colours(&names).iter().collect::<HashSet<_>>().len(), names.len());
        }

        #[test]
        fn beyond_the_palette_slots_still_differ(names in prop::collection::vec(name(), 0..40)) {
            let slots = slots(&names);
            prop_assert_eq!(slots.iter().collect::<HashSet<_>>().len(), names.len());
            prop_assert!(slots.iter().all(|slot| *slot < names.len().max(PALETTE.len())), "{:?}", slots);
        }
    }
}
