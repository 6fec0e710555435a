use super::*;
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
