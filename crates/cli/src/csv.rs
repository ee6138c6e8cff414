//! Tables for spreadsheets (RFC 4180).

use crate::failure::Failure;
use crate::out::Out;

/// One line of cells.
pub(crate) fn line<S: AsRef<str>>(out: &mut Out, cells: impl IntoIterator<Item = S>) -> Result<(), Failure> {
    let cells: Vec<String> = cells.into_iter().map(|text| quoted(text.as_ref())).collect();
    out.line(cells.join(","))
}

/// A cell that no spreadsheet takes for a formula.
pub(crate) fn quoted(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if formula { "'" } else { "" };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Page;

    #[test]
    fn cells_are_inert_c36() {
        let page = Page::default();
        line(&mut Out::to(page.clone()), ["=HYPERLINK(\"x\")", "a\nb", "1,5"]).unwrap();
        assert_eq!(page.text(), "\"'=HYPERLINK(\"\"x\"\")\",\"a\\nb\",\"1,5\"\n");
    }
}
