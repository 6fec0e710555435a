use super::*;
use crate::plots::{Quantity, Series, curves};
use crate::table::Align;
use serde_json::json;

const SVG: &str = "<svg width=\"1\" xmlns=\"http://www.w3.org/2000/svg\"></svg>";

#[test]
fn parts_come_in_order_and_escaped() {
    let mut table = Table::new([("<m>", Align::Left)]);
    table.row(["<cell>"]);
    let mut report = Report::new("<title>");
    report
        .heading("<h>")
        .text("one\n\ntwo <b>")
        .table(&table)
        .terms([("<t>", "a & b")])
        .figure(SVG, "\"<cap>\"")
        .json("<js>", &json!({"a": "</pre><b>"}));
    let html = report.html().unwrap();
    let mut at = 0;
    for part in [
        "<title>&lt;title&gt;</title>",
        "<h1>&lt;title&gt;</h1>",
        "<h2>&lt;h&gt;</h2>",
        "<p>one</p>\n<p>two &lt;b&gt;</p>",
        "<th>&lt;m&gt;</th>",
        "<td>&lt;cell&gt;</td>",
        "<dt>&lt;t&gt;</dt> <dd>a &amp; b</dd>",
        "<figure>\n<svg role=\"img\" aria-label=\"&quot;&lt;cap&gt;&quot;\" width=",
        "<figcaption>&quot;&lt;cap&gt;&quot;</figcaption>",
        "<pre data-json=\"&lt;js&gt;\">",
        "&quot;&lt;/pre&gt;&lt;b&gt;&quot;",
        "</html>",
    ] {
        at += html[at..].find(part).unwrap_or_else(|| panic!("{part} is missing or out of order in\n{html}"));
    }
    assert!(!html.contains("<b>") && !html.contains("<cap>"));
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let html = Report::new("t").figure(SVG, "f").html().unwrap();
    assert!(html.contains("default-src 'none'") && html.contains("prefers-color-scheme: dark"));
    let without_namespace = html.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=", "@import", "url(", "<link", "<script"] {
        assert!(!without_namespace.contains(outside), "{outside}");
    }
}

#[test]
fn figures_must_be_plain_svg() {
    let refused = |svg: &str| Report::new("t").figure(svg, "f").html().is_err();
    assert!(refused("") && refused("<p></p>") && refused("<svg>") && refused("<svg><SCRIPT>x</SCRIPT></svg>"));
    assert!(!refused(&format!("<?xml version=\"1.0\"?>\n{SVG}\n")));
}

#[test]
fn a_refused_report_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.html");
    Report::new("old").write(&path).unwrap();
    assert!(matches!(Report::new("new").figure("no", "f").write(&path), Err(ReportError::Figure { .. })));
    assert!(std::fs::read_to_string(&path).unwrap().contains("<h1>old</h1>"));
    assert!(matches!(Report::new("x").write(path.join("inside")), Err(ReportError::Write { .. })));
}

/// The page has the figure at both widths, so that a browser at 360 pixels shows the narrow one.
#[test]
fn figures_are_there_at_both_widths() {
    let figure = curves(&[Series::new("a", [(0.0, 1.0)])], Quantity::linear("x"), Quantity::linear("y"), "t").unwrap();
    let html = Report::new("t").figure(&figure, "f").html().unwrap();
    for part in ["<div class=\"full\"><svg ", "<div class=\"narrow\"><svg ", "viewBox=\"0 0 360 ", "viewBox=\"0 0 720 "]
    {
        assert_eq!(html.matches(part).count(), 1, "{part}");
    }
}

#[test]
fn text_of_the_page_reads_in_light_and_dark() {
    let css = include_str!("style.css");
    assert_eq!(css.matches("--back:").count(), 2);
    let roots: Vec<&str> =
        css.match_indices("--back:").map(|(at, _)| &css[at..at + css[at..].find('}').unwrap()]).collect();
    for root in roots {
        let colour = |name: &str| {
            let value = root.split(&format!("--{name}: #")).nth(1).unwrap().split(';').next().unwrap();
            let long: String =
                if value.len() == 3 { value.chars().flat_map(|c| [c, c]).collect() } else { value.into() };
            let channel = |i: usize| f64::from(u8::from_str_radix(&long[2 * i..2 * i + 2], 16).unwrap()) / 255.0;
            let linear = |c: f64| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) };
            0.2126 * linear(channel(0)) + 0.7152 * linear(channel(1)) + 0.0722 * linear(channel(2)) + 0.05
        };
        for (text, back) in [("ink", "back"), ("soft", "back"), ("ink", "code")] {
            let (a, b) = (colour(text), colour(back));
            assert!((a / b).max(b / a) >= 4.5, "{text} on {back}: WCAG 2.1 asks 4.5"); // level AA
        }
    }
}
