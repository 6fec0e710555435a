//! A figure at two widths.

use super::colour::{INK, PALETTE, Pair};

/// A figure as SVG text, drawn at two widths with letters of the same size: for a page or a paper, and for a phone.
///
/// In dark mode its colours are lighter, if the program that shows it supports CSS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figure {
    wide: String,
    narrow: Option<String>,
}

/// Any SVG text as a figure, of one width only.
impl From<&str> for Figure {
    fn from(svg: &str) -> Self {
        Self { wide: svg.into(), narrow: None }
    }
}

impl From<&Figure> for Figure {
    fn from(figure: &Figure) -> Self {
        figure.clone()
    }
}

impl Figure {
    /// The SVG text 720 pixels wide.
    pub fn wide(&self) -> &str {
        &self.wide
    }

    /// The SVG text 360 pixels wide, if it was drawn at that width.
    pub fn narrow(&self) -> Option<&str> {
        self.narrow.as_deref()
    }

    /// Draws a figure at both widths.
    pub(super) fn draw(draw: impl Fn(Width) -> String) -> Self {
        Self { wide: styled(&draw(Width::WIDE)), narrow: Some(styled(&draw(Width::NARROW))) }
    }
}

/// The width of a figure and the height inside its axes, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Width {
    pub px: f64,
    pub inside: f64,
}

impl Width {
    pub const WIDE: Width = Width { px: 720.0, inside: 330.0 };
    pub const NARROW: Width = Width { px: 360.0, inside: 250.0 };
}

/// Adds a style that replaces each colour by its counterpart in dark mode. The elements keep their colours, for
/// programs without CSS.
fn styled(svg: &str) -> String {
    let used = PALETTE.iter().chain([&INK]).filter(|pair| svg.contains(&pair.light.css()));
    let rule = |Pair { light, dark }: &Pair| {
        let (light, dark) = (light.css(), dark.css());
        format!(".sparsevd [fill=\"{light}\"]{{fill:{dark}}}.sparsevd [stroke=\"{light}\"]{{stroke:{dark}}}\n")
    };
    let style = format!(
        "<style>.sparsevd text{{font-family:system-ui,sans-serif}}\n@media screen and (prefers-color-scheme:dark){{\n{}}}</style>",
        used.map(rule).collect::<String>()
    );
    let svg = svg.replacen("<svg", "<svg class=\"sparsevd\"", 1);
    let end = svg.find('>').map_or(0, |at| at + 1);
    format!("{}\n{style}{}", &svg[..end], &svg[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_have_a_dark_version_and_stand_in_the_elements_too() {
        let light = PALETTE[1].light.css();
        let svg = styled(&format!("<svg width=\"1\"><path stroke=\"{light}\"/></svg>"));
        let rule = format!(".sparsevd [stroke=\"{light}\"]{{stroke:{}}}", PALETTE[1].dark.css());
        assert!(svg.contains(&rule) && svg.contains(&format!("<path stroke=\"{light}\"/>")), "{svg}");
        assert!(svg.starts_with("<svg class=\"sparsevd\" width=\"1\">\n<style>") && svg.ends_with("</svg>"), "{svg}");
        assert!(!svg.contains(&PALETTE[2].light.css()), "only what is used");
    }
}
